"""Words that a teacher put into an answer, and a temperature that is looked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sharpen.core import Sample, UserError
from sharpen.data import keep_all
from sharpen.objectives import entropy, example, hybrid, policy_gradient
from sharpen.recipes.played import answers


def coefficient(p, good=True, **knobs):
    """Of a given word with probability p, in an answer whose advantage is sqrt(2) or -sqrt(2) / 2 over three answers."""
    rewards = [0, 0, 1] if good else [1, 1, 0]
    made = example(hybrid.thinking(**knobs), [rewards], ratio=np.e * p, forced=[2])
    own = example(policy_gradient.grpo(), [rewards])
    return made[2, 0] / own[2, 0]


def test_as_released_the_factor_is_p_over_p_less_a_thousandth():
    """2 at p = 0.002, about 1 where p is large (the formula sheet's table)."""
    factors = [coefficient(p, released=True) for p in (0.002, 0.01, 0.5)]
    assert np.allclose(factors, [2.0, 0.01 / 0.009, 0.5 / 0.499])
    assert coefficient(0.0009, released=True) == pytest.approx(1.0001)  # a denominator below 0


def test_as_written_what_went_well_counts_more_and_what_went_badly_less():
    """gamma = 0.001 - 0.002 (4 - A) / 8 turned round: -0.001 at A = 4, 0.001 at A = -4."""
    a = 2**0.5
    assert coefficient(0.01) == pytest.approx(0.01 / (0.01 + 0.001 - 0.002 * (a + 4) / 8), rel=1e-4)
    assert coefficient(0.02, good=False) < 1 < coefficient(0.02)


def test_a_rare_word_of_a_bad_answer_is_held_to_the_policy_before_the_step():
    """In `example` that gave every word e^-1: this one has gone below the trust region, and is left alone."""
    assert coefficient(0.005, good=False) == 0.0 != coefficient(0.02, good=False)
    with pytest.raises(UserError, match="low <= high"):
        hybrid.thinking(low=0.1, high=-0.1)


def test_the_temperature_for_an_entropy_is_found_by_bisection_or_there_is_none():
    logits = np.random.default_rng(0).normal(scale=2.0, size=(200, 50))
    for target in (0.5, 1.5, 2.5):
        found = entropy.temperature_for(logits, target)
        scaled = logits / found
        p = np.exp(scaled - scaled.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        assert abs(-(p * np.log(p)).sum(1).mean() - target) < 0.011
    assert entropy.temperature_for(logits, 3.95) is None and entropy.temperature_for(50 * logits, 0.3) is None


def drawn(nats: float) -> list[Sample]:
    """An answer, each of its tokens drawn with probability exp(-nats)."""
    return [replace(s, rollout=replace(s.rollout, logprobs=np.full(4, -nats))) for s in answers(("4", 1))]


def test_entropy_is_steered_to_its_target_and_nothing_moves_without_tokens():
    """On logits of one shape: from 1, and from far off, within 60 steps."""
    logits = np.random.default_rng(1).normal(scale=3.0, size=(64, 40))
    notes: dict = {}
    for _ in range(60):
        t = notes.get("temperature", 0.85)
        scaled = logits / t
        p = np.exp(scaled - scaled.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        nats = float(-(p * np.log(np.maximum(p, 1e-300))).sum(1).mean())
        kept = entropy.tempered(drawn(nats), 0.3, temperature=t, notes=notes)
    assert abs(nats - 0.3) < 0.02 and len(kept) == 1 and notes["entropy"] == pytest.approx(nats)
    before = dict(notes)
    assert entropy.tempered([], 0.3, then=keep_all, temperature=1.0, notes=notes) == [] and notes == before
    for nats, times in ((100.0, np.exp(-0.1)), (0.3, 1.0)):  # however far off, by a tenth at most
        entropy.tempered(drawn(nats), 0.3, temperature=1.0, notes=notes)
        assert notes["temperature"] == pytest.approx(times)
    with pytest.raises(UserError, match="target"):
        entropy.tempered([], 0.0, temperature=1.0, notes={})
