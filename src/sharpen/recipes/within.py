"""A method within an environment: the same recipe, but its tasks are episodes and its rollouts act."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from sharpen import rollouts, tasks
from sharpen.recipe import Recipe


def within(parent: Recipe, env: str, levels: str = "1-3", turns: int = 8, more: str = "", **changes: Any) -> Recipe:
    """The parent on episodes of these levels, of at most so many turns.

    The embedded student learns the tools from worked solutions; a chat model has to be told them: `--set rollout.told=true`.
    """
    drawn = partial(tasks.seeds, env=env, levels=levels, **({"more": more} if more else {}))
    acted = partial(rollouts.acting, env=env, turns=turns, told=False)
    return replace(parent, tasks=drawn, rollout=acted, **changes)
