"""What one run is made of, and what its phases share: building the parts, measuring, committing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sharpen import models, rollouts
from sharpen.core import (
    GREEDY,
    Arm,
    Ask,
    Evaluation,
    FatalDiagnosis,
    Interrupted,
    Policy,
    Rollout,
    RolloutGenerator,
    Sample,
    Sampling,
    Task,
    TaskSource,
    UserError,
    tally,
)
from sharpen.curriculum import State
from sharpen.data import Memory
from sharpen.guard import control
from sharpen.loop import offers, telling
from sharpen.loop.ahead import Ahead
from sharpen.loop.due import Due
from sharpen.loop.growing import Grown
from sharpen.loop.offers import Moment
from sharpen.loop.request import Request
from sharpen.models import embedded, paths
from sharpen.recipe import Method, Recipe, Stage, Stages, first_objective
from sharpen.recipes import catalog, controls
from sharpen.rollouts import UNTOLD, Asking, RoleJudges, Roles, asking
from sharpen.store import Position, Store
from sharpen.verify import Judges

TICK = 0.2  # seconds between two looks of the progress within a step
BEFORE = ("set-up", "baseline")  # phases before the first step of a run, or of a process: no budget counts them
WORK = ("curriculum", "generate", "verify", "learn", "grow")  # the phases of a learning step that are a method's own work


def build_recipe(request: Request) -> Method:
    """The method that was asked for, its roles bound, and nothing asked of anybody that he cannot give. UserError."""
    model = models.located(request.model) if request.model else None
    built = catalog.build(request.recipe, list(request.settings), model=model, tasks=request.tasks, budget=request.budget)
    built = controls.made(request.as_control, built) if request.as_control else built
    recipes = [built] if isinstance(built, Recipe) else [stage.recipe for stage in built.stages]
    bound = {role.name: role for role in models.roles.named([role for r in recipes for role in r.roles], request.roles)}
    recipes = [replace(recipe, roles=tuple(bound[role.name] for role in recipe.roles)) for recipe in recipes]
    for role in bound.values():
        models.roles.check(role)
    for recipe in recipes:
        name = first_objective(recipe).reference
        if name not in ("", "start", "accepted", *(role.name for role in recipe.roles)):
            raise UserError(f"the objective compares with {name!r}, which is no role of {request.recipe}: add Role({name!r}).")
        offers.check(recipe)
    if isinstance(built, Recipe):
        return recipes[0]
    return Stages(tuple(replace(stage, recipe=recipe) for stage, recipe in zip(built.stages, recipes, strict=True)))


def build_policy(
    recipe: Recipe,
    source: TaskSource,
    seed: int,
    beside: Path | None = None,
    choose: Callable[[Any], paths.Choice | None] = lambda model: None,
) -> models.LocalPolicy:
    """The student: a Hugging Face model (`models.located`), tried before it is used, or an embedded one with fresh weights.

    beside  an existing directory on the disk that checkpoints go to, for that trial; None: nothing is written
    """
    path = Path(models.located(recipe.student))
    said = rollouts.phrases(recipe.rollout)
    model, tokenizer = models.load_model(path) if path.is_dir() else embedded.build(recipe.student, source, seed, said)
    choice = choose(model)
    how = recipe.precision, recipe.average, recipe.recompute, recipe.lora, recipe.device, recipe.micro_tokens, recipe.offload
    made = models.LocalPolicy(model, tokenizer, *how, choice, recipe.optimizer_bits)
    if path.is_dir():
        told = telling.of_recipe(recipe, tokenizer)
        asked = [asking.told(Ask(task.prompt), task, told) for task in embedded.example_tasks(source)]
        models.probe(made, str(path), asked, recipe.max_tokens, beside)
    return made


def within(source: TaskSource, stage: Stage) -> TaskSource:
    """What of a source a stage practises. UserError where it holds none of the stage's arms."""
    if not stage.arms:
        return source
    arms = tuple(arm for arm in source.arms if str(arm) in stage.arms)
    if not arms:
        raise UserError(f"stage {stage.name} practises {', '.join(stage.arms)}, and {source.name} has none of these arms.")
    return replace(source, arms=arms)


def nobody() -> bool:
    """Nobody has asked to stop."""
    return False


@dataclass(frozen=True)
class At:
    """The stage that a run is in, and where that began: after so many steps, with the weights of this round, with so much of
    the budget used. A plain recipe is one stage, and so is what a finished run was given beyond its budget: `more`, as text."""

    name: str
    number: int
    step: int
    round: int
    used: float
    more: str = ""


