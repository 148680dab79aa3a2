"""Recipes of several stages: what they must be before they can run, and how `--set` reaches into them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sharpen.core import UserError, plural, suggest
from sharpen.recipe import SLOTS, Recipe, Stage, Stages, asked_for, describe, first_objective, identity
from sharpen.recipes import validation

# What a run has once, so that it is the same in every stage.
COMMON = (
    *("tasks", "verify", "student", "warmup_steps", "warmup_levels", "warmup_demos", "warmup_rows", "warmup_lr"),
    *("warmup_until", "pool"),
    *(
        "average",
        "stop",
        "system",
        "prompt_suffix",
        "micro_tokens",
        "recompute",
        "offload",
        "optimizer_bits",
        "lora",
        "device",
        "precision",
        "isolation",
        "verdict_s",
    ),
    *("validation", "test", "retention", "retain", "budget"),
)
OWN = ("share", "hand_over", "gate", "otherwise", "optimizer", "arms")
CHOICES = {"otherwise": ("back", "stop"), "optimizer": ("fresh", "inherited")}
SLACK = 1e-6  # of the sum of shares: thirds are written with few digits
MADE_UP = tuple({"round": n, "accepted": True, "accuracy": a, "n": 100} for n, a in ((4, 0.2), (5, 0.4), (7, 0.3)))


def sequence(*stages: Stage) -> Stages:
    """Those of the stages that have a share of the budget, each with its part of the whole: 0.2, 0.2, 0 are two halves.

    So a knob at 0 leaves a stage out. UserError where no share is above 0, or one is below."""
    total = sum(stage.share for stage in stages)
    if total <= 0 or min(stage.share for stage in stages) < 0:
        said = ", ".join(f"{s.name}={s.share:g}" for s in stages)
        raise UserError(f"shares {said}: a share may not be below 0, and one at least has to be above.")
    return Stages(tuple(dataclasses.replace(s, share=round(s.share / total, 9)) for s in stages if s.share))


def validate(method: Stages, tried: bool = True) -> None:
    """Refuse stages that cannot run: UserError naming the stage, and what is wrong with it. `tried` as in `catalog.build`."""
    from sharpen.guard import parse_budget

    names = [stage.name for stage in method.stages]
    if not names or len(set(names)) < len(names) or not all(n.isidentifier() for n in names) or set(names) & {*SLOTS}:
        raise UserError(f"stages {names}: each needs a name of its own, a word that is none of {', '.join(SLOTS)}.")
    for stage in method.stages:
        with_stage(stage.name, partial(check, stage, tried))
    written = " + ".join(f"{stage.share:g} ({stage.name})" for stage in method.stages)
    total = sum(stage.share for stage in method.stages)
    if abs(total - 1) > SLACK:
        cure = ", ".join(f"{stage.name}.share={stage.share / total:.3g}" for stage in method.stages)
        raise UserError(f"The shares of the budget are {written} = {total:g}, and must add up to 1: such as {cure}.")
    for name in COMMON:
        said = {identity(getattr(stage.recipe, name)): stage.name for stage in method.stages}
        if len(said) > 1:
            both = " and ".join(f"{text} in {stage}" for text, stage in said.items())
            raise UserError(f"{name} is {both}: a run has one {name}. Give all stages the same with --set {name}=….")
    budget = parse_budget(method.stages[0].recipe.budget)
    ends = [round(budget.amount * sum(s.share for s in method.stages[: i + 1])) for i in range(len(names))]
    if budget.kind == "steps" and (empty := [n for n, a, b in zip(names, [0, *ends], ends, strict=False) if a == b]):
        raise UserError(
            f"Of a budget of {budget} nothing is left for {empty[0]} ({written}). Take more steps, or a larger share."
        )
    if budget.kind == "steps":
        enough(method, [b - a for a, b in zip([0, *ends], ends, strict=False)])


def enough(method: Stages, steps: list[int]) -> None:
    """UserError where a stage's objective needs more answers of the stage before than that can learn from in its steps."""
    for number, (before, stage) in enumerate(zip(method.stages, method.stages[1:], strict=False), 1):
        one, needed = before.recipe, first_objective(stage.recipe, number).least
        most = steps[number - 1] * ((1 + one.refills) * one.prompts * one.samples + one.replay)
        if most < needed:
            raise UserError(
                f"{stage.name} needs {needed} answers that {before.name} learnt from, and {plural(steps[number - 1], 'step')} "
                f"of {one.prompts} x {one.samples} are at most {most}. Take a larger --budget, or more prompts."
            )


