"""Curricula that help where nothing succeeds, or keep to a part of the arms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.core import Arm, Choices, Sample, UserError, suggest
from sharpen.curriculum.attempts import Attempts
from sharpen.curriculum.common import History, dealt, lowest
from sharpen.curriculum.schedule import uniform
from sharpen.data import hints


def laddered(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    shares: Sequence[float] = hints.LADDER,
    after: float = 0.0,
    words: str = hints.BEGINS,
    *,
    tried: Sequence[Sample],
    progress: float,
) -> Choices:
    """Every arm alike; and where a step asks again, those tasks that always failed in it, with the next larger share of their
    worked solution behind the question: GHPO (arXiv 2507.10628). `select=hints.climbed` and `refills` belong to it.

    after  share of the budget before which nobody is helped
    """
    if not tried:
        return uniform(history, arms, prompts, samples, rng)
    found = hints.stuck(tried, shares) if progress >= after else []
    return [(hints.hinted(task, share=share, words=words), samples) for task, share in found]


def named(arms: Sequence[Arm], families: str) -> list[Arm]:
    """The arms of these families, with commas between them; all, where none is named. UserError for one that is not there."""
    known = sorted({arm.family for arm in arms})
    wanted = [name.strip() for name in families.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise UserError(f"There is no family {name!r} to practise.{suggest(name, known)} There are: {', '.join(known)}.")
    return [arm for arm in arms if not wanted or arm.family in wanted]


def only(
    history: History, arms: Sequence[Arm], prompts: int, samples: int, rng: np.random.Generator, families: str = ""
) -> Choices:
    """`uniform` over the arms of these families, with commas between them. UserError for one that is not among them."""
    return uniform(history, named(arms, families), prompts, samples, rng)


def few(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    most: int = 100,
    families: str = "",
    *,
    attempts: Attempts,
) -> Choices:
    """At most so many different tasks in the whole run, the arms' first ones in turn, the least visited first."""
    if most < 1:
        raise UserError(f"most={most}: at least one task is needed.")
    wanted = set(named(attempts.arms, families))
    numbers = np.arange(len(attempts))
    owner = attempts.arm_of(numbers)
    place = numbers - attempts.starts[owner]  # within its arm
    mine = np.flatnonzero([attempts.arms[a] in wanted for a in owner])
    pool = mine[np.lexsort((owner[mine], place[mine]))][:most]
    order = lowest(attempts.visits[pool] + rng.random(len(pool)), min(prompts, len(pool)))
    return dealt(attempts, pool[order], prompts * samples)
