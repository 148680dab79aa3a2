"""What a set is worth: each measure moves where its own defect is planted, and nowhere else."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest

from sharpen.core import Task
from sharpen.data import containment, measures

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def story(i: int) -> Task:
    rng = random.Random(i)
    words = " ".join("".join(rng.choices(LETTERS, k=5)) for _ in range(12))
    a, b = rng.randint(10, 99), rng.randint(10, 99)
    solution = f"{a} + {b} = {a + b}\n<answer>{a + b}</answer>"
    question = ({"role": "user", "content": f"{words} {a} and {b}: how many in all?"},)
    return Task(question, str(a + b), "story", 1 + i % 2, verifier="number", solution=solution)


TASKS = [story(i) for i in range(60)]


def report(tasks: list[Task]) -> dict[str, float | None]:
    found = measures.copies(tasks)
    parts = (measures.quality(tasks, found), measures.diversity(tasks, found), measures.complexity(tasks))
    return {name: value for part in parts for name, value in part.items()}


def test_twice_the_same_leaves_quality_and_complexity_and_lowers_diversity():
    once, twice = report(TASKS), report(TASKS * 2)
    for name in ("with_solution", "solutions_right", "contradictions", "words", "numbers", "solution_steps", "arms"):
        assert twice[name] == once[name], name
    assert once["unique"] == 1.0 and twice["unique"] == 0.5
    assert all(twice[name] < once[name] for name in ("forms", "distinct_2", "distance"))


def test_wrong_solutions_and_contradictions_are_quality():
    wrong = [dataclasses.replace(task, solution="<answer>0</answer>") for task in TASKS[:15]]
    assert report(wrong + TASKS[15:])["solutions_right"] == 0.75 and report(TASKS)["solutions_right"] == 1.0
    other = [dataclasses.replace(task, answer="0", solution=None) for task in TASKS[:5]]
    found = report(TASKS + other)
    assert found["contradictions"] == 5 and found["with_solution"] == pytest.approx(60 / 65)
    assert len(measures.copies(TASKS + other).kept(TASKS + other)) == 60
    assert report([])["unique"] == 0 and report([])["words"] is None


def test_effective_arms_and_distance_by_hand():
    """Two arms of 30 each are two. Of two equal rows and one across, the mean cosine of two is 1/3."""
    assert report(TASKS)["arms"] == pytest.approx(2)
    rows = np.array([[1.0, 0], [1, 0], [0, 1]], np.float32)
    assert measures.spread(rows) == pytest.approx(2 / 3) and measures.spread(rows[:1]) == 0
    # Variances 2 and 1 in two directions: 3² / (4 + 1).
    spread = np.array([[np.sqrt(2), 0], [-np.sqrt(2), 0], [0, 1], [0, -1]]) + [7, 7]
    assert measures.dimensions(spread) == pytest.approx(9 / 5) and measures.dimensions(rows[:2]) == 0


def test_actions_that_agree_in_like_states_diverge_less():
    rng = np.random.default_rng(0)
    states = measures.unit(np.repeat(rng.normal(size=(10, 8)), 6, axis=0) + 0.01 * rng.normal(size=(60, 8)))
    own = measures.unit(np.repeat(rng.normal(size=(10, 8)), 6, axis=0))
    noisy = measures.unit(own + 0.5 * rng.normal(size=own.shape))
    found = [measures.action_divergence(states, actions, 5) for actions in (own, noisy, own[rng.permutation(60)])]
    assert found[0] == pytest.approx(0, abs=1e-6) and found[0] < found[1] < found[2]
    nearest, cosines = measures.neighbours(states, 5)
    assert all({*row} == {*range(i // 6 * 6, i // 6 * 6 + 6)} - {i} for i, row in enumerate(nearest.tolist()))
    assert (np.diff(cosines, axis=1) <= 0).all()
    assert measures.imitation(TASKS[:5]) == {"action_divergence": None, "state_similarity": None}


# Sets within sets


def test_containment_narrows_down_and_loses_none():
    extra = dataclasses.replace(TASKS[3], prompt=({"role": "user", "content": "of no other set at all, and as long as these"},))
    sets = {
        "whole": TASKS,
        "half": TASKS[:30],
        "odd": TASKS[1::2],
        "more": [*TASKS[:30], extra],
        "copy": list(TASKS),
        "other": [story(i) for i in range(100, 130)],
    }
    true = {("half", "whole"), ("odd", "whole"), ("copy", "whole"), ("whole", "copy"), ("half", "copy"), ("odd", "copy")}
    true |= {("half", "more")}
    steps = [containment.schema(sets)]
    steps.append(containment.ranges(sets, steps[0]))
    last = {(a, b) for a, b, share in containment.content(sets, steps[1])}
    assert true <= {*steps[1]} <= {*steps[0]} and last == true
    shares = {(a, b): share for a, b, share in containment.contained(sets, least=0.9)}
    assert shares["more", "whole"] == pytest.approx(30 / 31) and ("other", "whole") not in shares
    # What is left holds every text; of the two that are equal the first stays.
    assert containment.redundant(sets) == ["odd", "half", "copy"]