def check(stage: Stage, tried: bool) -> None:
    """One stage by itself."""
    validation.validate(stage.recipe, tried)
    if not 0 < stage.share <= 1:
        raise UserError(f"share={stage.share}: this is a part of the budget, above 0 and at most 1.")
    for slot in ("hand_over", "gate"):
        validation.callable_as(slot, getattr(stage, slot))
        if asked := sorted(asked_for(getattr(stage, slot))):
            raise UserError(
                f"{slot}={describe(getattr(stage, slot))} asks for {', '.join(asked)}, and between stages nothing is offered. "
                "Take evidence or ratchet as a gate."
            )
    for name, known in CHOICES.items():
        if (value := getattr(stage, name)) not in known:
            raise UserError(f"{name}={value!r}:{suggest(str(value), known)} There are: {', '.join(known)}.")
    said = f"hand_over={describe(stage.hand_over)}"
    for n in range(1, len(MADE_UP) + 1):
        given = stage.hand_over(MADE_UP[:n])
        if not set(given) <= {r["round"] for r in MADE_UP[:n]} or abs(sum(given.values()) - 1) > SLACK:
            raise UserError(f"{said} makes {given} of rounds 4, 5, 7: shares of rounds that it was given must add up to 1.")
        if stage.recipe.lora and sum(share != 0 for share in given.values()) > 1:
            raise UserError(
                f"{said} averages weights, and lora={stage.recipe.lora} trains adapters: the mean of two products is not the "
                "product of two means. Take hand_over=last or best, or lora=0."
            )


def with_stage(name: str, do: Callable[[], Any]) -> Any:
    """What `do` returns; what it complains of is said to be of that stage."""
    try:
        return do()
    except UserError as error:
        raise UserError(f"stage {name}: {error}") from error


def changed(recipe: str, method: Stages, rest: Mapping[str, str], change: Callable[[Recipe, dict[str, str]], Recipe]) -> Stages:
    """The stages with these settings: first those for all that have them, then those of one stage.

    change  (recipe, settings) -> the recipe with them; UserError where it has no such setting
    """
    places = {name: i for i, stage in enumerate(method.stages) for name in (stage.name, str(i + 1))}
    own: list[dict[str, str]] = [{} for _ in method.stages]
    common: dict[str, str] = {}
    for key, value in rest.items():
        stage, dot, setting = key.partition(".")
        if dot and stage in places:
            own[places[stage]][setting] = value
        elif dot and stage not in SLOTS:
            known = [f"{name}.{setting}" for name in places]
            raise UserError(f"Recipe {recipe} has no stage {stage!r}.{suggest(key, known)} Its stages: {', '.join(places)}.")
        else:
            common[key] = value
    stages = [dataclasses.replace(s, recipe=spread(s.recipe, common, change)) for s in method.stages]
    for key in common:  # what no stage has
        if "." in key and not any(takes(stage.recipe, key) for stage in stages):
            change(stages[0].recipe, {key: common[key]})
    return Stages(tuple(with_stage(s.name, partial(set_one, s, o, change)) for s, o in zip(stages, own, strict=True)))


def spread(recipe: Recipe, common: Mapping[str, str], change: Callable[[Recipe, dict[str, str]], Recipe]) -> Recipe:
    recipe = change(recipe, {k: v for k, v in common.items() if "." not in k})
    return change(recipe, {k: v for k, v in common.items() if "." in k and takes(recipe, k)})


def takes(recipe: Recipe, key: str) -> bool:
    """Whether the function in the slot has the argument of `slot.argument`."""
    from sharpen.recipes import catalog

    slot, _, argument = key.partition(".")
    return argument in catalog.arguments(slot, getattr(recipe, slot))


def set_one(stage: Stage, given: Mapping[str, str], change: Callable[[Recipe, dict[str, str]], Recipe]) -> Stage:
    """A stage with settings of its own; `gate.least` and the like are arguments of its functions."""
    from sharpen.recipes import catalog

    parameters = inspect.signature(Stage).parameters
    for key, text in sorted(given.items(), key=lambda item: item[0].count(".")):  # a function before its arguments
        name, dot, argument = key.partition(".")
        if name not in OWN:
            stage = dataclasses.replace(stage, recipe=change(stage.recipe, {key: text}))
            continue
        if dot:
            value: Any = catalog.override(name, argument, text, getattr(stage, name))
        elif name in ("gate", "hand_over"):
            value = catalog.slot_function(name, text)
        else:
            value = catalog.typed(key, text, parameters[name])
        stage = dataclasses.replace(stage, **{name: value})
    return stage
