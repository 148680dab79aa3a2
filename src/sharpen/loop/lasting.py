"""What a stage has of those before it: right answers to practise again, and what an objective keeps of the weights.

Both are functions of what is committed, so they are made anew where a run was killed before they were whole:

1. `Run.earlier`: the right answers of earlier stages, of each arm the latest KEEP. What another version of its verifier judged
   is left out, and said: its answer may no longer be right.
2. RUN/past-N/past.safetensors: what the objective of stage N keeps (`Tableau.keep`), written once, as the stage begins.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from safetensors.torch import load_file, save_file

from sharpen.core import Batch, Passage, Sample
from sharpen.data import make_batch
from sharpen.hashing import derive
from sharpen.loop.session import Run
from sharpen.recipe import asked_for, first_objective
from sharpen.store import checkpoints

KEEP = 1000  # right answers of each arm that can be practised again
LATEST = 512  # of the stage before, rollouts that an objective may look at as the next one begins
ROWS = 8  # of them in a batch
NEWEST = """
SELECT t.verifier, v.verifier_version, max(r.rowid) FROM rollouts r JOIN verdicts v ON v.rollout = r.id
JOIN tasks t ON t.id = r.task WHERE v.outcome = 'correct' GROUP BY t.verifier
"""
LEARNT = "SELECT rollout FROM batches WHERE step >= ? AND step < ? ORDER BY rowid DESC LIMIT ?"


def take_up(this: Run) -> None:
    """Have what the present stage has of those before it."""
    if "earlier" in asked_for(this.recipe.select):
        this.earlier[:] = earlier(this)
    keep = first_objective(this.recipe, this.at.number).keep
    this.policy.past = {}
    if keep is None:
        return
    place = this.store.directory / f"past-{this.at.number}"
    if not place.exists():
        before = this.store.directory / f"past-{this.at.number - 1}" / "past.safetensors"
        past = load_file(checkpoints.verify(before.parent) / before.name) if before.exists() else {}
        seed = derive(this.seed, this.at.number, "passage")
        found = dict(keep(Passage(this.policy, this.at.number, learnt(this), past, seed)))
        aside = place.with_name("past.partial")
        shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed here
        aside.mkdir()
        save_file({name: tensor.contiguous().cpu() for name, tensor in found.items()}, aside / "past.safetensors")
        checkpoints.stamp(aside)
        aside.rename(place)
    place_of = {n: t.device for n, t in getattr(this.policy, "trained", {}).items()}
    kept = load_file(checkpoints.verify(place) / "past.safetensors")
    this.policy.past = {name: t.to(place_of.get(name.partition(":")[2], "cpu")) for name, t in kept.items()}


def earlier(this: Run) -> list[Sample]:
    """Right answers of the stages before, oldest first, as their present verifier judged them."""
    if this.at.number == 0:
        return []
    newest = {verifier: version for verifier, version, _ in map(tuple, this.store.rows(NEWEST, deadline=600))}
    found = this.store.successes(KEEP, this.at.step)
    same = [s for s in found if s.verdict.version == newest.get(s.rollout.task.verifier, s.verdict.version)]
    if len(same) < len(found):
        this.progress.say(
            f"{len(found) - len(same):,} of {len(found):,} earlier right answers are not practised again: another version of "
            "their verifier judged them. To judge them again, begin a new run."
        )
    return [s for s in same if s.rollout.task.id not in this.grown.repairs]


def learnt(this: Run) -> Sequence[Batch]:
    """What the stage before learnt from last, oldest first, in small batches without groups; none before the first stage."""
    if this.at.number == 0:
        return []
    begun = this.store.meta()["stages"]
    first = begun[-2]["step"] if len(begun) > 1 else this.recipe.warmup_steps
    ids = [row[0] for row in this.store.rows(LEARNT, (first, this.at.step, LATEST))][::-1]
    found = [s for s in this.store.read_named(ids) if s.verdict.reward is not None]
    alone = [
        replace(s, group=i, rollout=replace(s.rollout, logprobs=np.zeros_like(s.rollout.logprobs))) for i, s in enumerate(found)
    ]
    return [make_batch(alone[i : i + ROWS], this.recipe.sampling) for i in range(0, len(alone), ROWS)]
