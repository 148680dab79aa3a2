"""What a curriculum may ask the loop for by name, and where that is kept between steps and resumed from.

    progress     share of the budget used, 0 to 1
    totals       {arm: scored training rollouts so far}, where `history` forgets
    evaluations  validation results of the accepted rounds, oldest first: for the skill map (skills.py), never to be trained on
    attempts     `Attempts`: every single task of the pool, what was tried of it, and `attempts.draw(number)`
    kept         a dict of arrays for what a curriculum learns itself: saved with the checkpoint, back on resume, and taken back
                 with the weights when a round is rolled back

Only what is asked for, by the curriculum or the grower, is built. All of it is a function of the store and the checkpoint, so a
resumed run sees the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from sharpen.core import Arm, Evaluation, Sample, Task, TaskSource
from sharpen.curriculum.attempts import Attempts, TaskRow
from sharpen.recipe import Recipe, asked_for
from sharpen.store import Store
from sharpen.store import growth as stored

KEPT = "curriculum.arrays"  # in the format of safetensors; another ending, for it is no part of the model


@dataclass
class Lessons:
    """The state behind the offers of one run. Empty, and free of cost, where the recipe's curriculum asks for none."""

    wanted: frozenset[str]
    totals: dict[Arm, int] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)
    attempts: Attempts | None = None
    kept: dict[str, np.ndarray] = field(default_factory=dict)

    def offers(self, progress: float) -> dict[str, Any]:
        """Everything by name; `attempts` is None unless it was asked for."""
        return {
            "progress": progress,
            "totals": self.totals,
            "evaluations": self.evaluations,
            "attempts": self.attempts,
            "kept": self.kept,
        }

    def observe(self, step: int, samples: Sequence[Sample]) -> list[TaskRow]:
        """Take in judged samples. Returns what the store must keep of single tasks."""
        if "totals" in self.wanted:
            for s in samples:
                self.totals[s.rollout.task.arm] = self.totals.get(s.rollout.task.arm, 0) + (s.verdict.reward is not None)
        return self.attempts.observe(step, samples) if self.attempts else []

    def grow(self, source: TaskSource, tasks: Sequence[Task]) -> None:
        """Take in the tasks that a round has grown, which `source` draws too."""
        if self.attempts and tasks:
            self.attempts.extend(source, tasks)

    def save(self, checkpoint: Path) -> None:
        """Put `kept` beside a checkpoint's weights; nothing where there is nothing."""
        if self.kept:
            from safetensors.numpy import save_file

            arrays = {name: np.ascontiguousarray(array) for name, array in sorted(self.kept.items())}
            save_file(arrays, checkpoint / KEPT)

    def load(self, checkpoint: Path) -> None:
        """`kept` as it was at that checkpoint."""
        self.kept.clear()
        if (checkpoint / KEPT).exists():
            from safetensors.numpy import load_file

            self.kept.update(load_file(checkpoint / KEPT))


def begin(recipe: Recipe, source: TaskSource, seed: int, store: Store, grown: TaskSource | None = None) -> Lessons:
    """As of the last commit. Evaluations come later, by `recall`: a new run has none yet.

    grown  the source with what has grown so far
    """
    lessons = Lessons(frozenset(asked_for(recipe.curriculum) | asked_for(recipe.grow)))
    if "attempts" in lessons.wanted:
        lessons.attempts = Attempts(source, seed, recipe.pool)
        for _, found in groupby(stored.grown(store), key=itemgetter(0)):
            lessons.attempts.extend(grown or source, [task for _, task in found])
        rows = store.rows("SELECT step, number, n, successes FROM task_stats ORDER BY rowid", deadline=600)
        lessons.attempts.add([tuple(row) for row in rows])
    if "totals" in lessons.wanted:
        rows = store.rows("SELECT family, level, sum(n) FROM arm_stats GROUP BY family, level")
        lessons.totals.update({Arm(family, level): n for family, level, n in rows})
    return lessons


def recall(lessons: Lessons, store: Store) -> None:
    """Read the accepted rounds' evaluations."""
    if "evaluations" in lessons.wanted:
        rounds = [r["round"] for r in store.rounds() if r["accepted"]]
        lessons.evaluations[:] = [e for e in (store.evaluation(r, "validation") for r in rounds) if e is not None]