@dataclass(frozen=True)
class Run:
    """The parts of one run, made once and passed to every function below; of its recipe's stages, those of the present one."""

    store: Store
    recipe: Recipe
    seed: int
    policy: Policy
    roles: dict[str, Any]  # who stands behind the recipe's roles, by name
    judges: Judges | RoleJudges
    grown: Grown  # the tasks' source, and what has grown beside it
    held_out: dict[str, dict[Arm, list[Task]]]  # by split
    progress: Any
    began: float  # time.monotonic() at which this process took the run up
    seconds_before: float  # spent by earlier processes
    steps: list[dict[str, Any]]  # what each step measured, for the doctor
    reported: set[str]  # names of what the doctor has found
    phases: dict[str, float]  # seconds by phase, of earlier processes too
    accounted: list[float]  # one number: the seconds of this process that belong to a phase
    memory: Memory  # earlier successes; empty where the recipe replays none
    state: State  # what a curriculum knows
    stages: tuple[Stage, ...]
    at: At
    budget: control.Budget  # the stage's own
    due: Due
    buffer: list[Sample] = field(default_factory=list)  # what the select function keeps from step to step (offers.py)
    notes: dict[str, Any] = field(default_factory=dict)  # what the objective keeps
    library: dict[str, Any] = field(default_factory=dict)  # what is known in words
    earlier: list[Sample] = field(default_factory=list)  # right answers of the stages before (lasting.py)
    interrupted: Callable[[], bool] = nobody  # whether the user has asked to stop
    ahead: Ahead | None = None  # rollouts of steps to come, where the run is ahead of its learner
    asking: Asking = UNTOLD  # what the student is told beside the questions
    watch: models.Watch = field(default_factory=models.Watch)

    @property
    def source(self) -> TaskSource:
        """Where tasks are drawn from: the recipe's, and what has grown so far; of a stage with arms of its own only these."""
        return within(self.grown.source, self.stages[self.at.number])

    def seconds(self) -> float:
        """Wall time spent on the run so far, by earlier processes too."""
        return self.seconds_before + time.monotonic() - self.began

    @contextmanager
    def timed(self, phase: str, step: int) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.add_seconds(phase, time.monotonic() - start, step)

    def add_seconds(self, phase: str, seconds: float, step: int) -> None:
        self.store.add_timing(phase, seconds, step)
        self.phases[phase] += seconds
        self.accounted[0] += seconds

    def used(self, kind: str, steps: int) -> float:
        """What the run has used so far of a budget of this kind, which is its own; `steps` are those after warm-up."""
        if kind == "steps":
            return steps
        if kind == "tokens":
            own = [s for s in self.steps if s["phase"] == "loop" and s["step"] >= self.at.step]
            return self.at.used + sum(s["tokens"] for s in own) + self.grown.tokens
        if kind == "seconds":
            return self.seconds() - sum(self.phases[phase] for phase in BEFORE)
        return sum(self.phases[phase] for phase in WORK)


@contextmanager
def watching(this: Run, stops: bool = True) -> Iterator[None]:
    """Inside, progress moves while answers are written and learnt from.

    stops  what the policy is at ends as soon as the user asks to stop, unless a weight has changed by then: raises Interrupted.
           Nothing of it has reached the store
    """
    version, told = this.policy.version, [0.0]

    def tick(what: str, share: float) -> None:
        if stops and this.policy.version == version and this.interrupted():
            raise Interrupted
        if (now := time.monotonic()) - told[0] >= TICK:
            told[0] = now
            this.progress.advance(0, **{"answers": None, "learnt": None, what: share})

    before, this.policy.tick = this.policy.tick, tick
    try:
        yield
    finally:
        this.policy.tick = before
        this.progress.advance(0, answers=None, learnt=None)


def measure(this: Run, purpose: str, step: int, number: int, stops: bool = False) -> Evaluation:
    """Greedy answers to a fixed stream: purpose "validation", or "before" and "test" for the test split around the loop.

    stops  as in `watching`
    """
    if this.ahead:
        this.ahead.settle()
    stream = this.held_out["validation" if purpose == "validation" else "test"]
    listed = [task for own in stream.values() for task in own]
    name = "evaluate" if purpose == "validation" else f"evaluate on the test split ({purpose})"
    this.progress.phase(name, total=len(listed))
    recipe, prefix = this.recipe, f"{purpose}.{number:05d}"
    phase = "evaluate" if number or purpose == "test" else "baseline"  # what everything is compared with: no budget pays
    with this.timed(phase, step), this.policy.averaged(), watching(this, stops):
        ids = [f"{prefix}.{i:06d}" for i in range(len(listed))]
        greedy = replace(GREEDY, stop=recipe.stop)
        unaided = rollouts.unaided(moment(this, step, number).bound("rollout"))
        longest = max(stage.recipe.max_tokens for stage in this.stages)  # so that stages can be compared
        how = this.roles, this.progress, this.asking
        samples = answers(this.policy, longest, greedy, unaided, this.judges, listed, ids, this.seed, *how)
        stop_if_unjudged(samples, recipe.unscorable_limit)
        evaluation = evaluated(stream, samples)
    with this.timed("store", step):
        this.store.add_samples(purpose, step, number, samples)
        this.store.add_evaluation(number, purpose, evaluation)
    return evaluation


