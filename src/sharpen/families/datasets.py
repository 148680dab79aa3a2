"""reasoning-gym's dataset of one family and level. It is loaded (a second) when first asked for."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from sharpen.core import UserError, suggest
from sharpen.families.levels import BLOCKED, CURRICULUM, LEVELS, VERIFIER

LISTED = {"gsm_symbolic": 2**17}  # its dataset holds a list of that many entries


def level_count(family: str) -> int:
    """How many levels a family has. Raises UserError, with the reason, where it cannot be used."""
    if family in LEVELS:
        return len(LEVELS[family])
    if family in CURRICULUM:
        return CURRICULUM[family]
    if family in BLOCKED:
        raise UserError(f"Family {family} is not used: {BLOCKED[family]}. `sharpen tasks` lists those that are.")
    known = suggest(family, VERIFIER)
    raise UserError(f"There is no family {family!r}.{known} `sharpen tasks` lists them; a file of tasks ends in .jsonl.")


@functools.cache
def dataset(family: str, level: int) -> Any:
    """reasoning-gym's dataset of one arm; loaded once."""
    from reasoning_gym import create_dataset
    from reasoning_gym.factory import CURRICULA, DATASETS

    if family in LEVELS:
        return create_dataset(family, seed=0, **LEVELS[family][level - 1])
    if family not in CURRICULA:
        return create_dataset(family, seed=0, size=LISTED[family])
    curriculum = CURRICULA[family]()
    curriculum.set_global_level(level - 1)
    return DATASETS[family][0](curriculum.generate_configuration({"seed": 0}))


def between(family: str, low: int, high: int) -> dict[str, Any] | None:
    """The settings of reasoning-gym's dataset half way from one level to another.

    A range of numbers goes from the middle of its two least values, rounded up, to the middle of its two greatest, rounded
    down, so that it lies within both levels or between them; what is no number is the lower level's. None where that is one of
    the two levels itself, or no range, or where the family's levels are not listed in LEVELS.
    """
    if family not in LEVELS:
        return None
    a, b = LEVELS[family][low - 1], LEVELS[family][high - 1]
    made = dict(a)
    for name, value in a.items():
        other = b.get(name, value)
        if isinstance(value, int) and isinstance(other, int):
            middle = value + other
            made[name] = -(-middle // 2) if name.startswith("min_") else middle // 2
    ranges = [(made[name], made[f"max_{name[4:]}"]) for name in made if name.startswith("min_")]
    return made if made not in (dict(a), dict(b)) and all(least <= most for least, most in ranges) else None


def dataset_of(family: str, settings: Mapping[str, Any]) -> Any:
    """reasoning-gym's dataset with settings of one's own."""
    from reasoning_gym import create_dataset

    return create_dataset(family, seed=0, **settings)
