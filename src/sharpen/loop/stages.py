"""Stages: from one recipe of a run to the next.

    listed, standing  ->  take_up  ->  [rounds; keep]  ->  hand_over  ->  take_up of the next, or the end

Steps and rounds are numbered through. Between two stages lies a round without steps: the weights that are handed over, measured
and put before the gate. What it decides is committed with them, so a run is killed before a hand-over or after it. The stages
that have begun are in the store's meta.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from sharpen import guard, models
from sharpen.core import Decision, Evaluation, UserError
from sharpen.curriculum import state
from sharpen.data import replay
from sharpen.guard import control, handover
from sharpen.loop import growing, lasting, offers, reckoning
from sharpen.loop.referring import refer
from sharpen.loop.session import At, Run, extrapolate, like_student, measure, save, within
from sharpen.recipe import Method, Recipe, Stage, describe
from sharpen.store import Asked, Position, Store, asked, checkpoints

Round = dict[str, Any]  # as `Store.rounds` has them


def listed(method: Method) -> tuple[Stage, ...]:
    """The stages; a plain recipe is one, without a name."""
    return (Stage("", method, 1.0, handover.last, guard.always),) if isinstance(method, Recipe) else method.stages


def standing(store: Store, stages: Sequence[Stage]) -> At:
    """Where the last commit stands."""
    begun = store.meta().get("stages")
    return At(**begun[-1]) if begun else At(stages[0].name, 0, stages[0].recipe.warmup_steps, 0, 0.0)


def budget(stages: Sequence[Stage], at: At) -> control.Budget:
    """What the stage has: up to its end, that is the shares of all up to it, less what was used before it began; or what a
    finished run was given beyond its budget."""
    if at.more:
        return control.parse_budget(at.more)
    whole = control.parse_budget(stages[0].recipe.budget)
    end = whole.amount * (1.0 if at.number == len(stages) - 1 else sum(s.share for s in stages[: at.number + 1]))
    return replace(whole, amount=(round(end) if whole.kind == "steps" else end) - at.used)


def take_up(this: Run, rounds: Sequence[Round]) -> None:
    """Begin a stage, or go on in it: what it keeps beside the weights, as of the last commit."""
    state.recall(this.state, this.store)
    offers.restore(this)
    growing.recall(this, len(rounds))
    if this.recipe.replay:
        this.memory.update(replay.restored(this.store.successes(replay.KEEP)))
    refer(this)
    lasting.take_up(this)
    keep(this, rounds)
    reckoning.begin(this)


def present(this: Run) -> Stage:
    return this.stages[this.at.number]


def accepted(this: Run, rounds: Sequence[Round]) -> list[Round]:
    """The accepted rounds of the stage, that with its first weights first."""
    return [r for r in rounds[this.at.round :] if r["accepted"]]


def simple(stage: Stage) -> bool:
    """Whether the stage's last weights go on whatever they are."""
    return stage.hand_over is handover.last and stage.gate is guard.always


def keep(this: Run, rounds: Sequence[Round]) -> None:
    """Keep the checkpoints in RUN/kept that the stage may hand over or go back to, and no other. To be called after each round
    that was accepted; the files are links to those of the checkpoint."""
    stage, place = present(this), this.store.directory / "kept"
    if simple(stage) and not place.exists():
        return
    own = accepted(this, rounds)
    wanted = {this.at.round} | {number for number, share in stage.hand_over(own).items() if share}
    wanted = set() if simple(stage) else wanted
    newest = place / f"{own[-1]['round']:05d}"
    last = this.store.last_commit()
    assert last is not None and last.accepted is not None
    if own[-1]["round"] in wanted and not newest.exists():
        partial = newest.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(this.store.checkpoint_path(last.accepted), partial, copy_function=os.link)
        partial.rename(newest)
    for round in rounds:  # what no round names is somebody else's
        path = place / f"{round['round']:05d}"
        if round["round"] not in wanted and path.exists():
            checkpoints.plain(path)
            shutil.rmtree(path)


def forget(store: Store) -> None:
    """Remove what a run kept for a hand-over, once it is finished; what was never its own stays."""
    place = store.directory / "kept"
    checkpoints.plain(place)
    for path in [p for p in place.glob("*") if re.fullmatch(r"\d{5}(\.partial)?", p.name, re.ASCII) and not p.is_symlink()]:
        shutil.rmtree(path)
    if place.is_dir() and not any(place.iterdir()):
        place.rmdir()


def hand_over(this: Run, step: int, rounds: list[Round], reason: str) -> tuple[list[Round], Run | None]:
    """End a stage. Returns the rounds with those of the hand-over, and the run in its next stage; None where it is over.

    A next stage is committed. At the end of the run, what was handed over is left to the last commit, and nothing is done where
    the weights simply stay.
    """
    stage, following = present(this), this.stages[this.at.number + 1 : this.at.number + 2]
    if simple(stage) and not following:
        return rounds, None
    this.progress.say(f"{stage.name} is over: {reason}")
    if this.ahead:
        this.ahead.forget()
    mixture = stage.hand_over(accepted(this, rounds))
    load(this, rounds, mixture, following)
    before = this.store.evaluation(this.at.round, "validation")
    assert before is not None
    after = measure(this, "validation", step, len(rounds))
    decision = stage.gate(before, after)
    said = f"{stage.name} hands over {', '.join(f'{share:.3g} of round {n}' for n, share in mixture.items())}"
    ends = not decision.accepted and stage.otherwise == "stop"
    passed = decision.accepted or ends
    rounds = noted(
        this,
        rounds,
        passed,
        f"{said}; gate {describe(stage.gate)}: {decision.reason}{'; the run stops here' * ends}",
        decision.numbers,
        after,
    )
    if not passed:
        load(this, rounds, {this.at.round: 1.0}, following)
        rounds = noted(this, rounds, True, f"back to the first weights of {stage.name}", {}, before)
        this.store.add_evaluation(rounds[-1]["round"], "validation", before)
    if ends or not following:
        return rounds, None
    on = entered(this, step, rounds)
    extrapolate(on)
    save(on, Position("loop", step, len(rounds) - 1, accepted="this"))
    take_up(on, rounds)
    return rounds, on


