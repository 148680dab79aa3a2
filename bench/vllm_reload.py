"""Does vLLM compute with weights that it loads again? Without anything of sharpen: VLLM_PYTHON bench/vllm_reload.py DIR

DIR holds a small model whose output matrix is its embeddings. It is started, given other weights by `reload_weights`, and its
log-probabilities of some tokens are set against those of transformers, in nats, in the mean.
"""

import os
import shutil
import sys
import tempfile

os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_ALLOW_INSECURE_SERIALIZATION": "1", "OMP_NUM_THREADS": "1"}
os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_LOGGING_LEVEL": "ERROR"}

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from vllm import LLM, SamplingParams

IDS = torch.randint(0, 256, (40,), generator=torch.Generator().manual_seed(0)).tolist()


def ours(body: str, head: str) -> torch.Tensor:
    """(39,) log-probabilities of the tokens under the layers of one directory and the output matrix of another."""
    model, other = (AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32) for path in (body, head))
    model.lm_head.weight = torch.nn.Parameter(other.lm_head.weight.detach())
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0].log_softmax(-1)[range(len(IDS) - 1), IDS[1:]]


def pack_again(worker) -> None:
    head = worker.model_runner.get_model().lm_head
    head.quant_method.process_weights_after_loading(head)


def main(first: str, second: str) -> None:
    names = {"first": first, "second": second}
    known = {f"layers of the {b}, head of the {h}": ours(names[b], names[h]) for b in names for h in names}
    llm = LLM(first, dtype="float32", enforce_eager=True, max_model_len=64, max_num_seqs=4, enable_prefix_caching=False)

    def look(when: str) -> None:
        how = SamplingParams(max_tokens=1, prompt_logprobs=1)
        (out,) = llm.generate([{"prompt_token_ids": IDS}], how, use_tqdm=False)
        said = torch.tensor([entry[i].logprob for entry, i in zip(out.prompt_logprobs[1:], IDS[1:])])
        print(when, {name: f"{(said - values).abs().mean():.1e}" for name, values in known.items()}, flush=True)

    look("started:")
    llm.collective_rpc("reload_weights", kwargs={"weights_path": second})
    look("reloaded:")
    llm.collective_rpc(pack_again)
    look("its head packed again:")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        other = shutil.copytree(sys.argv[1], f"{folder}/other")
        rng = torch.Generator().manual_seed(1)
        weights = {
            n: t * (1 + 0.3 * torch.randn(t.shape, generator=rng)) for n, t in load_file(f"{other}/model.safetensors").items()
        }
        save_file(weights, f"{other}/model.safetensors", {"format": "pt"})
        main(sys.argv[1], other)
