"""What the look at a model concludes, by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from sharpen.core import Sample, Verdict
from sharpen.loop import looking
from sharpen.loop.looking import Teaching
from sharpen.recipes import catalog

FRONTIER, GRPO = (replace(catalog.build(name), samples=8) for name in ("frontier", "grpo"))


def sample(right, tokens=10, stop="end", prompt=8):
    rollout = SimpleNamespace(n_sampled=tokens, tokens=[0] * (tokens + prompt), stop=stop)
    return Sample(rollout, Verdict("correct" if right else "wrong", float(right)), 0)


def test_what_answers_promise():
    found = looking.teaching([sample(r) for r in (1, 1, 0, 0)] + [sample(0) for _ in range(4)], 4, GRPO)
    assert found.right == 0.25
    assert found.variance == pytest.approx(4 / 3 * (0.25 + 0) / 2)
    assert found.tokens == 10 + 8 / 8  # eight answers share the reading of a prompt
    assert found.learnt == 0.5  # the other group is silent
    halved = looking.teaching([sample(r) for r in (1, 1, 0, 0)] + [sample(0) for _ in range(4)], 4, FRONTIER)
    assert halved.learnt == 0.25
    assert found.rate == pytest.approx(1000 * found.variance / 11)


def test_an_answer_that_was_cut_off_is_not_right():
    assert looking.teaching([sample(1, stop="length"), sample(1)], 2, GRPO).right == 0.5


def test_the_usual_choice_stays_unless_another_is_clearly_better():
    def ways(*variances):
        settings = [{"t": t, "s": s} for t in (1, 2) for s in ("a", "b")]
        return [(way, Teaching(0.2, v, 20)) for way, v in zip(settings, variances, strict=True)]

    assert looking.best(ways(0.10, 0.10, 0.10, 0.11)) == {"t": 1, "s": "a"}
    assert looking.best(ways(0.10, 0.08, 0.20, 0.18)) == {"t": 2, "s": "a"}  # 2 by both ways that have it
    assert looking.best(ways(0.10, 0.13, 0.10, 0.14)) == {"t": 1, "s": "b"}
    assert looking.best(ways(0.0, 0.0, 0.0, 0.0)) == {"t": 1, "s": "a"}  # a model that solves none of it


def test_a_step_of_more_answers_is_measured_with_more_where_there_is_time():
    listed = list(range(32))
    look = looking.Look(replace(GRPO, prompts=8, samples=8), None, listed, 0, until=float("inf"))
    assert looking.fuller(look, 4, 1.0) == [1, 2, 3, 4], "8 prompts of 8 answers, of which 4 are looked at anyway"
    assert looking.fuller(replace(look, recipe=replace(look.recipe, prompts=64)), 4, 1.0) == [1, 2, 3, 4]
    assert looking.fuller(replace(look, recipe=replace(look.recipe, prompts=4)), 4, 1.0) == []
    assert looking.fuller(replace(look, until=0.0), 4, 1.0) == []
