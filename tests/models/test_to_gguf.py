"""A model as a .gguf file: what transformers reads back answers the same, and what a file cannot say is refused."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from sharpen import models, tasks
from sharpen.core import UserError
from sharpen.models import embedded, to_gguf

NEEDED = pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="the library gguf is not installed")
SMALL = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
SMALL |= dict(max_position_embeddings=256, head_dim=16)
KINDS = {
    "llama": LlamaConfig(**SMALL, tie_word_embeddings=False),
    "tied llama": LlamaConfig(**SMALL, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 5e5}),
    "mistral": MistralConfig(**SMALL, sliding_window=None),
    "qwen2": Qwen2Config(**SMALL),
    "qwen3": Qwen3Config(**{**SMALL, "head_dim": 128}),  # what transformers takes for granted where it reads one
}


@pytest.fixture(scope="module")
def tokenizer():
    """Bytes and a few merges, cut as GPT-2 cuts."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("Ġ", "th"), ("Ġth", "e"), ("1", "2")]
    words = dict.fromkeys([*letters, *map("".join, merges)])
    made = Tokenizer(BPE(vocab={word: i for i, word in enumerate(words)}, merges=merges))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    talk = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|end|>{% endfor %}"
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>", pad_token="<|pad|>", chat_template=talk)


def saved(config, tokenizer, place):
    torch.manual_seed(0)
    config.vocab_size = len(tokenizer) + 3  # more than there are tokens, as where it was rounded up
    config.eos_token_id = config.bos_token_id = None
    model = AutoModelForCausalLM.from_config(config).eval()
    for weight in model.parameters():  # nothing is where it began: biases and norms count
        weight.data += 0.1 * torch.randn(weight.shape) if weight.dim() == 1 else 0
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return model


@NEEDED
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_back_says_the_same(kind, tokenizer, tmp_path):
    model = saved(KINDS[kind], tokenizer, tmp_path / "model")
    models.write_gguf(tmp_path / "model", tmp_path / "a.gguf", "f32")
    with contextlib.redirect_stderr(io.StringIO()):
        again = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="a.gguf", dtype=torch.float32)
    tokens = torch.tensor([tokenizer("State the final answer: 12 + 3 =")["input_ids"]])
    how = dict(max_new_tokens=12, do_sample=False, pad_token_id=0)
    assert again.generate(tokens, **how).tolist() == model.generate(tokens, **how).tolist()
    with torch.no_grad():
        assert torch.allclose(again(tokens).logits, model(tokens).logits, atol=1e-5)
    with contextlib.redirect_stderr(io.StringIO()):
        reads = AutoTokenizer.from_pretrained(tmp_path, gguf_file="a.gguf")
    for said in ("State the final answer: 12 + 3 =", "the 12<|end|>\n  then é") if kind != "qwen2" else ():
        # (of a qwen2 file transformers cuts text as Qwen does, whatever the file says)
        assert reads(said)["input_ids"] == tokenizer(said)["input_ids"]
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".part"] == []


@NEEDED
@pytest.mark.parametrize("dtype, bytes_each", [("f32", 4), ("bf16", 2), ("f16", 2)])
def test_matrices_have_the_type_asked_for_and_vectors_stay(dtype, bytes_each, tokenizer, tmp_path):
    from gguf import GGUFReader

    saved(KINDS["llama"], tokenizer, tmp_path / "model")
    models.write_gguf(tmp_path / "model", tmp_path / "a.gguf", dtype)
    found = GGUFReader(tmp_path / "a.gguf")
    sizes = {t.name: t.n_bytes / t.n_elements for t in found.tensors}
    assert sizes["blk.0.attn_q.weight"] == bytes_each and sizes["output_norm.weight"] == 4
    assert found.fields["tokenizer.chat_template"].contents() == tokenizer.chat_template
    assert found.fields["tokenizer.ggml.tokens"].contents()[: len(tokenizer)] == [
        tokenizer.convert_ids_to_tokens(i) for i in range(len(tokenizer))
    ]
    assert found.fields["tokenizer.ggml.eot_token_id"].contents() == tokenizer.eos_token_id


@NEEDED
def test_what_it_cannot_say_is_refused_in_one_sentence(tokenizer, tmp_path):
    other = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=len(tokenizer)))
    scaled = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
    refusals = {"gpt2": other.config, "linear": LlamaConfig(**SMALL, rope_parameters=scaled)}
    refusals["a sliding window"] = MistralConfig(**SMALL, sliding_window=64)
    for word, config in refusals.items():
        saved(config, tokenizer, tmp_path / word)
        with pytest.raises(UserError, match=word) as refusal:
            models.write_gguf(tmp_path / word, tmp_path / "a.gguf")
        assert "\n" not in str(refusal.value) and not (tmp_path / "a.gguf").exists()
    with pytest.raises(UserError, match="q4: there are f32, f16, bf16"):
        models.write_gguf(tmp_path / "linear", tmp_path / "a.gguf", "q4")


@NEEDED
def test_a_vocabulary_of_whole_words_is_refused(tmp_path):
    model, words = embedded.build("micro", tasks.parse_spec("chain_sum/1"), 0)
    model.save_pretrained(tmp_path / "model")
    words.save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match="merges nothing.*Export a directory"):
        models.write_gguf(tmp_path / "model", tmp_path / "a.gguf")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_way_of_cutting_text_is_named_or_refused():
    plain = {"type": "ByteLevel", "use_regex": True}
    digits = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, plain]}
    split = {"type": "Split", "pattern": {"Regex": f"{to_gguf.LETTERS}\\p{{N}}{to_gguf.REST}"}}
    qwen = {"type": "Sequence", "pretokenizers": [split, {"type": "ByteLevel", "use_regex": False}]}
    assert [to_gguf.cut({"pre_tokenizer": how}) for how in (plain, digits, qwen)] == ["gpt-2", "smollm", "qwen2"]
    with pytest.raises(UserError, match="no name in llama.cpp"):
        to_gguf.cut({"pre_tokenizer": {"type": "Whitespace"}})


@NEEDED
def test_scores_of_sentencepiece_go_down_with_the_rank_of_the_merge():
    class Spelt:
        class backend_tokenizer:
            @staticmethod
            def to_str():
                vocab = {"<0x0A>": 0, "a": 1, "b": 2, "ab": 3, "aba": 4}
                merges = [["a", "b"], ["ab", "a"]]
                return json.dumps({"model": {"type": "BPE", "byte_fallback": True, "vocab": vocab, "merges": merges}})

    found = to_gguf.vocabulary(Spelt, 6)
    assert found["add_tokenizer_model"] == "llama"
    assert found["add_token_scores"][3:5] == [0.0, -1.0] and found["add_token_list"][5] == "[PAD5]"
    assert [int(t) for t in found["add_token_types"]] == [6, 1, 1, 1, 1, 5]  # a byte, four tokens, none


@pytest.mark.skipif(importlib.util.find_spec("gguf") is not None, reason="the library is installed")
def test_without_the_library(tmp_path):
    with pytest.raises(UserError, match=r"pip install 'sharpen\[gguf\]'"):
        models.write_gguf(tmp_path, tmp_path / "a.gguf")
