"""Hooks: nothing changes where one changes nothing, others read along token by token, and what is drawn is what is written
down, whatever the model, the company and who has left the batch."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from sharpen.core import Sampling, UserError
from sharpen.models.engine import generate
from sharpen.models.engine.hooked import Hooked

SHAPE = dict(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=2)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4)),
}
END = 7


def made(kind, seed=0):
    torch.manual_seed(seed)
    model = MODELS[kind]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    return model


@pytest.fixture(params=MODELS)
def kind(request):
    return request.param


def prompts(n, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.integers(8, 50, rng.integers(2, 9)).astype(np.int32) for _ in range(n)]


def asked(given, hooks, temperature=1.0):
    how = Sampling(temperature)
    return [generate.Request(p, 1000 + i, 4 + 2 * i, how, hook=h) for i, (p, h) in enumerate(zip(given, hooks, strict=True))]


def told(model, requests):
    return generate.generate(model, requests, [END], 0)


def same(step):
    return step.logits


def other(step):
    return step.beside[0]


def by_head(step):
    return step.head(step.hidden)


def counted(step, seen):
    """Each row's own count of its tokens, kept from step to step; it must stay with its row when others leave."""
    before = step.notes.get("n")
    step.notes["n"] = torch.zeros(len(step.logits)) if before is None else before + 1
    assert (step.notes["n"] == step.number).all()
    seen.append(len(step.logits))
    return step.logits


def test_a_hook_that_changes_nothing_changes_nothing_bit_for_bit(kind):
    model, given = made(kind), prompts(9)
    plain, hooked = told(model, asked(given, [None] * 9)), told(model, asked(given, [Hooked(same)] * 9))
    for a, b in zip(plain, hooked, strict=True):
        assert np.array_equal(a.tokens, b.tokens) and np.array_equal(a.logprobs, b.logprobs)


def test_who_reads_along_says_what_it_would_have_said_itself(kind):
    """Rows drawn from another model after other prompts, of other lengths and another order, are that model's own rows."""
    model, second, given, behind = made(kind), made(kind, 1), prompts(9), prompts(9, seed=2)
    along = told(model, asked(given, [Hooked(other, ((second, p),)) for p in behind]))
    alone = told(second, asked(behind, [None] * 9))
    for a, b in zip(along, alone, strict=True):
        assert np.array_equal(a.tokens, b.tokens)
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-5)


def test_hidden_states_are_those_before_the_head(kind):
    model, given = made(kind), prompts(6)
    for a, b in zip(
        told(model, asked(given, [None] * 6)), told(model, asked(given, [Hooked(by_head, (), True)] * 6)), strict=True
    ):
        assert np.array_equal(a.tokens, b.tokens)
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-5)


def test_notes_stay_with_their_rows_and_rows_without_a_hook_are_left_alone(kind):
    seen: list[int] = []
    model, given, hook = made(kind), prompts(10), Hooked(partial(counted, seen=seen))
    mixed = told(model, asked(given, [hook, None] * 5))
    plain = told(model, asked(given, [None] * 10))
    assert all(np.array_equal(a.tokens, b.tokens) for a, b in zip(mixed, plain, strict=True))
    assert seen[0] == 5 and seen[-1] < 5  # some left, and the counts held


def colder(step):
    return 2.0 * step.logits


def test_log_probabilities_are_those_that_were_drawn_from(kind):
    """Logits doubled at temperature 1 are temperature 1/2; and temperature comes after the hook."""
    model, given = made(kind), prompts(6)
    for mine, temperature in ((1.0, 0.5), (2.0, 1.0)):
        a = told(model, asked(given, [Hooked(colder)] * 6, mine))
        b = told(model, asked(given, [None] * 6, temperature))
        for x, y in zip(a, b, strict=True):
            assert np.array_equal(x.tokens, y.tokens)
            np.testing.assert_allclose(x.logprobs, y.logprobs, atol=1e-6)


def wrong(step):
    return step.logits[:, :3]


def test_a_hook_that_returns_something_else_is_told_so():
    with pytest.raises(UserError, match=r"shape \(1, 50\), and this one returned a tensor of shape \(1, 3\)"):
        told(made("llama"), asked(prompts(1), [Hooked(wrong)]))
