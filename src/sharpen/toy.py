"""A bandit on which any curriculum runs in milliseconds: no model, no tokens, only skills that practice raises.

    end = toy.run(teach.sec, toy.Bandit(difficulty=(-1, 1, 3, 5), transfer=0.3), steps=100)
    end.p[-1]       # success rate on the hardest arm
    end.shares()    # (steps, arms): where the rollouts went

1. Arm c succeeds with p = σ(skill - difficulty). A group of rollouts that holds a success and a failure raises the skill by
   `rate` times the sample's p (1 - p), and that of the neighbouring arms by `transfer` of it. So what is impossible (p near 0)
   or mastered teaches nothing.
2. Every skill falls by `decay` of what practice has given it, each step: forgetting.
3. The curriculum gets what the loop would give it, made by the same code (`lessons.py`): history, totals, attempts, and every
   `round_steps` steps an evaluation on tasks of their own.
4. Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sharpen.attempts import Attempts
from sharpen.core import HISTORY, Arm, ArmStats, Choices, Evaluation, Rollout, Sample, Task, TaskSource, Verdict
from sharpen.hashing import derive
from sharpen.lessons import Lessons
from sharpen.recipe import asked_for, call

WALL = 60.0  # a difficulty that nobody overcomes


@dataclass(frozen=True)
class Bandit:
    """The world: one arm for each difficulty, neighbours in the order given.

    spread    standard deviation of the difficulties of an arm's tasks around the arm's
    tasks     training tasks of each arm
    """

    difficulty: tuple[float, ...] = (-1.0, 1.0, 3.0, 5.0)
    transfer: float = 0.3
    rate: float = 0.5
    decay: float = 0.0
    spread: float = 0.0
    tasks: int = 100

    @property
    def arms(self) -> tuple[Arm, ...]:
        return tuple(Arm("level", i) for i in range(len(self.difficulty)))

    @property
    def source(self) -> TaskSource:
        return TaskSource("toy", self.arms, toy_task, lambda arm, split: self.tasks)

    def offset(self, task: Task, seed: int) -> float:
        """How much harder a task is than its arm."""
        return (
            self.spread * float(np.random.default_rng(derive(seed, "offset", task.id)).standard_normal())
            if self.spread
            else 0.0
        )


def toy_task(arm: Arm, split: str, index: int, seed: int) -> Task:
    return Task(({"role": "user", "content": f"{split} {index}"},), "", arm.family, arm.level, split)


@dataclass
class Trace:
    """What happened. `skill` is the present one and may be changed between two steps: a regression."""

    world: Bandit
    skill: np.ndarray
    chosen: list[Choices] = field(default_factory=list)
    success: list[np.ndarray] = field(default_factory=list)  # before each step, p of every arm
    history: dict[Arm, list[ArmStats]] = field(default_factory=dict)
    lessons: Lessons = field(default_factory=lambda: Lessons(frozenset()))
    silent: list[float] = field(default_factory=list)  # share of each step's groups that taught nothing

    @property
    def p(self) -> np.ndarray:
        """Success rate of every arm now."""
        return 1 / (1 + np.exp(np.array(self.world.difficulty) - self.skill))

    def shares(self) -> np.ndarray:
        """(steps, arms): the share of each step's rollouts that an arm got."""
        found = np.zeros((len(self.chosen), len(self.world.arms)))
        for row, choices in zip(found, self.chosen, strict=True):
            for what, n in choices:
                row[arm_of(what).level] += n
        return found / np.maximum(found.sum(axis=1, keepdims=True), 1)


def arm_of(what: Arm | Task) -> Arm:
    return what if isinstance(what, Arm) else what.arm


def run(
    curriculum: Callable[..., Choices],
    world: Bandit,
    steps: int = 100,
    prompts: int = 16,
    samples: int = 8,
    seed: int = 0,
    round_steps: int = 10,
    validation: int = 40,
    event: Callable[[int, Trace], None] | None = None,
) -> Trace:
    """Practise for some steps. `event` is called before each, and may change the skills."""
    trace = Trace(world, np.zeros(len(world.difficulty)))
    trace.lessons = Lessons(frozenset(asked_for(curriculum)))
    if "attempts" in trace.lessons.wanted:
        trace.lessons.attempts = Attempts(world.source, seed, world.tasks)
    luck = np.random.default_rng(derive(seed, "luck"))
    for step in range(steps):
        if event:
            event(step, trace)
        if step % round_steps == 0:
            solved = luck.random((len(world.arms), validation)) < trace.p[:, None]
            trace.lessons.evaluations.append(Evaluation(dict(zip(world.arms, map(tuple, solved.tolist()), strict=True))))
        trace.success.append(trace.p)
        rng = np.random.default_rng(derive(seed, step, "teach"))
        offers = trace.lessons.offers(step / steps)
        history = {arm: stats[-HISTORY:] for arm, stats in trace.history.items()}
        choices = [c for c in call(curriculum, history, world.arms, prompts, samples, rng, **offers) if c[1]]
        trace.chosen.append(choices)
        practise(trace, step, choices, seed, luck)
    return trace


def practise(trace: Trace, step: int, choices: Choices, seed: int, luck: np.random.Generator) -> None:
    """Try what was chosen, learn from it, and tell the curriculum's side."""
    world, lessons = trace.world, trace.lessons
    learnt, silent = np.zeros(len(world.arms)), 0
    tried: dict[Arm, list[tuple[int, int]]] = {}
    samples: list[Sample] = []
    total = sum(n for _, n in choices)
    for group, (what, n) in enumerate(choices):
        arm = arm_of(what)
        hardness = world.difficulty[arm.level] + (world.offset(what, seed) if isinstance(what, Task) else 0.0)
        right = int(luck.binomial(n, 1 / (1 + np.exp(hardness - trace.skill[arm.level]))))
        tried.setdefault(arm, []).append((n, right))
        gain = world.rate * right / n * (1 - right / n)
        silent += gain == 0
        learnt[arm.level] += gain * n / total * len(world.arms)  # every rollout weighs the same
        if lessons.attempts and isinstance(what, Task):
            samples += [judged(what, group, i < right) for i in range(n)]
    if lessons.attempts:
        lessons.attempts.observe(step, samples)
    for arm, groups in tried.items():
        n, right = sum(n for n, _ in groups), sum(r for _, r in groups)
        size = sum(2 * n * np.sqrt(r / n * (1 - r / n)) for n, r in groups)  # of std-normalised advantages
        trace.history.setdefault(arm, []).append(ArmStats(step, arm, n, right, float(size), 0))
        lessons.totals[arm] = lessons.totals.get(arm, 0) + n
    trace.silent.append(silent / max(len(choices), 1))
    carried = world.transfer * (np.append(learnt[1:], 0) + np.append(0, learnt[:-1]))
    trace.skill = (trace.skill + learnt + carried) * (1 - world.decay)


def judged(task: Task, group: int, right: bool) -> Sample:
    nothing = np.zeros(0)
    rollout = Rollout(task, nothing.astype(np.int32), nothing > 0, nothing.astype(np.float32), (), "end", 0, 0, "")
    return Sample(rollout, Verdict("correct" if right else "wrong", float(right)), group)


def mean_success(traces: Sequence[Trace]) -> np.ndarray:
    """(runs,): success rate at the end, mean over arms."""
    return np.array([trace.p.mean() for trace in traces])
