"""Tiny programming tasks without end: a question in words, worked solutions in Python, and cases that tell right from wrong.

1. The families are in program_families.py. Each composes small pieces, and a level says how many: a higher level asks for
   compositions that no lower one has.
2. What is expected is computed here, by what the pieces mean. Programs, worked solutions among them, run in the sandbox.
3. A question's cases and the style of its worked solution are functions of the question alone, so that the same question is the
   same task whenever it is drawn. Its split is decided by its hash (`hashing.split_of`).
4. Cases are picked among many random inputs so that their outputs differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError, suggest
from sharpen.hashing import derive, split_of
from sharpen.tasks.program_families import FAMILIES, Problem

LEVELS = 4
TRIES = 500  # draws before a split is called empty; one question in ten is in the smallest split
CASES = 6
INPUTS = 60  # random ones that the cases are picked from
LIMITS = {"time_limit_s": 2.0, "memory_mb": 256}


def programs(families: Sequence[str] | str = "") -> TaskSource:
    """All families of programming tasks, or those named, with LEVELS levels each. Raises UserError for an unknown one."""
    listed = families.split(",") if isinstance(families, str) else families
    names = [name.strip() for name in listed if name.strip()] or list(FAMILIES)
    for name in names:
        if name not in FAMILIES:
            raise UserError(
                f"There is no family of programs {name!r}.{suggest(name, FAMILIES)} There are: {', '.join(FAMILIES)}."
            )
    arms = tuple(Arm(name, level) for name in sorted(set(names)) for level in range(1, LEVELS + 1))
    return TaskSource("programs", arms, draw, languages=frozenset({"python"}))


def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
    """The task of that number; a pure function of its arguments. Raises UserError where TRIES draws found none of the split."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
    for attempt in range(TRIES):
        problem = FAMILIES[arm.family](arm.level, Random(derive(seed, split, arm.family, arm.level, index, attempt)))
        prompt = ({"role": "user", "content": problem.question},)
        if split_of(prompt) != split:
            continue
        tests = cases(problem)
        if len({test["stdout"] for test in tests}) > 1:  # else a constant would be right
            return Task(
                prompt=prompt,
                answer=None,
                family=arm.family,
                level=arm.level,
                split=split,
                verifier="code_io",
                data={"language": "python", "tests": tests, **LIMITS},
                solution=Random(derive(0, "style", problem.question)).choice(problem.programs),
            )
    raise UserError(f"{arm} has no question in the {split} split: {TRIES} draws found none.")


def cases(problem: Problem) -> list[dict[str, str]]:
    """Up to CASES inputs with what they should print: one input of each output, then another of each, and so on."""
    rng = Random(derive(0, "cases", problem.question))
    found: dict[str, dict[str, None]] = {}
    for _ in range(INPUTS):
        given = problem.feed(rng)
        wanted = problem.mean(given)
        if wanted is not None:
            found.setdefault(wanted, {})[given] = None
    turns = [(turn, given, wanted) for wanted, inputs in found.items() for turn, given in enumerate(inputs)]
    turns.sort(key=lambda item: item[0])
    return [{"stdin": given, "stdout": wanted} for _, given, wanted in turns[:CASES]]