def noted(
    this: Run, rounds: list[Round], kept: bool, reason: str, numbers: Mapping[str, float], seen: Evaluation
) -> list[Round]:
    """One round more, without steps."""
    answer = "better" if kept else "worse"
    this.store.add_decision(len(rounds), Decision(answer, reason, numbers))
    this.progress.say(f"round {len(rounds)}: held-out {seen.accuracy:.1%}, {reason}")
    return [*rounds, {"round": len(rounds), "answer": answer, "accepted": kept, "accuracy": seen.accuracy, "n": seen.n}]


def load(this: Run, rounds: Sequence[Round], mixture: dict[int, float], following: Sequence[Stage]) -> None:
    """Take the weighted mean of kept rounds as the policy. UserError where a round is not kept any more, or shares are odd."""
    stage, place = present(this), this.store.directory / "kept"
    last, newest = this.store.last_commit(), accepted(this, rounds)[-1]["round"]
    assert last is not None and last.accepted is not None
    paths = {place / f"{n:05d}" if n != newest else this.store.checkpoint_path(last.accepted): s for n, s in mixture.items()}
    gone = [path.name for path in paths if not path.exists()]
    if gone or abs(sum(mixture.values()) - 1) > 1e-6:
        raise UserError(
            f"hand_over={describe(stage.hand_over)} of stage {stage.name} asks for {mixture}"
            + (f", and round {gone[0]} is not kept: it was given nothing before." if gone else ": shares must add up to 1.")
        )
    for path in paths:
        checkpoints.verify(path)
    mixed = this.store.directory / "mixed"
    shutil.rmtree(mixed, ignore_errors=True)
    models.mix(paths, mixed, fresh=bool(following) and following[0].optimizer == "fresh", merge=stage.merge)
    version = this.policy.version
    this.policy.load(str(mixed))
    this.policy.version = version
    shutil.rmtree(mixed)


def extend(this: Run, asked_for: str | Asked) -> Run:
    """Give a finished run more budget: it goes on from its accepted weights, in its last stage, as a round without steps says.

    asked_for  the budget, or what a person asked, which is then recorded as taken in

    Learning rates, `progress` and `control` are relative to the new budget, as those of a stage are to its own. UserError where
    the run is not finished, or the budget is none.
    """
    budget = asked_for if isinstance(asked_for, str) else asked_for.answer
    more, last, rounds = control.parse_budget(budget), this.store.last_commit(), this.store.rounds()
    if last is None or not last.finished:
        raise UserError(
            f"{this.store.directory} is not finished, and only a finished run can be given more. Go on with it first: sharpen "
            f"resume {this.store.directory}"
        )
    if last.checkpoint:
        this.store.verified(last.checkpoint)  # before anything is recorded
    newest = max(r["round"] for r in rounds if r["accepted"])
    seen = this.store.evaluation(newest, "validation")
    assert seen is not None
    rounds = noted(this, rounds, True, f"extended by {more}, on from the weights of round {newest}", {}, seen)
    this.store.add_evaluation(len(rounds) - 1, "validation", seen)
    used = this.used(more.kind, last.step - this.recipe.warmup_steps)
    at = replace(this.at, step=last.step, round=len(rounds) - 1, used=float(used), more=budget)
    this.store.add_meta("stages", [*this.store.meta().get("stages", [asdict(this.at)]), asdict(at)])
    if not isinstance(asked_for, str):
        this.store.add_rows("asked", [asked.row(asked_for, len(rounds) - 1, last.step)])
    this.store.commit(Position("loop", last.step, len(rounds) - 1))
    this.grown.tokens = 0  # those so far are in what is used
    return replace(this, at=at, budget=more)


def entered(this: Run, step: int, rounds: Sequence[Round]) -> Run:
    """The run in its next stage. What a stage keeps (curriculum, buffer, notes, library, replay) begins anew."""
    number = this.at.number + 1
    used = this.used(this.budget.kind, step - this.recipe.warmup_steps)
    at = At(this.stages[number].name, number, step, len(rounds) - 1, float(used))
    recipe = this.stages[number].recipe
    this.store.add_meta("stages", [*this.store.meta().get("stages", [asdict(this.at)]), asdict(at)])
    this.store.settle()
    this.grown.tokens = 0  # those so far are in what is used
    stage = this.stages[number]
    base = within(this.grown.base, stage)
    knows = state.begin(recipe, base, this.seed, this.store, this.grown.source, at.step if stage.arms else 0)
    this.roles.clear()  # in place: who judges holds them too
    this.roles.update(models.roles.bind(recipe.roles, this.policy, partial(like_student, recipe, this.policy)))
    own = replace(this, recipe=recipe, at=at, budget=budget(this.stages, at), state=knows)
    return replace(own, steps=[], memory={}, buffer=[], notes={}, library={}, earlier=[])
