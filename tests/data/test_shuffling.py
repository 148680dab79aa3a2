"""Verdicts dealt anew: the same ones in each group, and nobody's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sharpen.core import Rollout, Sample, Task, Verdict
from sharpen.data import shuffled

TASK = Task(({"role": "user", "content": "?"},), "1", "sum", 1)
NONE = np.zeros(1, np.int32), np.zeros(1, bool), np.zeros(1, np.float32)


def sample(group: int, reward: float | None, number: int, credit: tuple[float, ...] = ()) -> Sample:
    outcome = "unscorable" if reward is None else "correct" if reward == 1 else "wrong"
    rollout = Rollout(TASK, *NONE, ("1",), "end", 0, number, f"{number}")
    return Sample(rollout, Verdict(outcome, reward, credit=credit), group)


def test_each_group_keeps_its_verdicts_and_what_was_unscorable_stays_so():
    given = [
        sample(g, r, i) for i, (g, r) in enumerate([(0, 1.0), (1, 0.0), (0, 0.0), (0, None), (1, 0.5), (0, 0.25), (1, 1.0)])
    ]
    dealt = shuffled(given, np.random.default_rng(0))
    assert [s.rollout for s in dealt] == [s.rollout for s in given] and dealt[3] is given[3]
    for group in (0, 1):
        before, after = (sorted(s.verdict.reward for s in part if s.group == group and s.verdict.reward is not None)
                         for part in (given, dealt))  # fmt: skip
        assert before == after
    assert all((s.verdict.reward == 1) == s.verdict.correct for s in dealt)
    assert {s.verdict.rule for i, s in enumerate(dealt) if i != 3} == {"shuffled"}


def test_rewards_have_nothing_to_do_with_the_answers_any_more():
    """The covariance within groups is 0 on average: of 4,000 groups of six, 0 give or take 1 / sqrt(4000 * 5)."""
    rng = np.random.default_rng(1)
    given = [sample(g, float(i < 3), 6 * g + i) for g in range(4000) for i in range(6)]
    rewards = np.array([s.verdict.reward for s in shuffled(given, rng)]).reshape(-1, 6)
    own = np.array([s.verdict.reward for s in given]).reshape(-1, 6)
    assert (rewards.sum(axis=1) == 3).all()
    correlation = ((rewards - 0.5) * (own - 0.5)).mean() / 0.25
    assert abs(correlation) < 4 / np.sqrt(4000 * 5)


def test_credit_goes_along_where_it_fits():
    two, one = sample(0, 1.0, 0, (0.5, 1.0)), sample(0, 0.0, 1, (0.0,))
    seeds = [shuffled([two, one], np.random.default_rng(seed)) for seed in range(8)]
    assert {tuple(s.verdict.credit for s in dealt) for dealt in seeds} == {((0.5, 1.0), (0.0,)), ((0.0, 0.0), (1.0,))}
    same = replace(one, verdict=Verdict("wrong", 0.0, credit=(0.0, 0.25)))
    dealt = [shuffled([two, same], np.random.default_rng(seed)) for seed in range(8)]
    assert {d[1].verdict.credit for d in dealt} == {(0.5, 1.0), (0.0, 0.25)}
