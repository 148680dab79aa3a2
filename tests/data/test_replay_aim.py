"""What is replayed: by what the curriculum chose, where success is rare, and what is young."""

from __future__ import annotations

from collections import Counter, deque

import numpy as np
import pytest

from sharpen.core import Arm, Rollout, Sample, Task, Verdict
from sharpen.data import replay

A, B, C = Arm("a", 1), Arm("a", 2), Arm("b", 1)
NONE = np.zeros(1, np.int32), np.zeros(1, bool), np.zeros(1, np.float32)


def task(arm: Arm, number: int = 0) -> Task:
    return Task(({"role": "user", "content": f"{arm} {number}"},), "1", arm.family, arm.level)


def success(arm: Arm, version: int) -> Sample:
    return Sample(Rollout(task(arm, version), *NONE, ("1",), "end", version, 0, f"{arm}.{version}"), Verdict("correct", 1.0), 0)


MEMORY = {arm: deque(success(arm, version) for version in (0, 10, 20)) for arm in (A, B, C)}


def arms(found: list[Sample]) -> Counter:
    return Counter(s.rollout.task.arm for s in found)


def test_without_an_aim_it_is_what_it_was():
    plain = replay.recall(MEMORY, 50, np.random.default_rng(3))
    assert [s.rollout.id for s in plain] == [
        s.rollout.id for s in replay.recall(MEMORY, 50, np.random.default_rng(3), (), None)
    ]


def test_weights_are_what_was_drawn_times_how_rare_a_success_is():
    weights = replay.wanted([task(A), task(A), task(B)], {A: 0.25, B: 0.75})
    assert weights == {A: 0.5, B: 0.75}
    found = arms(replay.recall(MEMORY, 4000, np.random.default_rng(0), (), replay.Aim(weights, focus=1.0)))
    assert found[C] == 0 and found[B] / found[A] == pytest.approx(1.5, rel=0.1)


def test_the_rest_is_even_and_so_is_all_where_nothing_that_was_drawn_has_a_success():
    half = arms(replay.recall(MEMORY, 4000, np.random.default_rng(0), (), replay.Aim({A: 1.0}, focus=0.5)))
    assert half[C] == pytest.approx(4000 / 6, rel=0.15) and half[A] == pytest.approx(4000 * 2 / 3, rel=0.05)
    other = arms(replay.recall(MEMORY, 3000, np.random.default_rng(0), (), replay.Aim({Arm("x", 1): 1.0}, focus=1.0)))
    assert min(other.values()) > 900
    assert replay.recall({}, 5, np.random.default_rng(0), (), replay.Aim({A: 1.0}, focus=1.0)) == []


def test_a_success_counts_half_after_each_half_life():
    aim = replay.Aim({}, half_life=10, now=20)
    ages = Counter(s.rollout.version for s in replay.recall(MEMORY, 7000, np.random.default_rng(0), (), aim))
    assert ages[20] == pytest.approx(4000, rel=0.05) and ages[10] == pytest.approx(2000, rel=0.1)
    old = replay.Aim({}, half_life=0.001, now=10**6)  # all too old to tell apart: as likely as each other
    assert len(replay.recall(MEMORY, 9, np.random.default_rng(0), (), old)) == 9
