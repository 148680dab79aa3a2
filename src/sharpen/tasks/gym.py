"""reasoning-gym as a task source: procedural families, drawn so that no seed and no split leaks into another.

1. A question is reasoning-gym's own, unchanged. Its dataset is a function of one integer, Random(seed + index), so that
   neighbouring indices of neighbouring seeds are the same questions; here seed is always 0 and the index is a hash of
   (run seed, split, family, level, number, try).
2. A draw is repeated until the hash of the question says that it belongs to the split (`hashing.split_of`).
3. A draw has no deadline of its own: families with a question that was seen not to end are blocked.
4. How an answer is judged, and which families are not used, is in families/levels.py; worked solutions are in solutions.py.

Nothing here loads reasoning-gym (a second) before the first draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError
from sharpen.families import ACCEPTED, DEFAULT, LISTED, OPTIONS, SCORED, VERIFIER, dataset, level_count
from sharpen.hashing import derive, split_of
from sharpen.tasks.solutions import solve

TRIES = 500  # draws before a split is called empty; one question in ten is in the smallest split
INDICES = 2**31  # some families feed the index to numpy, which takes 32 bits


def gym(families: Sequence[str] | str = DEFAULT) -> TaskSource:
    """reasoning-gym's families, or arms of them, such as ("gcd", "chain_sum/2", "lcm/1-3"); also as one comma separated text.

    Raises UserError for an unknown or blocked family and for a level that it does not have.
    """
    parts = [part.strip() for part in families.split(",")] if isinstance(families, str) else list(families)
    arms = {arm for part in parts for arm in arms_of(part)}
    if not arms:
        raise UserError("There is no family to draw tasks from. Name one, such as chain_sum; `sharpen tasks` lists them.")
    return TaskSource(f"gym({', '.join(parts)})", tuple(sorted(arms)), draw, languages=frozenset())


def arms_of(part: str) -> list[Arm]:
    """The arms of `chain_sum` (all levels), `chain_sum/2` or `chain_sum/1-3`. Raises UserError as `gym` does."""
    family, slash, wanted = part.partition("/")
    last = level_count(family)
    if not slash:
        return [Arm(family, level) for level in range(1, last + 1)]
    low, dash, high = wanted.partition("-")
    if not (low.isdecimal() and low.isascii() and (high.isdecimal() and high.isascii() if dash else True)):
        raise UserError(f"{part!r} is no arm: after the slash comes a level or a range, such as {family}/2 or {family}/1-3.")
    first, end = int(low), int(high or low)
    if not 1 <= first <= end <= last:
        raise UserError(f"{part!r}: {family} has the levels 1 to {last}, such as {family}/{last} or {family}/1-{last}.")
    return [Arm(family, level) for level in range(first, end + 1)]


def draw(arm: Arm, split: str, index: int, seed: int, tries: int = TRIES) -> Task:
    """The task of that number; a pure function of its arguments and reasoning-gym's version.

    Raises UserError where that many tries found no question of the split: the arm has too few questions.
    """
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
    source = dataset(arm.family, arm.level)
    for attempt in range(tries):
        at = derive(seed, split, arm.family, arm.level, index, attempt) % LISTED.get(arm.family, INDICES)
        entry = source[at]
        prompt = ({"role": "user", "content": entry["question"]},)
        if split_of(prompt) == split and sound(arm.family, entry):
            return task_of(arm, split, prompt, entry)
    raise UserError(
        f"{arm} has no question in the {split} split: {tries} tries found none. It has too few different questions; "
        "take a higher level, or leave the arm out."
    )


def sound(family: str, entry: dict[str, Any]) -> bool:
    """False for an entry without one right answer: an empty answer, letters that the cipher loses, or the equation 0 = 0."""
    answer, metadata = entry["answer"], entry["metadata"]
    if family == "caesar_cipher":
        return bool(answer.isascii())
    if family == "simple_equations":
        return metadata["variable"] in metadata["equation"]
    return bool(answer.strip())


def task_of(arm: Arm, split: str, prompt: tuple, entry: dict[str, Any]) -> Task:
    """A core.Task from one of reasoning-gym's entries. Its data is JSON and holds only what the verifier reads."""
    family, answer, metadata = arm.family, entry["answer"], entry["metadata"]
    data: dict[str, Any] = dict(OPTIONS.get(family, {}))
    if family in SCORED:
        data["metadata"] = {key: metadata[key] for key in SCORED[family]}
    if family in ACCEPTED:
        data["accept"] = [other for other in metadata[ACCEPTED[family]] if other != answer]
    return Task(
        prompt=prompt,
        answer=answer,
        family=family,
        level=arm.level,
        split=split,
        verifier=VERIFIER[family],
        data=data,
        solution=solve(family, answer, metadata),
    )
