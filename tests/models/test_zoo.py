"""Every architecture learns, goes on and is exported exactly; every odd directory is used or refused in one sentence."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
import zoo
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from sharpen.core import Ask, FatalDiagnosis, Rollout, Sample, Sampling, Task, UserError, Verdict
from sharpen.data import make_batch
from sharpen.models import LocalPolicy, load_model, probe
from sharpen.models.engine import generic, transformer
from sharpen.models.probe import check_place
from sharpen.objectives import policy_gradient

TASK = Task(({"role": "user", "content": "?"},), "42", "f", 1)
ASKS = [Ask(({"role": "user", "content": text},)) for text in ("hi there", "hi there", "hi there", "1+1=", "1+1=", "1+1=")]
LATELY = {"zamba2": 1e-3}  # exp of long sums: further from one plain pass than the others


def brought(path: Path, **settings) -> LocalPolicy:
    """What the command line does with --model."""
    made = LocalPolicy(*load_model(path), settings.pop("precision", "fp32"), device="cpu", **settings)
    probe(made, path.name, (), 16, path.parent)
    return made


def learnt(policy: LocalPolicy):
    """A batch of the policy's own words, some of them short, after one step on it."""
    limits = (8, 3, 8, 8, 8, 2)
    asks = [Ask(ask.messages, max_tokens=n) for ask, n in zip(ASKS, limits)]
    turns = policy.respond(asks, range(6), 8, Sampling())
    samples = []
    for i, turn in enumerate(turns):
        rollout = Rollout(TASK, turn.tokens, turn.sampled, turn.logprobs, (turn.text,), turn.stop, 0, 0, f"r{i}")
        samples.append(Sample(rollout, Verdict("correct" if i % 2 else "wrong", float(i % 2)), i // 3))
    batch = make_batch(samples, drawn=Sampling())
    return batch, policy.update(batch, policy_gradient.grpo(), 1e-2)


@pytest.mark.parametrize("kind", zoo.ARCHITECTURES)
def test_an_architecture_learns_goes_on_and_is_exported_exactly(kind, tmp_path):
    path = zoo.directory(tmp_path / "model", kind)
    local = brought(path)
    batch, told = learnt(local)
    assert told["mismatch"] < LATELY.get(kind, 1e-5) and told["grad_norm"] > 0
    local.save(str(tmp_path / "saved"))
    after = local.logprobs(batch)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=torch.float32).eval()
    assert {n: t.shape for n, t in plain.state_dict().items()} == {n: t.shape for n, t in local.model.state_dict().items()}
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, local.model.state_dict()[name]), name
    with torch.no_grad():
        for row in (0, 5):
            tokens = torch.from_numpy(batch.tokens[row, : batch.lengths[row]])[None]
            logp = plain(input_ids=tokens).logits[0, :-1].log_softmax(-1).gather(1, tokens[0, 1:, None]).squeeze(1)
            theirs = logp.numpy() * batch.mask[row, 1 : batch.lengths[row]]
            np.testing.assert_allclose(after[row, 1 : batch.lengths[row]], theirs, atol=LATELY.get(kind, 2e-5))
    again = LocalPolicy(*load_model(path), "fp32", device="cpu")
    again.load(str(tmp_path / "saved"))
    assert np.array_equal(again.logprobs(batch), after)
    for policy in (local, again):
        policy.update(batch, policy_gradient.grpo(), 1e-2)
    assert np.array_equal(again.logprobs(batch), local.logprobs(batch))
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["dtype"] == "float32"


EXACT = ["llama", "gpt2", "mixtral", "gpt_oss", "deepseek_v3", "mamba", "gemma2"]


