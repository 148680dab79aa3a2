"""One step's learning: which samples, in how many updates, and what becomes of a batch that must not be learnt from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np

from sharpen import models
from sharpen.core import Batch, FatalDiagnosis, Lesson, NotFinite, Policy, Role, Rollout, Sample, Tableau, Turn, Verdict
from sharpen.data import make_batch, portions
from sharpen.guard import Diagnosis
from sharpen.hashing import derive
from sharpen.loop.offers import Moment
from sharpen.loop.session import Run, save
from sharpen.objectives import decoupled
from sharpen.recipe import call
from sharpen.store import Position

SHOWN = 8  # rollouts that the doctor names


def updates(moment: Moment, kept: Sequence[Sample], batch: Batch, lr: float) -> Mapping[str, float]:
    """Learn from a batch of what was kept. Raises FatalDiagnosis where it holds what must not be learnt from."""
    this = moment.this
    recipe, policy, version = this.recipe, this.policy, this.policy.version
    rng = np.random.default_rng(derive(this.seed, moment.step, "minibatches"))
    moment.batch = batch
    try:
        tableau = moment.ask("objective")
        if this.ahead:
            tableau = decoupled(tableau, once=recipe.passes == recipe.minibatches == 1 and tableau.stir is None)
        found = updated(policy, batch, tableau, lr, recipe.passes, recipe.minibatches, rng)
        drawn = tableau.penalty is not None and tableau.reference == "teacher"  # the loss is the distance, and nothing else
        return {**found, "to_teacher": found["loss"]} if drawn else found
    except NotFinite as error:
        unchanged = Position("loop", moment.step, moment.round - 1) if policy.version == version else None
        raise refused(this, moment.step, kept, batch, error, "lr", unchanged) from error


def teach_roles(moment: Moment, samples: Sequence[Sample], lr: float) -> dict[str, float]:
    """Let each role that learns learn of the step's rollouts: from what it said, or, where it scores, from its lessons.

    Returns what was measured, by role. Raises FatalDiagnosis where the numbers must not be learnt from.
    """
    this = moment.this
    judged, measured = [s for s in samples if s.verdict.reward is not None], dict[str, float]()
    for role in models.roles.learners(this.recipe.roles):
        assert role.objective is not None
        objective = call(role.objective, progress=moment.progress)
        if role.gives == "scores":
            assert role.teach is not None
            measured |= teach_scores(moment, role, role.teach(judged), objective, role.lr or lr)
            continue
        rows = own_words(role, judged)
        if not rows:
            continue
        batch = make_batch(rows, this.recipe.sampling)
        try:
            found = this.roles[role.name].update(batch, objective, role.lr or lr)
        except NotFinite as error:
            raise refused(this, moment.step, rows, batch, error, "lr", None) from error
        measured |= {f"{role.name}_loss": found["loss"], f"{role.name}_reward": float(batch.reward.mean())}
    return measured


def own_words(role: Role, judged: Sequence[Sample]) -> list[Sample]:
    """What a role said in these rollouts, and in their verdicts, as samples of its own: paid what the verdict has as the part
    of its name; or what its `teach` makes of them, each with the student's verdict and group."""
    name = role.name
    if role.teach:
        return role.teach(
            [replace(s, rollout=of_role(s.rollout, t)) for s in judged for t in s.rollout.others if t.author == name]
        )
    paid = [(s, Verdict("correct", float(s.verdict.parts[name]))) for s in judged if name in s.verdict.parts]
    return [Sample(of_role(s.rollout, t), v, s.group) for s, v in paid for t in s.rollout.others if t.author == name]


def teach_scores(moment: Moment, role: Role, lessons: Sequence[Lesson], loss: Any, lr: float) -> dict[str, float]:
    """One update of a reward model. Raises FatalDiagnosis where it must not be made."""
    if not lessons:
        return {}
    try:
        found = moment.this.roles[role.name].learn(lessons, loss, lr)
    except NotFinite as error:
        cure = (
            f"{error}. Nothing was learnt. Its targets come from `teach` of the role {role.name!r}; or lower its rate, Role.lr."
        )
        raise FatalDiagnosis(str(Diagnosis("lessons_not_finite", True, {"step": float(moment.step)}, cure))) from error
    return {f"{role.name}_loss": found["loss"], f"{role.name}_lessons": found["lessons"]}


def of_role(rollout: Rollout, turn: Turn) -> Rollout:
    """A role's conversation as a rollout of its own."""
    arrays = turn.tokens, turn.sampled, turn.logprobs
    return replace(
        Rollout(rollout.task, *arrays, (turn.text,), turn.stop, turn.version, rollout.seed, rollout.id), spans=turn.spans
    )


def updated(
    policy: Policy, batch: Batch, tableau: Tableau, lr: float, passes: int, minibatches: int, rng: np.random.Generator
) -> Mapping[str, float]:
    """Learn from a batch in several updates; what they measured as one: the mean loss, the largest norm, the first mismatch."""
    if tableau.returns or tableau.before:
        batch = policy.prepare(batch, tableau)
    if passes == minibatches == 1:
        return policy.update(batch, tableau, lr)
    found = []
    for rows in portions(batch, passes, minibatches, rng):
        try:
            found.append(policy.update(batch.take(rows), tableau, lr))
        except NotFinite as error:
            raise NotFinite(str(error), rows[list(error.rows)].tolist()) from error
    sums = {key: sum(f[key] for f in found) for key in ("rows_trained", "tokens_trained")}
    norm = max(f["grad_norm"] for f in found)
    return dict(loss=fmean(f["loss"] for f in found), grad_norm=norm, mismatch=found[0]["mismatch"], **sums)


def refused(
    this: Run, step: int, samples: Sequence[Sample], batch: Batch, error: NotFinite, knob: str, unchanged: Position | None
) -> FatalDiagnosis:
    """Keep a batch with numbers that are not finite for a person to look at, and say which rollouts hold them.

    RUN/refused/STEP.npz holds the arrays of the batch, STEP.json its rollouts in the same order.

    knob       the learning rate that may be too high
    unchanged  where the step has changed no weight, what to commit: that the run stopped before it. Else the last commit stands
    """
    path = this.store.directory / "refused"
    path.mkdir(exist_ok=True)
    arrays: dict[str, Any] = {name: a for name, a in vars(batch).items() if isinstance(a, np.ndarray)}
    np.savez(path / f"{step:06d}.npz", **arrays)
    listed = [{"rollout": s.rollout.id, "reward": s.verdict.reward, "turns": s.rollout.turns} for s in samples]
    (path / f"{step:06d}.json").write_text(json.dumps({"why": str(error), "rows": error.rows, "samples": listed}, indent=1))
    of = np.arange(len(batch)) if batch.sample is None else batch.sample
    blamed = [samples[of[row]].rollout.id for row in error.rows]
    names = ", ".join(blamed[:SHOWN]) + (", …" if len(blamed) > SHOWN else "")
    cure = (
        f"{error}{f': rollouts {names}' if blamed else ''}. Nothing more was learnt; {path / f'{step:06d}.json'} has the "
        "batch. Rewards come from the verifier and the select function: mend those. Log-probabilities and gradients come from "
        f"the weights: begin again with a lower --set {knob}=…, or with --set precision=fp32."
    )
    found = Diagnosis("batch_not_finite", True, {"step": float(step), "rollouts": float(len(blamed))}, cure)
    if unchanged:
        if found.name not in this.reported:  # a run that is resumed comes here again
            this.reported.add(found.name)
            this.store.add_diagnosis(step, found)
        save(this, unchanged)
    return FatalDiagnosis(str(found))
