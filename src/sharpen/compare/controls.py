"""A method beside its controls: recipes made from its own, and what share of its gain each explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sharpen.compare import paired
from sharpen.compare.runner import Contender, Plan, build, place
from sharpen.core import Evaluation, UserError
from sharpen.recipe import identities
from sharpen.recipes import controls

WHAT = {
    "untrained": "measuring again, without training",
    "solutions": "the same worked solutions for as long",
    "even": "even practice",
    "shuffled": "the same practice with rewards shuffled within groups",
    "prompt": "the best of a few instructions",
}


def name(one: Contender, control: str) -> str:
    return f"{one.name} [{control}]"


def added(plan: Plan) -> tuple[Plan, list[str]]:
    """The plan with every control of each contender behind it, and what was left out and why: a method may have no such
    control, and those of two methods may come out the same."""
    contenders: list[Contender] = []
    seen = {str(identities(build(plan, one))) for one in plan.contenders}
    left: list[str] = []
    for one in plan.contenders:
        contenders.append(one)
        for control in controls.CONTROLS:
            made = replace(one, name=name(one, control), as_control=control)
            try:
                text = str(identities(build(plan, made)))
            except UserError as error:
                left.append(f"{one.name} is without its control {control}: {error}")
                continue
            if text in seen:
                left.append(f"{one.name} is without its control {control}: it comes out as one that is there already.")
                continue
            seen.add(text)
            contenders.append(made)
    return replace(plan, contenders=tuple(contenders)), left


def beside(directory: Path | None, plan: Plan) -> tuple[Path, Plan]:
    """The plan with its controls, and where that comparison goes; `directory` where the user has said so."""
    made, _ = added(plan)
    return directory or place(made), made


def missing(plan: Plan) -> list[str]:
    """What `added` left out of a plan that has controls; nothing for one that has none."""
    if not any(one.as_control for one in plan.contenders):
        return []
    return added(replace(plan, contenders=tuple(one for one in plan.contenders if not one.as_control)))[1]


Measured = Sequence[tuple[Evaluation, Evaluation]]  # before and after, by seed


def explain(found: Sequence[dict[str, Any]], plan: Plan, measured: Sequence[Measured]) -> None:
    """Give every control, once it and its method are complete, the share of the method's gain that it explains."""
    whole = {one.name: i for i, one in enumerate(plan.contenders) if not one.as_control}
    for row, one, own in zip(found, plan.contenders, measured, strict=True):
        row["explains"] = None
        base = whole.get(one.name.removesuffix(f" [{one.as_control}]"))
        if one.as_control and base is not None and row["complete"] and found[base]["complete"]:
            row["explains"] = explained(plan.contenders[base].name, one.as_control, measured[base], own)


def explained(method: str, control: str, whole: Measured, own: Measured) -> Mapping[str, Any]:
    """A share with its interval, and a sentence. The interval is null where the method's own gain is not above 0."""
    share = paired.share_of_gain(list(map(_scores, whole)), list(map(_scores, own)))
    said = {"of": method, "control": control, "value": share and share.value, "ci95": share and [share.low, share.high]}
    if share is None:
        return said | {"says": f"{WHAT[control]}: no share can be named, for no gain of {method} is shown"}
    ends = f"{100 * share.low:.0f} to {100 * share.high:.0f} %"
    return said | {"says": f"{WHAT[control]} explains {100 * share.value:.0f} % of the gain of {method} ({ends})"}


def _scores(pair: tuple[Evaluation, Evaluation]) -> tuple[paired.Scores, paired.Scores]:
    return paired.scores(pair[0]), paired.scores(pair[1])