@pytest.mark.parametrize(("kind", "precision"), [*((kind, "fp32") for kind in EXACT), ("gpt2", "bf16"), ("mixtral", "bf16")])
def test_adapters_are_merged_as_peft_merges_them_and_every_tensor_keeps_its_type(kind, precision, tmp_path):
    """Conv1D has its matrix the other way round, experts are one tensor of many matrices, an embedding is the head too."""
    path = zoo.directory(tmp_path / "model", kind)
    local = brought(path, precision=precision, lora=2, recompute=True)
    batch, _ = learnt(local)
    local.save(str(tmp_path / "saved"))
    files = load_file(tmp_path / "saved" / "model.safetensors")
    assert {t.dtype for t in files.values()} == {torch.float32}
    start = load_file(path / "model.safetensors")
    assert files.keys() == start.keys() and any(not torch.equal(files[n], start[n]) for n in start)
    merged = LocalPolicy(*load_model(tmp_path / "saved"), precision, device="cpu")
    gap = np.abs(merged.logprobs(batch) - local.logprobs(batch))
    if kind == "mixtral" and precision == "bf16":  # a token between two experts may go to the other one after a merge
        assert np.median(gap[gap > 0]) < 0.1
    else:
        assert gap.max() < (1e-4 if precision == "fp32" else 0.2)
    again = LocalPolicy(*load_model(path), precision, device="cpu", lora=2)
    again.load(str(tmp_path / "saved"))
    assert np.array_equal(again.logprobs(batch), local.logprobs(batch))