def evaluated(stream: Mapping[Arm, Sequence[Task]], samples: Sequence[Sample]) -> Evaluation:
    """How the judged answers to a stream came out, which stand in its order."""
    rest = iter(samples)
    found = {arm: list(islice(rest, len(listed))) for arm, listed in stream.items()}
    solved = {a: tuple(None if s.verdict.reward is None else s.verdict.correct for s in own) for a, own in found.items()}
    return Evaluation(solved, {arm: tally(own) for arm, own in found.items()})


def stop_if_unjudged(samples: Sequence[Sample], limit: float) -> None:
    """Raise FatalDiagnosis where more than this share of an evaluation could not be judged, by more than one mishap."""
    lost = [s.verdict for s in samples if s.verdict.reward is None]
    if lost and (len(lost) == len(samples) or 1 < len(lost) > limit * len(samples)):
        raise FatalDiagnosis(
            f"unscorable (verdicts {len(lost)} of {len(samples)}, limit {limit:.3g}): an evaluation says nothing where the "
            f"verifier fails. It said, of the last: {lost[-1].feedback.strip() or lost[-1].rule}. Mend it, then resume the run."
        )


def answers(
    answering: Policy,
    max_tokens: int,
    sampling: Sampling,
    roll_out: Callable[..., RolloutGenerator],
    judges: Judges | RoleJudges,
    listed: Sequence[Task],
    ids: Sequence[str],
    seed: int,
    roles: Roles | None = None,
    progress: Any = None,
    asking: Asking = UNTOLD,
) -> list[Sample]:
    """One judged answer to each task, all of them generated together. `progress`, where there is one, counts those done."""

    def finished(i: int, rollout: Rollout) -> None:
        judges.begin(i, rollout)
        if progress is not None:
            progress.advance(1)

    settings: dict[str, Any] = dict(seed=seed, max_tokens=max_tokens, sampling=sampling, finished=finished, roles=roles)
    settings["asking"] = asking
    made = rollouts.drive(answering, roll_out, listed, ids, **settings)
    return judges.judge(made, range(len(listed)))


def save(this: Run, position: Position, write: bool = True, wait: bool = True) -> None:
    """Commit everything so far; with `write`, together with a checkpoint of the policy. `wait` as in `Store.commit`."""
    began = this.due.clock()
    # What no phase claims, so that the phases of a run add up to its wall time.
    this.add_seconds("other", time.monotonic() - this.began - this.accounted[0], position.step)
    with this.timed("store", position.step):
        offers.commit(this)
        if this.ahead:
            this.ahead.settle()
            this.ahead.commit(this, position.step)
        this.store.commit(position, partial(write_checkpoint, this) if write else None, wait)
    often = this.due.every
    this.due.committed(began, this.store.beside)
    if this.due.every > max(often, this.due.seconds):
        this.progress.say(f"a commit takes long here: within a round one comes every {this.due.every:.0f} s, not more often")


def write_checkpoint(this: Run, path: Path) -> Callable[[], object] | None:
    """What is left to be written comes back, as from `checkpoints.write`'s `save`."""
    rest = models.save_soon(this.policy, str(path))
    models.roles.save(this.recipe.roles, this.roles, path, this.policy)
    offers.save(this, path)
    telling.write(this, path)
    return rest


def load_checkpoint(this: Run, name: str) -> None:
    """Go on from a checkpoint that a commit names."""
    path = this.store.verified(name)
    this.policy.load(str(path))
    models.roles.load(this.recipe.roles, this.roles, path, this.policy, partial(like_student, this.recipe, this.policy))
    offers.load(this, path)


def like_student(recipe: Recipe, student: Policy, path: Path) -> models.LocalPolicy:
    """A role's model, run as the student's is."""
    names = ("precision", "recompute", "device", "micro_tokens", "offload", "optimizer_bits")
    same: dict[str, Any] = {name: getattr(recipe, name) for name in names}
    return models.LocalPolicy(*models.load_model(path), **same, choice=getattr(student, "choice", None))


def extrapolate(this: Run) -> None:
    """Move on from what a round has learned, in the direction in which it has; before the first round, note the beginning."""
    if this.recipe.extrapolation:
        this.policy.extrapolate(this.recipe.extrapolation)


def share(this: Run, step: int) -> float:
    """The share of the stage's budget that is used once `step` steps are done, warm-up included. 1 where it has none left."""
    used = this.used(this.budget.kind, step - this.recipe.warmup_steps) - this.at.used
    return this.budget.spent(used) if this.budget.amount > 0 else 1.0


def moment(this: Run, step: int, number: int) -> Moment:
    """What functions may ask for once `step` steps are done, in round `number`."""
    return Moment(this, step, number, share(this, step))


def round_start(this: Run, step: int, number: int) -> int:
    """The first step of round `number`; `step`, the next one, where it has none yet."""
    return min((s["step"] for s in this.steps if s["phase"] == "loop" and s["round"] == number), default=step)


def round_end(this: Run, step: int) -> int:
    """The step at which the round that `step` lies in is closed."""
    every, done = this.recipe.round_steps, step - this.at.step
    end = (done // every + 1) * every
    return this.at.step + (min(end, int(this.budget.amount)) if this.budget.kind == "steps" else end)
