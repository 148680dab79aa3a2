"""What a recipe must be before it can run: every number in its range, every slot callable as the loop calls it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from typing import Any

import numpy as np

from sharpen import core
from sharpen.core import UserError, suggest
from sharpen.recipe import PRECISIONS, SLOTS, Recipe, asked_for, checked_bits, describe, first_objective
from sharpen.recipes import teaching

# For each slot: how many arguments the loop passes, and what the function says it returns.
CALLS = {
    "tasks": (0, "TaskSource"),
    "curriculum": (5, "Choices"),
    "rollout": (1, "RolloutGenerator"),
    "verify": (2, "Verdict"),
    "select": (1, "list[Sample]"),
    "objective": (0, "Tableau"),
    "guard": (2, "Decision"),
    "control": (1, "str | None"),
    "gate": (2, "Decision"),
    "hand_over": (1, "dict[int, float]"),
    "grow": (3, "GrowthGenerator"),
}

ABOVE_ZERO = ("warmup_lr", "temperature", "verdict_s")
AT_LEAST_ONE = (
    "warmup_levels",
    "warmup_rows",
    "prompts",
    "samples",
    "pool",
    "passes",
    "minibatches",
    "max_tokens",
    "round_steps",
    "validation",
    "test",
    "grow_limit",
)
ISOLATIONS = ("full", "reduced", "none")


def validate(recipe: Recipe, tried: bool = True) -> None:
    """Refuse a recipe that cannot run: UserError naming the slot or the number, and what is wrong with it. `tried` as in
    `catalog.build`."""
    from sharpen.guard import adapting, parse_budget

    for name, kind in ((f.name, type(f.default)) for f in dataclasses.fields(Recipe) if type(f.default) in (int, float)):
        value, lowest = getattr(recipe, name), 1 if name in AT_LEAST_ONE else 0
        if isinstance(value, bool) or not isinstance(value, int | float) or (kind is int and not isinstance(value, int)):
            raise UserError(f"{name}={value!r}: this must be {'a whole number' if kind is int else 'a number'}.")
        if not math.isfinite(value) or value < lowest or (value == 0 and name in ABOVE_ZERO):
            raise UserError(
                f"{name}={value}: this must be {'more than' if name in ABOVE_ZERO else 'at least'} {lowest}, and finite."
            )
    for name in ("unscorable_limit", "unreadable_limit", "grow_low", "grow_high", "replay_focus", "warmup_until"):
        if (share := getattr(recipe, name)) > 1:
            raise UserError(f"{name}={share}: this is a share, from 0 to 1.")
    if recipe.average >= 1:
        raise UserError(f"average={recipe.average}: at 1 the mean would never move. Take 0.95 to 0.999, or 0 for none.")
    if recipe.extrapolation and recipe.average:
        raise UserError("extrapolation and average both change the weights that are kept: take one, and set the other to 0.")
    if not 0 < recipe.top_p <= 1 or recipe.min_p > 1:
        raise UserError(f"top_p={recipe.top_p}, min_p={recipe.min_p}: 0 < top_p <= 1 and 0 <= min_p <= 1 are needed.")
    for name, known in (("precision", PRECISIONS), ("isolation", ISOLATIONS)):
        if (value := getattr(recipe, name)) not in known:
            raise UserError(f"{name}={value!r}:{suggest(str(value), known)} There are: {', '.join(known)}.")
    checked_bits(recipe.optimizer_bits)
    if unknown := {name for name in recipe.adapt.split(",") if name} - {"all", *adapting.NAMES}:
        raise UserError(f"adapt={recipe.adapt}: {sorted(unknown)[0]!r} cannot follow a run; {', '.join(adapting.NAMES)} can.")
    if (recipe.replay_focus or recipe.replay_half_life) and not recipe.replay:
        raise UserError("replay_focus and replay_half_life say what is replayed, and nothing is: set replay too.")
    if recipe.early >= recipe.samples > 0 and recipe.early:
        raise UserError(f"early={recipe.early} leaves nothing for later: it must be below samples={recipe.samples}.")
    parse_budget(recipe.budget)
    for slot in SLOTS:
        callable_as(slot, getattr(recipe, slot))
    check_grower(recipe)
    if recipe.replay and not first_objective(recipe).advantage(_one_success()).any():
        raise UserError(
            f"replay={recipe.replay} would do nothing: {describe(recipe.objective)} compares responses within a group, "
            "and a replayed success is alone in its. Take objective=sft with it, or replay=0."
        )
    if tried:
        teaching.check(recipe)


def callable_as(slot: str, function: Any) -> None:
    """Refuse what cannot stand in this slot: UserError."""
    inner = function.func if isinstance(function, functools.partial) else function
    if not inspect.isfunction(inner) or inner.__name__ == "<lambda>":
        raise UserError(f"{slot} holds {describe(function)}: a slot holds a named function or a functools.partial of one.")
    try:
        inspect.signature(function).bind(*[None] * CALLS[slot][0], **dict.fromkeys(asked_for(function)))
    except (TypeError, ValueError) as e:
        raise UserError(f"{slot}={describe(function)} cannot be called as the loop calls it: {e}.") from e


def check_grower(recipe: Recipe) -> None:
    """Refuse what would fail only when the first round ends."""
    function = recipe.grow
    if not inspect.isgeneratorfunction(function.func if isinstance(function, functools.partial) else function):
        raise UserError(
            f"grow={describe(function)} has no `yield`, and a grower is a generator function: let it ask with `yield`, or, "
            "where it asks for nothing, begin with `yield from ()`."
        )
    if recipe.grow_tries == 1:
        raise UserError("grow_tries=1: one rollout cannot both succeed and fail. Take 2 or more, or 0 to try nothing.")


def _one_success() -> core.Batch:
    one, row = np.ones(1), np.ones((1, 2))
    return core.Batch(row.astype(np.int64), row, -row, one, np.zeros(1, np.int64), one, np.full(1, 2))
