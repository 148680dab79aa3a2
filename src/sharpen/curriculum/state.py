"""What a curriculum knows of a run beside its history. Only what it asks for is built; the names are those of loop/offers.py.

All of it but `kept` is a function of the store's rows, so a resumed run knows the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

import numpy as np

from sharpen.core import Arm, Evaluation, Sample, Task, TaskSource
from sharpen.curriculum.attempts import Attempts, TaskRow
from sharpen.curriculum.earlier import paths, read
from sharpen.recipe import Recipe, asked_for
from sharpen.store import Store
from sharpen.store import growth as stored

NAMES = ("totals", "evaluations", "attempts", "kept")  # what of it a curriculum can ask for


@dataclass
class State:
    """Empty, and free of cost, where the recipe's curriculum asks for none of it; `attempts` is None then.

    evaluations  only of rounds whose weights are in use; a guard or `control` may ask for them too
    retained     the same on the retention questions, which a guard alone may ask for
    kept         what the curriculum learns itself, by name
    """

    wanted: frozenset[str] = frozenset()
    totals: dict[Arm, int] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)
    retained: list[Evaluation] = field(default_factory=list)
    settled: tuple[int, int] = (0, 0)  # of both: those up to the accepted weights, which no later round takes back
    attempts: Attempts | None = None
    kept: dict[str, np.ndarray] = field(default_factory=dict)

    def observe(self, step: int, samples: Sequence[Sample]) -> list[TaskRow]:
        """Take in judged samples. Returns what the store must keep of single tasks."""
        if "totals" in self.wanted:
            for s in samples:
                self.totals[s.rollout.task.arm] = self.totals.get(s.rollout.task.arm, 0) + (s.verdict.reward is not None)
        return self.attempts.observe(step, samples) if self.attempts else []

    def close(self, answer: str, evaluation: Evaluation, retained: Evaluation | None = None) -> None:
        """Take in a round and what the guard said of it: one that is worse takes the unclear ones before it along."""
        if answer == "worse":
            del self.evaluations[self.settled[0] :], self.retained[self.settled[1] :]
        else:
            self.evaluations.append(evaluation)
            self.retained += [retained] if retained else []
        if answer == "better":
            self.settled = len(self.evaluations), len(self.retained)

    def grow(self, source: TaskSource, tasks: Sequence[Task]) -> None:
        """Take in the tasks that a round has grown and the labels that it has mended, which `source` draws."""
        if self.attempts and tasks:
            self.attempts.extend(source, tasks)
        elif self.attempts:
            self.attempts.source = source  # of which labels may have been mended


def begin(
    recipe: Recipe, source: TaskSource, seed: int, store: Store, grown: TaskSource | None = None, since: int = 0
) -> State:
    """As of the last commit. Evaluations come later, by `recall`: a new run has none yet. UserError where the curriculum is
    to learn from a run that cannot be read.

    grown  the source with what has grown so far
    since  the first step whose attempts count: tasks of a stage with arms of its own are numbered anew
    """
    if store.last_commit() is None:  # a path that is wrong is said before anything is done; later it is needed no more
        for path in paths(str(getattr(recipe.curriculum, "keywords", {}).get("earlier", ""))):
            read(path)
    slots = recipe.curriculum, recipe.guard, recipe.control, recipe.grow
    state = State(frozenset().union(*map(asked_for, slots)))
    if "attempts" in state.wanted:
        state.attempts = Attempts(source, seed, recipe.pool)
        for _, found in groupby(stored.grown(store), key=itemgetter(0)):
            state.attempts.extend(grown or source, [task for _, task in found])
        state.attempts.source = grown or source
        sql = "SELECT step, number, n, successes FROM task_stats WHERE step >= ? ORDER BY rowid"
        rows = store.rows(sql, (since,), deadline=600)
        state.attempts.add([tuple(row) for row in rows])
    if "totals" in state.wanted:
        rows = store.rows("SELECT family, level, sum(n) FROM arm_stats GROUP BY family, level")
        state.totals.update({Arm(family, level): n for family, level, n in rows})
    return state


def recall(state: State, store: Store) -> None:
    """Read the evaluations of the rounds so far."""
    if state.wanted & {"evaluations", "retained"}:
        for r in store.rounds():
            if (evaluation := store.evaluation(r["round"], "validation")) is not None:
                state.close(r["answer"], evaluation, store.evaluation(r["round"], "retention"))
