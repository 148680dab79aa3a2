"""A recipe's grower played without a model: what it asks of a toy round, and what it returns. For the checks of growth recipes.

The round: sums of two, three and four numbers (`noisy.sums`), four questions of each level, four answers to each, of which
RIGHT are right; for SwS and the like the same in each of three steps before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sharpen.core import ArmStats, Ask, Evaluation, Measure, Measured, Ran, Rollout, Run, Sample, Task, Turn, Verdict
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
    made: Recipe,
    said: Callable[[Ask], str],
    seen: Sequence[Sample] | None = None,
    evaluations: Sequence[Evaluation] | None = None,
) -> tuple[list[Any], list[Ask]]:
    """(what the recipe's grower returns, what it asked), every Ask answered by `said`, every Measure by log-probabilities that
    fall with the answer's length."""
    samples = round_of(tasks()) if seen is None else list(seen)
    failed = [s for s in samples if not s.verdict.correct]
    arms = sorted({s.rollout.task.arm for s in samples})
    counts = {arm: [s.verdict.correct for s in samples if s.rollout.task.arm == arm] for arm in arms}
    history = {a: [ArmStats(step, a, len(c), sum(c), 0.0, 0) for step in range(3)] for a, c in counts.items()}
    measured = [Evaluation({arm: tuple(c) for arm, c in counts.items()})] if evaluations is None else evaluations
    offers: dict[str, Any] = dict(seen=samples, source=SOURCE, evaluations=measured, history=history, progress=0.5)
    offers |= {"ask": lambda task: Ask(task.prompt), "totals": {arm: len(c) for arm, c in counts.items()}}
    grower = call(made.grow, failed, arms, np.random.default_rng(0), **offers)
    return driven(grower, said)


def driven(generator: Any, said: Callable[[Ask], str], ran: Callable[[Run], Ran] | None = None) -> tuple[Any, list[Ask]]:
    """(what a generator returns, what it asked)."""
    asks: list[Ask] = []
    answer = None
    try:
        while True:
            wish = generator.send(answer)
            events = wish if isinstance(wish, list) else [wish]
            asks += [event for event in events if isinstance(event, Ask)]
            got = [ran(event) if isinstance(event, Run) and ran else answered(event, said) for event in events]
            answer = got if isinstance(wish, list) else got[0]
    except StopIteration as end:
        return end.value, asks


def answered(event: Any, said: Callable[[Ask], str]) -> Any:
    if isinstance(event, Measure):
        return Measured(np.full(4, -0.1 * len(event.answer)), np.zeros(4))
    return Turn(said(event), NOTHING.astype(np.int32), NOTHING > 0, NOTHING, "end")


def grown(made: Recipe, said: Callable[[Ask], str], **how: Any) -> list[Task]:
    """The tasks alone."""
    return [item for item in play(made, said, **how)[0] if isinstance(item, Task)]


def of(kind: type, found: Sequence[Any]) -> list[Any]:
    """What is of one kind: Task, Weakness, Repair or Refused."""
    return [item for item in found if isinstance(item, kind)]


def teacher(wrong: float = 0.0) -> Callable[[Ask], str]:
    """One who writes sums, a share of them with a wrong answer, and who does and judges sums without fault."""
    writes, judges, solves = noisy.Teacher(wrong=wrong, fresh=True), noisy.Judge(), noisy.Solver()

    def said(ask: Ask) -> str:
        text = str(ask.messages[-1]["content"])
        who: Any = judges if "BEGIN" in text else writes if "new problem" in text or "its twin" in text else solves
        return str(who(ask.messages))

    return said


def true(task: Task) -> bool:
    """Whether the answer of a sum is its sum."""
    return task.answer == noisy.solve_sum(task)


def mislabelled(n: int) -> list[Sample]:
    """The toy round, of which the labels of the first `n` questions of level 2 are wrong, and every answer to them is right."""
    listed = tasks()
    second = [i for i, (task, _) in enumerate(listed) if task.level == 2][:n]
    for i in second:
        right = listed[i][0].answer or ""
        listed[i] = replace(listed[i][0], answer=str(int(right) + 5)), 0
    made = round_of(listed)
    said = {i: noisy.solve_sum(listed[i][0]) or "" for i in second}
    return [replace(s, rollout=replace(s.rollout, turns=(said[s.group],))) if s.group in said else s for s in made]


def by_level(found: Sequence[Any]) -> dict[int, int]:
    """How many tasks there are of each level."""
    return dict(sorted(Counter(task.level for task in of(Task, found)).items()))


def ways(found: Sequence[Any]) -> set[str]:
    """What the families of the tasks are named after: how they were made."""
    return {task.family.rpartition("_")[2] for task in of(Task, found)}


def asked_about(ask: Ask) -> str:
    """The sum in what is asked, in the words of its family."""
    return noisy.FORM.format(noisy.SUM.findall(str(ask.messages[-1]["content"]))[0])


def value(ask: Ask) -> str:
    """What that sum is."""
    return noisy.sum_in(asked_about(ask)) or ""
