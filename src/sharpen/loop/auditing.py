"""A learnt reward looked at after every round: against the verifier on held-out tasks, and against scripted hackers.

Nothing is learnt from either. What comes of it is kept in the run's meta, `audits`, a row for each round; the doctor reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sharpen.audit import learnt
from sharpen.core import Rollout, Sample, Task
from sharpen.loop.session import Run
from sharpen.rollouts import RoleJudges
from sharpen.verify import LEARNT

TASKS = 6  # held-out tasks that the hackers are let loose on; each is judged some sixteen times
NOTHING = np.zeros(0)


def look(this: Run, step: int, number: int) -> None:
    """Audit the reward of a round that has just been measured, where one is learnt."""
    judges = this.judges
    seen = [s for s in judges.latest if s.verdict.reward is not None] if isinstance(judges, RoleJudges) else []
    seen = [s for s in seen if LEARNT in s.verdict.parts]
    if not seen:
        return
    this.store.settle()
    before = list(this.store.meta().get("audits", []))
    with this.timed("evaluate", step):
        found = learnt.calibration([s.verdict.parts[LEARNT] for s in seen], [s.verdict.correct for s in seen])
        tasks = [task for listed in this.held_out["validation"].values() for task in listed]
        acts = act(judges, tasks[:: max(len(tasks) // TASKS, 1)][:TASKS], f"audit.{number:05d}")
    before = [*(row for row in before if row["round"] != number), {"round": number, **learnt.as_json(found, acts)}]
    this.store.add_meta("audits", before)
    this.progress.say(f"learnt reward: {told(found, acts)}")


def act(judges: Any, tasks: Sequence[Task], prefix: str) -> list[learnt.Act]:
    """Let the hackers loose on these tasks. They are judged as training tasks are: in an evaluation the verifier may stand in
    where a judge cannot be read."""
    listed = learnt.scripts([replace(task, split="train") for task in tasks])
    made = [scripted(task, said, f"{prefix}.{i:04d}") for i, (task, _, _, said) in enumerate(listed)]
    judged: list[Sample] = judges.judge(made, range(len(made)))
    return learnt.gallery(listed, [s.verdict.parts.get(LEARNT, s.verdict.reward) for s in judged])


def scripted(task: Task, said: str, name: str) -> Rollout:
    """A rollout that nobody sampled: the text alone."""
    return Rollout(task, NOTHING.astype(np.int32), NOTHING > 0, NOTHING, (said,), "end", 0, 0, name)


def told(found: learnt.Calibration | None, acts: Sequence[learnt.Act]) -> str:
    """An audit in words."""
    parts = []
    if found:
        ranks = "only one kind of answer seen" if found.auc is None else f"right above wrong in {found.auc:.0%} of pairs"
        parts.append(f"{ranks}, off by {found.error:.2f} on {found.n} held-out answers")
    if fooled := sorted((a for a in acts if a.fooled > 0), key=lambda a: -a.fooled):
        names = ", ".join(f"{a.name} {a.fooled:.0%}" for a in fooled[:3])
        parts.append(f"wrong answers dressed up that it pays as right ones: {names}")
    elif acts:
        parts.append("no scripted hacker fools it")
    return "; ".join(parts)
