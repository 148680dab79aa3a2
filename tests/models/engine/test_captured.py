"""Decoding as on a GPU, with its kernels' reference in torch; the kernels themselves where there is a GPU."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from sharpen.core import GREEDY, NotFinite, Sampling
from sharpen.models.engine import captured, decode_ops, generate, transformer

SHAPE = dict(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, head_dim=16)
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=2, tie_word_embeddings=True)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE, num_key_value_heads=2)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, num_key_value_heads=1)),
}
END = 7
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
KINDS = (
    Sampling(),
    GREEDY,
    Sampling(0.5),
    Sampling(top_k=3),
    Sampling(top_p=0.7),
    Sampling(min_p=0.2),
    Sampling(2.0, 9, 0.8, 0.1),
)


pytestmark = [pytest.mark.filterwarnings("ignore")] if INTERPRETED else []  # numpy on its exp of -inf


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(0)
    made = MODELS[request.param]().eval()
    with torch.no_grad():  # fresh weights predict almost uniformly, and near ties hide errors
        for parameter in made.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
            elif parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) / 10)
    transformer.fuse(made)
    return made


def run(model, asked, ops=decode_ops, end_ids=(END,), stops=None):
    out = {}
    generate.decode_captured(model, dict(enumerate(asked)), list(end_ids), stops, out.setdefault, ops)
    return [out[i] for i in range(len(asked))]


def requests(n: int, kinds=KINDS, longest: int = 20) -> list[generate.Request]:
    """Groups of three rows to a prompt, sorted by prompt, of limits that make rows leave in every order."""
    rng = np.random.default_rng(1)
    prompts = sorted((rng.integers(8, 50, rng.integers(1, 12)).astype(np.int32) for _ in range(-(-n // 3))), key=len)
    return [generate.Request(prompts[i // 3], 100 + i, 1 + (7 * i) % longest, kinds[i % len(kinds)]) for i in range(n)]


def test_answers_are_those_of_the_plain_loop_row_by_row(model):
    """Seven ways of drawing, rows that leave in every order, and sizes of 32 and 16, 4 and 1."""
    asked = requests(21)
    for a, b in zip(run(model, asked), generate.generate(model, asked, [END], 0), strict=True):
        assert a.tokens.tolist() == b.tokens.tolist() and a.stop == b.stop
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=3e-5)


def test_a_row_does_not_depend_on_its_company(model):
    asked = requests(9, longest=9)
    for request, made in zip(asked, run(model, asked), strict=True):
        assert made.tokens.tolist() == run(model, [request])[0].tokens.tolist()


def test_a_decoder_serves_the_next_batch_and_sees_new_weights(model):
    run(model, requests(9))
    first = captured.held[model]
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight.mul_(-1)
    asked = requests(6, longest=8)
    assert [m.tokens.tolist() for m in run(model, asked)] == [
        m.tokens.tolist() for m in generate.generate(model, asked, [END], 0)
    ]
    assert captured.held[model] is first
    model.model.norm.weight.data = model.model.norm.weight.data.clone()  # elsewhere now: a captured step would read the old
    run(model, asked)
    assert captured.held[model] is not first


def test_stop_strings_end_a_row_with_the_token_that_completes_them(model):
    """Tokens are letters: 8 is "a", … ; looked at every eight tokens, and cut where the plain loop cuts."""

    def stops(strings):
        last = torch.tensor([any(chr(89 + t) == s[-1] for s in strings) for t in range(50)])
        return generate.StopStrings(last, lambda tokens: any(s in "".join(chr(89 + t) for t in tokens) for s in strings))

    asked = [replace(r, max_tokens=30) for r in requests(16, (Sampling(2.0, stop=("c", "gh")), Sampling()))]
    plain = generate.generate(model, asked, [], 0, stops)
    for a, b in zip(run(model, asked, decode_ops, (), stops), plain, strict=True):
        assert a.tokens.tolist() == b.tokens.tolist() and a.stop == b.stop
    assert {m.stop for m in plain} == {"stop", "length"}


def test_a_model_of_no_numbers_is_found_out(model):
    with torch.no_grad():
        model.model.norm.weight[3] = float("nan")
    with pytest.raises(NotFinite, match="log-probability nan"):
        run(model, requests(3))


def test_nothing_is_asked_for_or_nothing_ends(model):
    asked = [generate.Request(np.array([9, 10], np.int32), 1, 0), generate.Request(np.array([9, 10], np.int32), 1, 12)]
    none, twelve = run(model, asked, decode_ops, ())
    assert (len(none.tokens), none.stop, len(twelve.tokens), twelve.stop) == (0, "length", 12, "length")


@pytest.mark.skipif(
    not (INTERPRETED or torch.cuda.is_available()), reason="no GPU; TRITON_INTERPRET=1 runs the kernels without"
)
def test_the_kernels_make_the_same(model):
    pytest.importorskip("triton")
    model.to("cpu" if INTERPRETED else "cuda")
    transformer.fuse(model)
    asked = requests(7, longest=5)
    for a, b in zip(run(model, asked, captured.kernels()), run(model, asked, decode_ops), strict=True):
        assert a.tokens.tolist() == b.tokens.tolist() and a.stop == b.stop
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-3)