@pytest.mark.parametrize("kind", ["gpt2", "gemma2", "mamba"])
def test_recomputing_changes_no_gradient_and_chunks_change_no_logits(kind, tmp_path, monkeypatch):
    found = []
    for recompute, chunk in ((False, 2**25), (True, 1000)):
        monkeypatch.setattr("sharpen.models.logprobs.CHUNK_LOGITS", chunk)
        local = LocalPolicy(zoo.model(kind), zoo.tokenizer(), "fp32", device="cpu", recompute=recompute)
        assert not transformer.supported(local.model) and generic.parts(local.model) is not None
        batch, _ = learnt(local)
        found.append([g.clone() for g in local.direction(batch, policy_gradient.sft())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_logits_of_a_model_of_its_own_kind_are_never_made_for_every_token(tmp_path, monkeypatch):
    """The head of a Gemma sees chunks of trained tokens, and one token where the trunk runs."""
    monkeypatch.setattr("sharpen.models.logprobs.CHUNK_LOGITS", 4 * 320)
    local = LocalPolicy(zoo.model("gemma2"), zoo.tokenizer(), "fp32", device="cpu")
    batch, _ = learnt(local)
    seen = []
    local.model.lm_head.register_forward_hook(lambda module, arguments, out: seen.append(out.shape[-2]))
    local.logprobs(batch)
    assert seen and max(seen) <= 4


def test_a_router_s_biases_are_saved_referred_to_and_gone_back_to(tmp_path):
    local = brought(zoo.directory(tmp_path / "model", "deepseek_v3"))
    name = "model.layers.1.mlp.gate.e_score_correction_bias"
    bias = local.model.state_dict()[name].clone()
    assert bias.abs().max() > 0.1
    local.save(str(tmp_path / "saved"))
    local.model.get_buffer(name).zero_()
    local.load(str(tmp_path / "saved"))
    assert torch.equal(local.model.get_buffer(name), bias)
    local.refer(str(tmp_path / "saved"))
    assert torch.equal(local.reference.get_buffer(name), bias)
    half = LocalPolicy(*load_model(tmp_path / "model"), "bf16", device="cpu")
    assert torch.equal(half.model.get_buffer(name), bias)  # its architecture wants it exact


def write(path: Path, name: str, text: str) -> Path:
    (path / name).write_text(text)
    return path


def changed(path: Path, name: str, **changes) -> Path:
    told = json.loads((path / name).read_text())
    return write(path, name, json.dumps({k: v for k, v in (told | changes).items() if v is not None}))


def without(path: Path, name: str) -> Path:
    (path / name).unlink()
    return path


def cut(path: Path, name: str) -> Path:
    data = (path / name).read_bytes()
    (path / name).write_bytes(data[: len(data) // 2])
    return path


def retensored(path: Path, change) -> Path:
    state = load_file(path / "model.safetensors")
    change(state)
    save_file(state, path / "model.safetensors", {"format": "pt"})
    return path


def pickled(path: Path) -> Path:
    torch.save(load_file(path / "model.safetensors"), path / "pytorch_model.bin")
    return without(path, "model.safetensors")


def sharded(path: Path, shards: int = 3) -> Path:
    zoo.model("llama").save_pretrained(path, max_shard_size="40KB")
    return without(path, "model.safetensors") if (path / "model.safetensors").exists() else path


def a_shard_short(path: Path) -> Path:
    sorted(sharded(path).glob("model-*.safetensors"))[0].unlink()
    return path


def template(path: Path, text: str) -> Path:
    return write(path, "chat_template.jinja", text)


LLAMA_WEIGHT = "model.layers.1.mlp.up_proj.weight"
REFUSED = {
    "no such directory": (lambda p: p / "nowhere", "there is no such directory"),
    "no configuration": (lambda p: without(p, "config.json"), "config.json"),
    "a configuration that is no JSON": (lambda p: write(p, "config.json", "{'a': 1"), "cannot be read"),
    "a configuration that is a list": (lambda p: write(p, "config.json", "[1]"), "no object of settings"),
    "a configuration cut in half": (lambda p: cut(p, "config.json"), "cannot be read"),
    "settings of generation cut in half": (lambda p: cut(p, "generation_config.json"), "generation_config.json cannot be read"),
    "an empty configuration": (lambda p: write(p, "config.json", "{}"), "architecture None"),
    "an unknown architecture": (lambda p: changed(p, "config.json", model_type="brontosaurus"), "brontosaurus"),
    "an architecture that is a number": (lambda p: changed(p, "config.json", model_type=7), "architecture 7"),
    "a width that is a word": (lambda p: changed(p, "config.json", hidden_size="wide"), "does not load"),
    "a negative number of layers": (lambda p: changed(p, "config.json", num_hidden_layers=-2), "."),
    "no heads": (lambda p: changed(p, "config.json", num_attention_heads=0), "does not load"),
    "an activation that there is not": (lambda p: changed(p, "config.json", hidden_act="wobble"), "wobble"),
    "code of its own": (lambda p: changed(p, "config.json", auto_map={"AutoModelForCausalLM": "evil.Evil"}), "auto_map"),
    "a tokenizer with code": (
        lambda p: changed(p, "tokenizer_config.json", auto_map={"AutoTokenizer": ["e.E", None]}),
        "auto_map",
    ),
    "attention code": (lambda p: changed(p, "config.json", _attn_implementation="evil/kernel"), "attention code"),
    "a pickle": (pickled, "pytorch_model.bin"),
    "no weights": (lambda p: without(p, "model.safetensors"), "no weights"),
    "weights cut in half": (lambda p: cut(p, "model.safetensors"), "does not load"),
    "weights that are text": (lambda p: write(p, "model.safetensors", "hello, this is no tensor"), "hold 24 bytes"),
    "a shard short": (a_shard_short, "does not load|lack"),
    "a tensor short": (lambda p: retensored(p, lambda s: s.pop(LLAMA_WEIGHT)), "lack 1 of .*up_proj"),
    "a tensor too wide": (lambda p: retensored(p, lambda s: s.update({LLAMA_WEIGHT: torch.ones(50, 32)})), "shape.*50"),
    "NaN": (lambda p: retensored(p, lambda s: s[LLAMA_WEIGHT].fill_(float("nan"))), "not_finite.*NaN"),
    "GPTQ": (lambda p: changed(p, "config.json", quantization_config={"quant_method": "gptq", "bits": 4}), "quantised.*gptq"),
    "fp8": (lambda p: changed(p, "config.json", quantization_config={"quant_method": "fp8"}), "quantised.*fp8"),
    "an adapter alone": (lambda p: write(without(p, "config.json"), "adapter_config.json", "{}"), "no base.json"),
    "no tokenizer": (lambda p: without(without(p, "tokenizer.json"), "tokenizer_config.json"), "tokenizer|chat template"),
    "a tokenizer cut in half": (lambda p: cut(p, "tokenizer.json"), "no tokenizer that loads"),
    "a tokenizer of a larger model": (lambda p: retensored(changed(p, "config.json", vocab_size=4), shrink), "rows"),
    "no chat template": (lambda p: without(p, "chat_template.jinja"), "chat template"),
    "a template that raises": (lambda p: template(p, "{{ raise_exception('only pairs') }}"), "only pairs"),
    "a template that is broken": (lambda p: template(p, "{% for m in messages %}"), "template"),
    "a template that wants what is not there": (lambda p: template(p, "{{ messages[0].tools.first.name }}"), "template"),
    "a template that says nothing": (lambda p: template(p, "<|user|><|assistant|>"), "does not write what the user says"),
    "too few positions": (lambda p: changed(p, "config.json", max_position_embeddings=24), "positions end at 24"),
    "dynamic positions": (
        lambda p: changed(
            p, "config.json", max_position_embeddings=24, rope_parameters=dict(rope_type="dynamic", factor=2.0, rope_theta=1e4)
        ),
        "dynamic",
    ),
    "T5": (lambda p: changed(p, "config.json", model_type="t5", is_encoder_decoder=True), "encoder"),
    "a vision-language model": (
        lambda p: changed(p, "config.json", model_type="qwen2_vl", vision_config={}),
        "no causal language",
    ),
    "a picture's tower beside": (
        lambda p: retensored(p, lambda s: s.update({"vision_tower.w": torch.ones(2)})),
        "more than text",
    ),
}


def shrink(state) -> None:
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        state[name] = state[name][:4].clone()


@pytest.mark.parametrize("what", REFUSED)
def test_a_directory_that_cannot_be_used_is_refused_in_one_sentence(what, tmp_path):
    make, said = REFUSED[what]
    path = make(zoo.directory(tmp_path / "model"))
    (tmp_path / "model" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises((UserError, FatalDiagnosis), match=said) as refused:
        brought(path)
    assert len(str(refused.value)) < 700 and "\n" not in str(refused.value)
    assert not (tmp_path / "ran").exists()


def test_a_place_that_cannot_be_written_is_not_blamed_on_the_model(tmp_path):
    with pytest.raises(UserError, match="nowhere cannot be written: .* Choose another --run-dir"):
        check_place(tmp_path / "nowhere")


def test_bert_reads_ahead_unless_it_is_a_decoder(tmp_path):
    """The decoder is one of the architectures above."""
    path = zoo.directory(tmp_path / "model", "bert", is_decoder=False)
    with pytest.raises(UserError, match="reads ahead"):
        brought(path)


def read_only(path: Path) -> Path:
    for file in path.iterdir():
        file.chmod(stat.S_IRUSR)
    path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    return path


def halved(path: Path) -> Path:
    retensored(path, lambda s: s.update({n: t.to(torch.bfloat16) for n, t in s.items()}))
    return changed(path, "config.json", dtype="bfloat16")


def linked(path: Path) -> Path:
    (path.parent / "a link").symlink_to(path)
    return path.parent / "a link"


USED = {
    "with code and pickles that nobody needs": lambda p: write(write(p, "convert.py", "1/0"), "training_args.bin", "x"),
    "in shards": sharded,
    "in half precision": halved,
    "that may not be written": read_only,
    "behind a link with a space": linked,
    "with a tensor that nobody reads": lambda p: retensored(p, lambda s: s.update({"rotary_emb.inv_freq": torch.ones(4)})),
    "without generation settings": lambda p: without(p, "generation_config.json"),
}


@pytest.mark.parametrize("what", USED)
def test_a_directory_as_people_have_it_is_used(what, tmp_path):
    path = USED[what](zoo.directory(tmp_path / "model"))
    try:
        local = brought(path)
        _, told = learnt(local)
        local.save(str(tmp_path / "saved"))
    finally:
        (tmp_path / "model").chmod(stat.S_IRWXU)
    assert told["grad_norm"] > 0 and brought(tmp_path / "saved")


@pytest.mark.parametrize("name", ["optimizer.safetensors", "model.safetensors", "policy.json", "config.json"])
@pytest.mark.parametrize("damage", [cut, without])
def test_a_checkpoint_that_is_damaged_is_named(name, damage, tmp_path):
    local = brought(zoo.directory(tmp_path / "model"))
    learnt(local)
    local.save(str(tmp_path / "saved"))
    damage(tmp_path / "saved", name)
    with pytest.raises(UserError, match=name if name not in ("model.safetensors",) else "saved"):
        LocalPolicy(*load_model(tmp_path / "model"), "fp32", device="cpu").load(str(tmp_path / "saved"))


def test_a_save_that_loses_a_tensor_is_an_error(tmp_path):
    local = LocalPolicy(zoo.model("llama"), zoo.tokenizer(), "fp32", device="cpu")
    local.model._keys_to_ignore_on_save = [LLAMA_WEIGHT]
    with pytest.raises(RuntimeError, match="were to be written"):
        local.save(str(tmp_path / "saved"))
    assert os.path.isdir(tmp_path / "saved") and shutil.rmtree(tmp_path / "saved") is None
