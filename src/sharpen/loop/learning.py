"""One step's learning: which samples, in how many updates, and what becomes of a batch that must not be learnt from.

What a select function may ask for by name (`recipe.call`), beside the samples:

    progress    share of the budget that is used up
    demos       the worked solution of each of the step's tasks that has one, as samples of their groups
    entropy, logprobs   for each sample a (T,) array under the present policy, 0 where nothing was sampled
    retell      (sample, messages) -> a new sample: the same answer after other messages (data/relabel.py)
    decode      (tokens) -> text
    mask_token  a token that stands for nothing
    buffer      a list of samples that the function may fill and empty; it is kept from step to step and committed with them.
                Only samples as they came belong in it: what is changed about them is not kept
    rng         random numbers of this step

An objective may ask for `progress`, `policy`, `batch`, the `losses` of earlier steps, and `notes`, a dictionary of numbers that
is kept like the buffer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np

from sharpen import models
from sharpen.core import (
    GREEDY,
    Ask,
    Batch,
    FatalDiagnosis,
    Message,
    NotFinite,
    Policy,
    Rollout,
    Sample,
    Tableau,
    Task,
    Turn,
    Verdict,
)
from sharpen.data import make_batch, portions
from sharpen.guard import Diagnosis
from sharpen.hashing import derive
from sharpen.loop.session import Run, save, worked_solutions
from sharpen.recipe import asked_for, call
from sharpen.store import Position

SHOWN = 8  # rollouts that the doctor names


@dataclass
class Offers:
    """What a step has for its select function, each made when it is asked for."""

    this: Run
    step: int
    round: int
    progress: float
    samples: Sequence[Sample]
    drawn: Sequence[Task]
    shown: list[Sample] = field(default_factory=list)  # the worked solutions, once somebody asked for them
    told: list[Sample] = field(default_factory=list)  # every sample that `retell` made

    @cached_property
    def demos(self) -> list[Sample]:
        self.shown = worked_solutions(self.this, self.drawn, self.step)
        return self.shown

    @cached_property
    def seen(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(log-probabilities, entropies) of each sample; those of a rollout that failed are 0."""
        n = [len(s.rollout.tokens) for s in self.samples]
        scored = [i for i, s in enumerate(self.samples) if s.verdict.reward is not None]
        both = self.this.policy.entropies(make_batch([self.samples[i] for i in scored], self.this.recipe.sampling))
        rows = {i: (logp[: n[i]], h[: n[i]]) for i, logp, h in zip(scored, *both, strict=True)}
        return [rows.get(i, (np.zeros(n[i]), np.zeros(n[i]))) for i in range(len(n))]

    @property
    def logprobs(self) -> list[np.ndarray]:
        return [logp for logp, _ in self.seen]

    @property
    def entropy(self) -> list[np.ndarray]:
        return [h for _, h in self.seen]

    @cached_property
    def buffer(self) -> list[Sample]:
        return list(self.this.buffer)

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(derive(self.this.seed, self.step, "data"))

    @property
    def decode(self) -> Any:
        return self.this.policy.text

    @property
    def mask_token(self) -> int:
        return self.this.policy.pad_id

    def retell(self, sample: Sample, messages: Sequence[Message]) -> Sample:
        """The sample with its answer after other messages, as if it had been given there. Nothing is generated."""
        old = sample.rollout
        (turn,) = self.this.policy.respond([Ask(tuple(messages), answer=old.response)], [0], 0, GREEDY)
        name = f"{old.id}.told{len(self.told):04d}"
        arrays = turn.tokens, turn.sampled, turn.logprobs
        told = Rollout(old.task, *arrays, (old.response,), turn.stop, old.version, old.seed, name, old.id)
        self.told.append(replace(sample, rollout=told))
        return self.told[-1]


OFFERED = ("progress", "demos", "entropy", "logprobs", "retell", "decode", "mask_token", "buffer", "rng")


def select(offers: Offers) -> list[Sample]:
    """What the recipe's select function makes of a step's samples. The run's buffer changes once the step has learnt."""
    function = offers.this.recipe.select
    wanted = asked_for(function)
    return call(function, offers.samples, **{name: getattr(offers, name) if name in wanted else None for name in OFFERED})


def updates(offers: Offers, kept: Sequence[Sample], batch: Batch, lr: float) -> Mapping[str, float]:
    """Learn from a batch of what was kept. Raises FatalDiagnosis where it holds what must not be learnt from."""
    this, notes = offers.this, dict(offers.this.notes)
    recipe, policy, version = this.recipe, this.policy, this.policy.version
    rng = np.random.default_rng(derive(this.seed, offers.step, "minibatches"))
    try:
        told = this.steps if "losses" in asked_for(recipe.objective) else ()  # as long as the run: not made for nobody
        losses = [s["loss"] for s in told if s["phase"] == "loop" and "loss" in s]
        tableau = call(recipe.objective, progress=offers.progress, policy=policy, batch=batch, notes=notes, losses=losses)
        measured = updated(policy, batch, tableau, lr, recipe.passes, recipe.minibatches, rng)
    except NotFinite as error:
        unchanged = Position("loop", offers.step, offers.round - 1) if policy.version == version else None
        raise refused(this, offers.step, kept, batch, error, "lr", unchanged) from error
    this.notes.update(notes)
    return measured


def teach_roles(this: Run, step: int, samples: Sequence[Sample], progress: float, lr: float) -> dict[str, float]:
    """Let each role that learns learn from what it said in the step's rollouts; its reward is the verdict's part of its name.

    Returns what was measured, by role. Raises FatalDiagnosis where the numbers must not be learnt from.
    """
    measured: dict[str, float] = {}
    for role in models.roles.learners(this.recipe.roles):
        rows = []
        for s in samples:
            if s.verdict.reward is not None and role.name in s.verdict.parts:
                verdict = Verdict("correct", float(s.verdict.parts[role.name]))
                rows += [
                    Sample(of_role(s.rollout, turn), verdict, s.group) for turn in s.rollout.others if turn.author == role.name
                ]
        if not rows or not role.objective:
            continue
        batch = make_batch(rows, this.recipe.sampling)
        try:
            found = this.roles[role.name].update(batch, call(role.objective, progress=progress), role.lr or lr)
        except NotFinite as error:
            raise refused(this, step, rows, batch, error, "lr", None) from error
        measured |= {f"{role.name}_loss": found["loss"], f"{role.name}_reward": float(batch.reward.mean())}
    return measured


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
