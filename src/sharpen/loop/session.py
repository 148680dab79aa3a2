"""What one run is made of, and what its phases share: building the parts, measuring, committing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from sharpen import estimate, models, rollouts, tasks, verify
from sharpen.core import (
    GREEDY,
    Arm,
    Evaluation,
    FatalDiagnosis,
    Policy,
    RolloutGenerator,
    Sample,
    Sampling,
    Task,
    TaskSource,
    UserError,
)
from sharpen.curriculum import Lessons
from sharpen.data import Memory
from sharpen.guard import control
from sharpen.loop.growing import Grown
from sharpen.models import embedded
from sharpen.recipe import Recipe, asked_for, first_objective
from sharpen.recipes import catalog
from sharpen.store import Position, Store
from sharpen.verify import Judges, code

WORK = ("curriculum", "generate", "verify", "learn", "grow")  # the phases of a learning step that are a method's own work


@dataclass(frozen=True)
class Request:
    """What a user asked for; all that is needed to build the same run again."""

    recipe: str = "quickstart"
    settings: tuple[str, ...] = ()
    seed: int = 0
    budget: str | None = None
    model: str | None = None
    tasks: str | None = None
    directory: Path = Path("runs/run")
    argv: tuple[str, ...] = ()


def build_recipe(request: Request) -> Recipe:
    return catalog.build(
        request.recipe, list(request.settings), model=request.model, tasks=request.tasks, budget=request.budget
    )


def build_policy(recipe: Recipe, source: TaskSource, seed: int) -> models.LocalPolicy:
    """The student: a directory with a Hugging Face model, or an embedded one with fresh weights."""
    if first_objective(recipe).reference == "teacher" and not recipe.teacher:
        raise UserError("the objective learns from a teacher: name the directory of one with --set teacher=DIR")
    path = Path(recipe.student)
    model, tokenizer = models.load_model(path) if path.is_dir() else embedded.build(recipe.student, source, seed)
    return models.LocalPolicy(
        model,
        tokenizer,
        recipe.precision,
        recipe.average,
        recipe.recompute,
        recipe.lora,
        recipe.device,
        recipe.micro_tokens,
    )


@dataclass(frozen=True)
class Run:
    """The parts of one run, made once and passed to every function below."""

    store: Store
    recipe: Recipe
    seed: int
    policy: Policy
    judges: Judges
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
    lessons: Lessons  # what a curriculum may ask for by name
    buffer: list[Sample] = field(default_factory=list)  # what the select function keeps from step to step (learning.py)
    notes: dict[str, Any] = field(default_factory=dict)  # what the objective keeps

    @property
    def source(self) -> TaskSource:
        """Where tasks are drawn from: the recipe's, and what has grown so far."""
        return self.grown.source

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
        """What the run has used so far of a budget of this kind; `steps` are those after warm-up."""
        if kind == "steps":
            return steps
        if kind == "tokens":
            return sum(s["tokens"] for s in self.steps if s["phase"] == "loop") + self.grown.tokens
        return self.seconds() if kind == "seconds" else sum(self.phases[phase] for phase in WORK)


def measure(this: Run, purpose: str, step: int, number: int) -> Evaluation:
    """Greedy answers to a fixed stream: purpose "validation", or "before" and "test" for the test split around the loop."""
    stream = this.held_out["validation" if purpose == "validation" else "test"]
    this.progress.phase("evaluate" if purpose == "validation" else f"evaluate on the test split ({purpose})")
    flat = [(arm, task) for arm, listed in stream.items() for task in listed]
    recipe, prefix = this.recipe, f"{purpose}.{number:05d}"
    with this.timed("evaluate", step), this.policy.averaged():
        listed = [task for _, task in flat]
        greedy = replace(GREEDY, stop=recipe.stop)
        unaided = rollouts.unaided(recipe.rollout)
        samples = answers(this.policy, recipe.max_tokens, greedy, unaided, this.judges, listed, prefix, this.seed)
        correct: dict[Arm, list[bool | None]] = {arm: [] for arm in stream}
        for (arm, _), sample in zip(flat, samples, strict=True):
            correct[arm].append(None if sample.verdict.reward is None else sample.verdict.correct)
        stop_if_unjudged(samples, recipe.unscorable_limit)
        evaluation = Evaluation({arm: tuple(solved) for arm, solved in correct.items()})
    with this.timed("store", step):
        this.store.add_samples(purpose, step, number, samples)
        this.store.add_evaluation(number, purpose, evaluation)
    return evaluation


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
    judges: Judges,
    listed: Sequence[Task],
    prefix: str,
    seed: int,
) -> list[Sample]:
    """One greedy, judged answer to each task."""
    ids = [f"{prefix}.{i:06d}" for i in range(len(listed))]
    begin = judges.begin
    made = rollouts.drive(answering, roll_out, listed, ids, seed=seed, max_tokens=max_tokens, sampling=sampling, finished=begin)
    return judges.judge(made, range(len(listed)))


