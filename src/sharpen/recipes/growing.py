"""A recipe's grower played without a model: what it asks of a toy round, and what it returns. For the checks of growth recipes.

The round: sums of two, three and four numbers (`noisy.sums`), four questions of each level, four answers to each, of which
RIGHT are right; for SwS and the like the same in each of three steps before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sharpen.core import Arm, ArmStats, Ask, Evaluation, Measure, Measured, Rollout, Sample, Task, Turn, Verdict
from sharpen.data import noisy
from sharpen.recipe import Recipe, call

RIGHT = {1: (4, 4, 4, 4), 2: (3, 2, 1, 2), 3: (0, 0, 1, 0)}  # of four answers to each question of a level
SOURCE = noisy.sums(3)
NOTHING = np.zeros(0)


def tasks() -> list[tuple[Task, int]]:
    """(question, right answers of four) of the toy round."""
    return [(SOURCE.draw(arm, "train", i, 0), k) for arm in SOURCE.arms for i, k in enumerate(RIGHT[arm.level])]


def round_of(listed: Sequence[tuple[Task, int]]) -> list[Sample]:
    """Four judged answers to each question; a wrong one is the right one plus 1 and 2 in turn."""
    made = []
    for group, (task, k) in enumerate(listed):
        for j in range(4):
            text = task.answer or "" if j < k else str(int(task.answer or 0) + 1 + j % 2)
            verdict = Verdict("correct", 1.0) if j < k else Verdict("wrong", 0.0)
            rollout = Rollout(task, NOTHING, NOTHING > 0, NOTHING, (text,), "end", 0, 0, f"{group}.{j}")
            made.append(Sample(rollout, verdict, group))
    return made


def play(
    made: Recipe, said: Callable[[Ask], str], seen: Sequence[Sample] | None = None, seed: int = 0
) -> tuple[list[Any], list[Ask]]:
    """(what the recipe's grower returns, what it asked), every Ask answered by `said`, every Measure with zeros."""
    samples = round_of(tasks()) if seen is None else list(seen)
    failed = [s for s in samples if not s.verdict.correct]
    arms = sorted({s.rollout.task.arm for s in samples})
    counts = {arm: [s.verdict.correct for s in samples if s.rollout.task.arm == arm] for arm in arms}
    history = {a: [ArmStats(step, a, len(c), sum(c), 0.0, 0) for step in range(3)] for a, c in counts.items()}
    evaluations = [Evaluation({arm: tuple(c) for arm, c in counts.items()})] if counts else []
    offers: dict[str, Any] = dict(seen=samples, source=SOURCE, evaluations=evaluations, history=history, progress=0.5)
    offers |= {"ask": lambda task: Ask(task.prompt), "totals": {arm: len(c) for arm, c in counts.items()}}
    grower, asks, answer = call(made.grow, failed, arms, np.random.default_rng(seed), **offers), [], None
    try:
        while True:
            wish = grower.send(answer)
            events = wish if isinstance(wish, list) else [wish]
            asks += [event for event in events if isinstance(event, Ask)]
            turns = [answered(event, said) for event in events]
            answer = turns if isinstance(wish, list) else turns[0]
    except StopIteration as end:
        return end.value, asks


def answered(event: Any, said: Callable[[Ask], str]) -> Any:
    if isinstance(event, Measure):
        return Measured(np.full(4, -0.1 * len(event.answer)), np.zeros(4))
    return Turn(said(event), NOTHING.astype(np.int32), NOTHING > 0, NOTHING, "end")


def grown(made: Recipe, said: Callable[[Ask], str], **how: Any) -> list[Task]:
    """The tasks alone."""
    return [item for item in play(made, said, **how)[0] if isinstance(item, Task)]


def by_role(**replies: Callable[[Sequence[Any]], str]) -> Callable[[Ask], str]:
    """Answers from one function of messages for each role; "" is `student`."""
    return lambda ask: replies[ask.role or "student"](ask.messages)


def arms(found: Sequence[Task]) -> dict[Arm, int]:
    """How many tasks there are of each arm."""
    counts: dict[Arm, int] = {}
    for task in found:
        counts[task.arm] = counts.get(task.arm, 0) + 1
    return dict(sorted(counts.items()))
