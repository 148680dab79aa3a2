"""The step chain: a start number and a list of operations; the answer is every number in between, then the last one.

Every step can be checked exactly (`verify.steps`), so first errors, repairs and continuations are exact too. A question's
numbers stay below its modulus, so that all steps are alike: a student learns one table, and a long chain is no harder to write.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError
from sharpen.hashing import derive, split_of

TRIES = 500  # draws before a split is called empty; one question in ten is in the smallest split
LEVELS = 8
MODULUS = 10


def step_chain(levels: int = LEVELS, lowest: int = 1) -> TaskSource:
    """Chains of 2 operations and more, a level for each length, from `lowest` on. One length alone is far easier to learn for a
    small student: where an operation stands is always as far from its step. Raises UserError unless 1 <= lowest <= levels <= 8.
    """
    if not 1 <= lowest <= levels <= LEVELS:
        raise UserError(f"levels={levels}, lowest={lowest}: the step chain has the levels 1 to {LEVELS}.")
    return TaskSource("step_chain", tuple(Arm("step_chain", n) for n in range(lowest, levels + 1)), draw, languages=frozenset())


def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
    """The task of that number; a pure function of its arguments. Raises UserError where TRIES draws found none of the split."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
    for attempt in range(TRIES):
        rng = Random(derive(seed, split, arm.family, arm.level, index, attempt))
        start = rng.randrange(MODULUS)
        changes = [rng.choice((-1, 1)) * rng.randint(1, 9) for _ in range(arm.level + 1)]
        prompt = ({"role": "user", "content": question(start, changes)},)
        if split_of(prompt) == split:
            return task(start, changes, split, arm.family, arm.level)
    raise UserError(f"{arm} has no question in the {split} split: {TRIES} draws found none.")


def question(start: int, changes: Sequence[int]) -> str:
    """Such as "Start at 7, count mod 10: +5 -9 +3"."""
    return f"Start at {start}, count mod {MODULUS}: {' '.join(f'{change:+}' for change in changes)}"


def task(start: int, changes: Sequence[int], split: str = "train", family: str = "step_chain", level: int = 1) -> Task:
    """The task of a chain. Its data hold the chain, which is what a checker of its steps needs."""
    worked, answer = written(start, changes)
    chain = {"chain": [start, *changes], "modulus": MODULUS}
    prompt = ({"role": "user", "content": question(start, changes)},)
    return Task(prompt, answer, family, level, split, "number", chain, worked)


def written(start: int, changes: Sequence[int], slip: tuple[int, int] = (-1, 0)) -> tuple[str, str]:
    """The working of a chain with its answer, and the answer alone. slip: (step, by how much it is off); what comes after it
    is worked out rightly from there, so the answer is off by as much."""
    states = [start]
    for number, change in enumerate(changes):
        states.append((states[-1] + change + (slip[1] if number == slip[0] else 0)) % MODULUS)
    return f"{' '.join(map(str, states[1:]))}<answer>{states[-1]}</answer>", str(states[-1])


def slipped(task: Task, rng: Random) -> str:
    """The working of a chain's task as somebody writes it who slips in one step and goes on from there."""
    start, *changes = task.data["chain"]
    return written(start, changes, (rng.randrange(len(changes)), rng.randrange(1, MODULUS)))[0]
