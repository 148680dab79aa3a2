"""Training as on a GPU beside training as on a processor: the same log-probabilities, the same gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from sharpen.core import PLAIN, Batch, Sampling
from sharpen.models import logprobs
from sharpen.models.engine import packing, train_fused, transformer

SHAPE = dict(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
INTERPRETED = __import__("os").environ.get("TRITON_INTERPRET") == "1"
pytestmark = [pytest.mark.filterwarnings("ignore")] if INTERPRETED else []


@pytest.fixture(params=[LlamaForCausalLM, Qwen2ForCausalLM])
def model(request):
    torch.manual_seed(0)
    config = (LlamaConfig if request.param is LlamaForCausalLM else Qwen2Config)(**SHAPE, num_key_value_heads=2)
    made = request.param(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(4) if parameter.ndim == 2 else parameter.add_(torch.randn_like(parameter) / 10)
    transformer.fuse(made)
    return made


def batch(drawn: Sampling = PLAIN) -> Batch:
    """Groups of 3, 1, 5 and 2 rows on prompts of 7, 4, 2 and 11 tokens; one answer of a single token."""
    rng = np.random.default_rng(0)
    rows, group, first = [], [], []
    for g, (n, prompt) in enumerate([(3, 7), (1, 4), (5, 2), (2, 11)]):
        question = rng.integers(0, 50, prompt)
        for i in range(n):
            rows.append(np.concatenate([question, rng.integers(0, 50, 1 if (g, i) == (2, 1) else rng.integers(1, 9))]))
            group.append(g)
            first.append(prompt)
    tokens = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros(tokens.shape, np.float32)
    for i, row in enumerate(rows):
        tokens[i, : len(row)], mask[i, first[i] : len(row)] = row, 1
    ones = np.ones(len(rows), np.float32)
    return Batch(tokens, mask, -mask, ones, np.array(group), ones, np.array([len(r) for r in rows]), drawn)


def gradients(model: Any, value: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    (value * torch.linspace(-1, 2, value.numel()).view(value.shape)).sum().backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(("drawn", "logit_bytes"), [(PLAIN, 2**20), (Sampling(0.7), 5 * 200)])  # at once, or five tokens
def test_logprobs_and_gradient_are_those_of_a_processor(model, recompute, drawn, logit_bytes, monkeypatch):
    data, rows = batch(drawn), np.arange(11)
    theirs = logprobs.scores(model, data, rows, reference=model, entropy=drawn is PLAIN)
    expected = gradients(model, theirs.logp)
    monkeypatch.setattr(train_fused, "DEVICES", ("cpu", "cuda"))
    monkeypatch.setattr(train_fused, "LOGIT_BYTES", logit_bytes)
    if INTERPRETED:
        monkeypatch.setattr(train_fused, "ops", lambda x: train_fused.kernels())
    ours = logprobs.scores(model, data, rows, recompute, reference=model, entropy=drawn is PLAIN)
    for name in ("logp", "reference", "entropy"):
        if getattr(theirs, name) is not None:
            torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-5, atol=1e-5)
    found = gradients(model, ours.logp)
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-4)


class Plain:
    """Flash attention's contract, written out: one softmax for each stretch of queries and its stretch of keys."""

    @staticmethod
    def scores(q: Tensor, k: Tensor, causal: bool) -> Tensor:
        k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
        found = torch.einsum("qhe,khe->hqk", q, k) * q.shape[-1] ** -0.5
        return found.masked_fill(torch.ones(found.shape[1:]).triu(1) > 0, float("-inf")) if causal else found

    @staticmethod
    def forward(q, k, v, ends, longest, causal):
        out, log = torch.zeros_like(q), torch.zeros(q.shape[1], len(q))
        for a, b, c, d in zip(ends[0], ends[0][1:], ends[1], ends[1][1:], strict=False):
            assert b - a <= longest[0] and d - c <= longest[1]
            found = Plain.scores(q[a:b], k[c:d], causal)
            log[:, a:b] = found.logsumexp(-1)
            mixed = v[c:d].repeat_interleave(q.shape[1] // v.shape[1], dim=1)
            out[a:b] = torch.einsum("hqk,khe->qhe", found.softmax(-1), mixed)
        return out, log, None

    @staticmethod
    def backward(g, given, ends, longest, causal, state):
        q, k, v, out, log = given
        dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
        shared = q.shape[1] // k.shape[1]
        for a, b, c, d in zip(ends[0], ends[0][1:], ends[1], ends[1][1:], strict=False):
            p = (Plain.scores(q[a:b], k[c:d], causal) - log[:, a:b, None]).exp()
            wide_v, wide_k = (t[c:d].repeat_interleave(shared, dim=1) for t in (v, k))
            dp = torch.einsum("qhe,khe->hqk", g[a:b], wide_v)
            ds = p * (dp - (g[a:b] * out[a:b]).sum(-1).t()[..., None]) * q.shape[-1] ** -0.5
            dq[a:b] = torch.einsum("hqk,khe->qhe", ds, wide_k)
            dk[c:d] = torch.einsum("hqk,qhe->khe", ds, q[a:b]).unflatten(1, (-1, shared)).sum(2)
            dv[c:d] = torch.einsum("hqk,qhe->khe", p, g[a:b]).unflatten(1, (-1, shared)).sum(2)
        return dq, dk, dv


@pytest.mark.parametrize(
    ("shared", "lengths"),
    [
        ([0, 0], [5, 3]),
        ([3, 3, 3], [5, 4, 9]),
        ([3, 0, 2, 2], [5, 4, 6, 3]),  # a row without a beginning amid others
        ([3, 3, 4], [3, 3, 6]),  # a beginning that nothing continues
    ],
)
def test_stretches_joined_by_their_logarithms_are_one_softmax(shared, lengths):
    torch.manual_seed(0)
    origin = np.unique(np.array(shared), return_inverse=True)[1].tolist()
    rows = [np.concatenate([np.arange(s), 50 + 10 * i + np.arange(n - s)]) for i, (s, n) in enumerate(zip(shared, lengths))]
    packed = packing.pack(rows, shared, origin)
    size = len(packed.tokens)
    q, k, v = (torch.randn(size, heads, 8, requires_grad=True) for heads in (4, 2, 2))
    theirs = packed.attend(0, q, k, v)
    weight = torch.randn_like(theirs)
    expected = torch.autograd.grad((theirs * weight).sum(), (q, k, v))
    ours = train_fused.attend(q, k, v, packed.stretches, Plain)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    for a, b in zip(torch.autograd.grad((ours * weight).sum(), (q, k, v)), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
