"""Questions of which some are better handed over to Python, and others are a waste of a call: both with worked solutions.

1. `products` multiplies two numbers of up to level + 2 digits, which a small student cannot do in its head. The worked solution
   calls `python` and repeats what it says.
2. `larger` compares two such numbers, which it can; its worked solution is the answer.
3. The data hold `solution`, what to say turn by turn where tools are at hand (`rollouts.with_toolbox`), and `calls`, how many
   calls that takes: 1 or 0. A rollout without tools is shown the bare answer.
"""

from __future__ import annotations

from random import Random

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError
from sharpen.hashing import derive, split_of

TRIES = 500  # draws before a split is called empty; one question in ten is in the smallest split
LEVELS = 3
FAMILIES = ("larger", "products")


def handed_over(levels: int = LEVELS) -> TaskSource:
    """Products and comparisons of these levels, from 1. Raises UserError unless 1 <= levels <= 3."""
    if not 1 <= levels <= LEVELS:
        raise UserError(f"levels={levels}: there are the levels 1 to {LEVELS}.")
    arms = tuple(Arm(family, level) for family in FAMILIES for level in range(1, levels + 1))
    return TaskSource("handed_over", arms, draw, languages=frozenset())


def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
    """The task of that number; a pure function of its arguments. Raises UserError where TRIES draws found none of the split."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
    for attempt in range(TRIES):
        rng = Random(derive(seed, split, arm.family, arm.level, index, attempt))
        a, b = numbers(arm.level, rng)
        asked = f"What is {a}*{b}?" if arm.family == "products" else f"Which is larger, {a} or {b}?"
        prompt = ({"role": "user", "content": asked},)
        if split_of(prompt) == split:
            answer = str(a * b) if arm.family == "products" else str(max(a, b))
            said = [f'python(code="{a}*{b}")', answer] if arm.family == "products" else [answer]
            data = {"solution": said, "calls": len(said) - 1}
            return Task(prompt, answer, arm.family, arm.level, split, "number", data)
    raise UserError(f"{arm} has no question in the {split} split: {TRIES} draws found none.")


def numbers(level: int, rng: Random) -> tuple[int, int]:
    """Two different ones of level + 2 digits at most; above level 1 one has so many, so that no two levels share a question."""
    longest = level + 2
    while True:
        first, second = (rng.randint(2, longest) for _ in range(2))
        a, b = (rng.randint(10 ** (n - 1), 10**n - 1) for n in (first, second))
        if a != b and (level == 1 or longest in (first, second)):
            return a, b
