"""Remembered prompts: what goes on from them is what it would be without, and only what is new is run."""

from __future__ import annotations

import contextlib
from functools import partial

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from sharpen import models, tasks
from sharpen.core import PLAIN, Arm, Ask
from sharpen.models import embedded
from sharpen.models.engine import Prefixes, generate
from sharpen.rollouts import drive, retry, search

SHAPE = dict(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=2)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, num_key_value_heads=2, head_dim=16)),
}


@pytest.mark.parametrize("kind", MODELS)
def test_answers_behind_remembered_prompts_are_those_behind_whole_ones(kind):
    torch.manual_seed(0)
    model = MODELS[kind]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    rng = np.random.default_rng(0)
    known = Prefixes()
    roots = [rng.integers(8, 50, n).astype(np.int32) for n in (5, 9, 14)]
    leaves = [np.concatenate([root, rng.integers(8, 50, n).astype(np.int32)]) for root in roots for n in (1, 4, 7)]
    leaves.append(rng.integers(8, 50, 6).astype(np.int32))  # begins with nothing that is known

    def told(prompts, prefixes):
        asked = [generate.Request(p, i, 6, PLAIN, goes_on=True) for i, p in enumerate(prompts)]
        return generate.generate(model, asked, [7], 0, prefixes=prefixes)

    told(roots, known)
    assert known.tokens == 0
    for a, b in zip(told(leaves, known), told(leaves, None), strict=True):
        assert np.array_equal(a.tokens, b.tokens)
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-5)
    assert known.tokens == 3 * (5 + 9 + 14)
    told(leaves[:1], known)  # a prompt that is known itself is begun from the longest that is shorter
    assert known.tokens == 3 * (5 + 9 + 14) + 5


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first():
    known = Prefixes(largest=1000)
    for i in range(10):
        known.add([np.array([i, i], np.int32)], [torch.zeros(1, 1, 2, 16)], [torch.zeros(1, 1, 2, 16)])  # 256 bytes
    assert len(known.entries) == 3 and known.held <= 1000
    assert known.longest(np.array([0, 0, 1], np.int32)) == (0, ()) and known.longest(np.array([9, 9, 1], np.int32))[0] == 2


def test_a_tree_says_the_same_with_its_prefixes_remembered_and_nothing_is_kept_afterwards():
    source = tasks.parse_spec("chain_sum/1-2")
    student = models.LocalPolicy(*embedded.build("micro", source, 0), precision="fp32", device="cpu")
    task = source.draw(Arm("chain_sum", 1), "test", 0, 0)
    rollout = partial(search.tree, scored=12, step=3, steps=5, branch=2)
    how = dict(seed=0, max_tokens=24, sampling=PLAIN)
    (one,) = drive(student, rollout, [task], ["a"], **how)
    assert student.prefixes is None

    class Forgetful:
        """The same student, which remembers nothing."""

        version = 0

        def respond(self, *given):
            return student.respond(*given)

        def entropies(self, batch):
            return student.entropies(batch)

    (two,) = drive(Forgetful(), rollout, [task], ["a"], **how)
    assert np.array_equal(one.tokens, two.tokens) and len(one.branches) == len(two.branches)
    np.testing.assert_allclose(one.logprobs, two.logprobs, atol=1e-5)


def test_plain_questions_are_not_remembered():
    source = tasks.parse_spec("chain_sum/1-2")
    student = models.LocalPolicy(*embedded.build("micro", source, 0), precision="fp32", device="cpu")
    with student.remembering():
        student.respond([Ask(({"role": "user", "content": "1 + 1"},))], [0], 4, PLAIN)
        assert not student.prefixes.entries


class Forgetting(models.LocalPolicy):
    """A student that remembers nothing of what it has said."""

    remembering = contextlib.nullcontext


def test_a_next_turn_runs_only_what_is_new_and_says_what_it_would_say_behind_the_whole():
    source = tasks.step_chain()
    listed = [source.draw(Arm("step_chain", level), "train", i, 0) for level in (1, 4) for i in range(3) for _ in range(2)]
    rollout, ids = partial(retry, attempts=3), [str(i) for i in range(len(listed))]
    made, student = [], None
    for kind in (models.LocalPolicy, Forgetting):
        student = kind(*embedded.build("micro", source, 0), precision="fp32", device="cpu")
        known, before = [], Prefixes.keep

        def counted(self, tokens, kept, known=known, before=before):
            known.append(len(tokens))
            assert sum(part.shape[3] for part in kept) == len(tokens)
            before(self, tokens, kept)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Prefixes, "keep", counted)
            made.append(drive(student, rollout, listed, ids, seed=0, max_tokens=7, sampling=PLAIN))
        assert len(known) == (2 * len(listed) if kind is models.LocalPolicy else 0)  # of the last turn nothing is kept
    for one, two in zip(*made, strict=True):
        assert np.array_equal(one.tokens, two.tokens) and len(one.turns) == 3
        np.testing.assert_allclose(one.logprobs, two.logprobs, atol=1e-5)


def test_of_a_conversation_all_but_its_last_token_is_remembered():
    known, made = Prefixes(), (torch.zeros(1, 2, 1, 3, 2), torch.zeros(1, 2, 1, 1, 2))
    known.keep(np.arange(4, dtype=np.int32), made)
    assert known.longest(np.arange(9, dtype=np.int32), begun=5) == (4, made)
    assert known.longest(np.arange(9, dtype=np.int32), begun=8) == (0, ())  # something else is not looked for
    assert known.longest(np.arange(9, dtype=np.int32)) == (4, made)