def save(this: Run, position: Position, write: bool = True, wait: bool = True) -> None:
    """Commit everything so far; with `write`, together with a checkpoint of the policy. `wait` as in `Store.commit`."""
    # What no phase claims, so that the phases of a run add up to its wall time.
    this.add_seconds("other", time.monotonic() - this.began - this.accounted[0], position.step)
    with this.timed("store", position.step):
        if "buffer" in asked_for(this.recipe.select):
            this.store.add_meta("buffer", [sample.rollout.id for sample in this.buffer])
        if "notes" in asked_for(this.recipe.objective):
            this.store.add_meta("notes", this.notes)
        this.store.commit(position, partial(write_checkpoint, this) if write else None, wait)


def write_checkpoint(this: Run, path: Path) -> None:
    this.policy.save(str(path))
    this.lessons.save(path)


def load_checkpoint(this: Run, name: str) -> None:
    """Go on from a checkpoint that a commit names."""
    path = this.store.checkpoint_path(name)
    this.policy.load(str(path))
    this.lessons.load(path)


def restore(this: Run) -> None:
    """Buffer and notes as they were at the last commit."""
    meta = this.store.meta()
    this.buffer[:] = this.store.read_named(meta.get("buffer", []))
    this.notes.update(meta.get("notes", {}))


def refer(this: Run) -> None:
    """Give the policy the reference that the objective names: when the loop begins, and after each round that was kept."""
    kind = first_objective(this.recipe).reference
    if kind == "teacher":
        this.policy.refer(this.recipe.teacher)
    elif kind == "start":
        path = this.store.directory / "start"
        if not path.exists():
            this.policy.save(str(aside := path.with_name("start.partial")))
            aside.rename(path)
        this.policy.refer(str(path))
    elif kind == "accepted":
        this.store.settle()
        last = this.store.last_commit()
        assert last is not None and last.accepted is not None
        this.policy.refer(str(this.store.checkpoint_path(last.accepted)))


def extrapolate(this: Run) -> None:
    """Move on from what a round has learned, in the direction in which it has; before the first round, note the beginning."""
    if this.recipe.extrapolation:
        this.policy.extrapolate(this.recipe.extrapolation)


def worked_solutions(this: Run, drawn: Sequence[Task], step: int) -> list[Sample]:
    """The worked solution of each task that has one, verified, as a sample of the task's group. Generation costs nothing.

    What the verifier does not call correct is left out.
    """
    groups = [i for i, task in enumerate(drawn) if task.solution is not None]
    ids = [f"s{step:06d}.{i:03d}.demo" for i in groups]
    listed = [drawn[i] for i in groups]
    shown = rollouts.demonstrating(this.recipe.rollout)
    made = rollouts.drive(this.policy, shown, listed, ids, seed=this.seed, max_tokens=0, sampling=GREEDY)
    return [sample for sample in this.judges.judge(made, groups) if sample.verdict.correct]


def evaluate_model(
    model_dir: Path, source: TaskSource, n: int = 64, seed: int = 0, progress: Any = None, max_tokens: int = 256
) -> dict[str, Any]:
    """Greedy accuracy of a saved model on up to n test tasks of every arm.

    {"model", "accuracy" (mean over arms), "ci95", "n", "truncated" (share of answers cut at max_tokens), "arms":
    {"family/level": {"accuracy", "ci95", "n"}}}
    """
    code.require(source)
    model, tokenizer = models.load_model(model_dir)
    answering = models.LocalPolicy(model, tokenizer)
    stream = tasks.held_out(source, "test", n, seed)
    if progress is not None:
        progress.phase("evaluate", total=len(stream))
    arms: dict[Arm, estimate.Estimate | None] = {}
    cut = 0
    with Judges(verify.verify) as judges:
        for arm, listed in stream.items():
            samples = answers(answering, max_tokens, GREEDY, rollouts.single, judges, listed, f"eval.{arm}", seed)
            cut += sum(s.rollout.stop == "length" for s in samples)
            arms[arm] = estimate.share(
                sum(s.verdict.correct for s in samples), sum(s.verdict.reward is not None for s in samples)
            )
            if progress is not None:
                progress.advance(1)
    overall = estimate.mean(list(arms.values()))
    truncated = cut / max(sum(len(listed) for listed in stream.values()), 1)
    by_arm = {str(arm): shown(found) for arm, found in arms.items()}
    return {"model": str(model_dir), **shown(overall), "truncated": truncated, "arms": by_arm}


def shown(found: estimate.Estimate | None) -> dict[str, Any]:
    if found is None:
        return {"accuracy": None, "ci95": None, "n": 0}
    return {"accuracy": found.value, "ci95": [found.low, found.high], "n": found.n}


def share(this: Run, budget: control.Budget, step: int) -> float:
    """The share of the budget that is used once `step` steps are done, warm-up included."""
    return budget.spent(this.used(budget.kind, step - this.recipe.warmup_steps))


def round_end(recipe: Recipe, budget: control.Budget, step: int) -> int:
    """The step at which the round that `step` lies in is closed."""
    done = step - recipe.warmup_steps
    end = (done // recipe.round_steps + 1) * recipe.round_steps
    return recipe.warmup_steps + (min(end, int(budget.amount)) if budget.kind == "steps" else end)
