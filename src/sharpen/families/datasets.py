"""reasoning-gym's dataset of one family and level. It is loaded (a second) when first asked for."""

from __future__ import annotations

import functools
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
