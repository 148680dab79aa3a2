"""The look before the first step: how the answers came out that everything is compared with, and whether learning can begin."""

from __future__ import annotations

from functools import partial

import numpy as np

from sharpen import rollouts, verify
from sharpen.core import Batch, Tally
from sharpen.guard import baseline, doctor
from sharpen.loop.session import Run
from sharpen.objectives import active
from sharpen.recipe import Recipe, asked_for, first_objective
from sharpen.store import evaluations
from sharpen.terminal import tables

OWN = (
    rollouts.single,
    rollouts.self_correct,
    rollouts.retry,
    rollouts.with_tools,
)  # rollouts in which the student alone finds the answer


def look(this: Run) -> list[doctor.Diagnosis]:
    """Say how the first answers came out, by arm and with some of them verbatim where something is wrong; what that is."""
    seen = [e for purpose in ("before", "validation") if (e := this.store.evaluation(0, purpose))]
    told = sum((e.tally for e in seen), Tally())
    if not told.judged:
        return []
    this.progress.say(f"before the first step: {baseline.words(told)}")
    verifiers = {name for (name,) in this.store.rows("SELECT DISTINCT verifier FROM tasks WHERE split <> 'train'")}
    found = baseline.look(
        told,
        verify.instructed(verifiers),
        max_tokens=max(stage.recipe.max_tokens for stage in this.stages),
        hopeless=not this.at.number and on_its_own(this.recipe) and not earned(this),
        limit=this.recipe.unreadable_limit,
    )
    if found:
        by_arm = [(arm, tally) for e in seen[:1] for arm, tally in e.tallies.items() if tally.judged]
        for arm, tally in by_arm:
            this.progress.say(f"  {arm}: {baseline.words(tally)}")
        for sample in evaluations.examples(this.store.rows, "before"):
            this.progress.say(tables.said(baseline.example(sample)))
    return found


def earned(this: Run) -> bool:
    """Whether any answer earned a part of a reward."""
    return bool(
        this.store.rows(
            "SELECT 1 FROM verdicts v JOIN rollouts r ON r.id = v.rollout"
            " WHERE r.purpose IN ('before', 'validation') AND v.reward > 0 LIMIT 1"
        )
    )


def on_its_own(recipe: Recipe) -> bool:
    """Whether a recipe learns from nothing but rewards of the student's own answers, so that a step in which none earns
    anything teaches nothing: no worked solutions, no other model, no growth, no objective that learns from failures."""
    inner = recipe.rollout.func if isinstance(recipe.rollout, partial) else recipe.rollout
    if inner not in OWN or recipe.roles or asked_for(recipe.select) or asked_for(recipe.grow):
        return False
    rows, ones = np.ones((2, 2), np.float32), np.ones(2, np.float32)
    nothing = Batch(
        rows.astype(np.int64), rows * [0, 1], -rows, 0 * ones, np.zeros(2, np.int64), ones, np.full(2, 2), recipe.sampling
    )
    tableau = first_objective(recipe)
    return not tableau.reference and not tableau.returns and not active(tableau, nothing).any()
