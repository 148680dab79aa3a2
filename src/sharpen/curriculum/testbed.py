"""A bandit on which any curriculum runs in milliseconds: no model, no tokens, only skills that practice raises.

    end = testbed.run(curriculum.sec, testbed.Bandit(difficulty=(-1, 1, 3, 5), transfer=0.3), steps=100)
    end.p[-1]       # success rate on the hardest arm
    end.shares()    # (steps, arms): where the rollouts went

1. Arm c succeeds with p = σ(skill - difficulty). A group of rollouts that holds a success and a failure raises the skill by
   `rate` times the sample's p (1 - p), and that of the neighbouring arms by `transfer` of it. So what is impossible (p near 0)
   or mastered teaches nothing.
2. Every skill falls by `decay` of what practice has given it, each step: forgetting.
3. The curriculum gets what the loop would give it, made by the same code (`state.py`): history, totals, attempts, and every
   `round_steps` steps an evaluation on tasks of their own.
4. Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sharpen.core import HISTORY, Arm, ArmStats, Choices, Evaluation, Message, Rollout, Sample, Task, TaskSource, Verdict
from sharpen.curriculum.attempts import Attempts
from sharpen.curriculum.state import NAMES, State
from sharpen.data import measures
from sharpen.hashing import derive
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

    @cached_property
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
    state: State = field(default_factory=State)
    silent: list[float] = field(default_factory=list)  # share of each step's groups that taught nothing
    kept: list[int] = field(default_factory=list)  # groups of each step that passed the gate

    @property
    def p(self) -> np.ndarray:
        """Success rate of every arm now."""
        return 1 / (1 + np.exp(np.array(self.world.difficulty) - self.skill))

    def tasks(self, start: int = 0, end: int | None = None) -> list[Task]:
        """The single tasks that were chosen in steps `start` to `end`, in order."""
        return [what for choices in self.chosen[start:end] for what, _ in choices if isinstance(what, Task)]

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
    gate: tuple[float, float] = (0.0, 1.0),
    refills: int = 0,
    event: Callable[[int, Trace], None] | None = None,
) -> Trace:
    """Practise for some steps.

    gate, refills  only groups whose share of successes lies between the two are learnt from; the missing ones are asked for
                   again, so many times a step
    event          is called before each step, and may change the skills
    """
    trace = Trace(world, np.zeros(len(world.difficulty)))
    trace.state = State(frozenset(asked_for(curriculum)))
    if "attempts" in trace.state.wanted:
        trace.state.attempts = Attempts(world.source, seed, world.tasks)
    luck = np.random.default_rng(derive(seed, "luck"))
    for step in range(steps):
        if event:
            event(step, trace)
        if step % round_steps == 0:
            solved = luck.random((len(world.arms), validation)) < trace.p[:, None]
            trace.state.evaluations.append(Evaluation(dict(zip(world.arms, map(tuple, solved.tolist()), strict=True))))
        trace.success.append(trace.p)
        history = {arm: stats[-HISTORY:] for arm, stats in trace.history.items()}
        results: list[Result] = []
        for refill in range(1 + refills):
            missing = prompts - sum(passes(r, gate) for r in results)
            if missing <= 0:
                break
            rng = np.random.default_rng(derive(seed, step, "teach", refill))
            offers = {name: getattr(trace.state, name) for name in NAMES} | {
                "progress": step / steps,
                "embed": embed,
                "tried": [],
                "angles": angles,
            }
            choices = call(curriculum, history, world.arms, missing, samples, rng, **offers)
            results += attempt(trace, step, [c for c in choices if c[1]], seed, luck)
        note(trace, step, results)
        practise(trace, [r for r in results if passes(r, gate)])
    return trace


def embed(listed: Sequence[Sequence[Message]]) -> np.ndarray:
    """What stands for a student's hidden states: the wording."""
    return measures.embed([" ".join(str(message["content"]) for message in messages) for messages in listed])


def angles(listed: Sequence[Sequence[Message]]) -> np.ndarray:
    """What stands for the concentration of a student's states: how short the wording is."""
    return np.array([1 / (1 + len(" ".join(str(message["content"]) for message in messages))) for messages in listed])


Result = tuple[Arm | Task, int, int]  # what was tried, how often, and how often it succeeded


def passes(result: Result, gate: tuple[float, float]) -> bool:
    return gate[0] <= result[2] / result[1] <= gate[1]


def attempt(trace: Trace, step: int, choices: Choices, seed: int, luck: np.random.Generator) -> list[Result]:
    """Try what was chosen."""
    results: list[Result] = []
    for what, n in choices:
        level = arm_of(what).level
        own = trace.world.offset(what, seed) if isinstance(what, Task) else trace.world.spread * luck.standard_normal()
        hardness = trace.world.difficulty[level] + own
        results.append((what, n, int(luck.binomial(n, 1 / (1 + np.exp(hardness - trace.skill[level]))))))
    if trace.state.attempts:
        numbers = trace.state.attempts.numbers
        trace.state.attempts.add([(step, numbers[what.id], n, right) for what, n, right in results if isinstance(what, Task)])
        numbers.clear()
    return results


def note(trace: Trace, step: int, results: Sequence[Result]) -> None:
    """Tell the curriculum's side, as the loop would, of everything that was tried."""
    tried: dict[Arm, list[tuple[int, int]]] = {}
    for what, n, right in results:
        tried.setdefault(arm_of(what), []).append((n, right))
    for arm, groups in tried.items():
        n, right = sum(n for n, _ in groups), sum(r for _, r in groups)
        size = sum(2 * n * np.sqrt(r / n * (1 - r / n)) for n, r in groups)  # of std-normalised advantages
        trace.history.setdefault(arm, []).append(ArmStats(step, arm, n, right, float(size), 0))
        trace.state.totals[arm] = trace.state.totals.get(arm, 0) + n
    trace.chosen.append([(what, n) for what, n, _ in results])


def practise(trace: Trace, results: Sequence[Result]) -> None:
    """Learn from what passed the gate, and forget."""
    world, total = trace.world, sum(n for _, n, _ in results)
    learnt = np.zeros(len(world.arms))
    for what, n, right in results:  # every rollout weighs the same
        learnt[arm_of(what).level] += world.rate * right / n * (1 - right / n) * n / total * len(world.arms)
    carried = world.transfer * (np.append(learnt[1:], 0) + np.append(0, learnt[:-1]))
    trace.skill = (trace.skill + learnt + carried) * (1 - world.decay)
    trace.silent.append(sum(right in (0, n) for _, n, right in results) / max(len(results), 1))
    trace.kept.append(len(results))


def judged(task: Task, group: int, right: bool) -> Sample:
    nothing = np.zeros(0)
    rollout = Rollout(task, nothing.astype(np.int32), nothing > 0, nothing.astype(np.float32), (), "end", 0, 0, "")
    return Sample(rollout, Verdict("correct" if right else "wrong", float(right)), group)


def mean_success(traces: Sequence[Trace]) -> np.ndarray:
    """(runs,): success rate at the end, mean over arms."""
    return np.array([trace.p.mean() for trace in traces])
