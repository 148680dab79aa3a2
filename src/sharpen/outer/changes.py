"""How a recipe changes: a knob is turned, a slot is taken from another recipe, or a role writes.

A change is a function of (parent, archive of genomes, rng) that returns a genome and one sentence. Nothing of what it is given
is evaluated; what it returns is built and checked before it is run.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from numpy.random import Generator

from sharpen.core import UserError
from sharpen.outer import space
from sharpen.outer.files import Genome
from sharpen.recipe import Recipe, describe, identity
from sharpen.recipes import catalog

Change = tuple[Genome, str]
TURNED = ("lr", "temperature", "samples", "passes", "minibatches", "round_steps", "lr_end", "replay", "top_p", "average")
LENT = ("curriculum", "select", "objective", "guard")  # slots that fit in another recipe as they are
DONORS = {  # by slot, families of recipes that lend it
    "curriculum": ("curriculum",),
    "select": ("policy_gradient", "supervised"),
    "objective": ("policy_gradient", "supervised", "penalty"),
    "guard": ("policy_gradient",),
}
FACTOR = 4.0  # of a number at most, up or down, in one turn
TRIES = 20


def turned(parent: Genome, recipe: Recipe, rng: Generator, fixed: Collection[str] = ()) -> Change:
    """One number of the parent, by a factor or a step within its range. UserError where there is none, or nothing changes."""
    names = [name for name in TURNED if name not in fixed]
    if not names:
        raise UserError("every number is set for all members")
    name = str(rng.choice(names))
    low, high, log, whole = space.RANGES[name]
    now = float(getattr(recipe, name))
    if log and now > 0:
        value = now * math.exp(rng.uniform(-1, 1) * math.log(FACTOR))
    else:
        value = now + rng.uniform(-0.5, 0.5) * (high - low)
    value = min(max(value, low), high)
    text = str(int(round(value))) if whole else f"{float(f'{value:.3g}'):g}"
    if text == f"{now:g}":
        raise UserError(f"{name} would stay what it is")
    made = Genome(parent.base, parent.slots, {**parent.settings, name: text})
    return made, f"{name} from {now:g} to {text}"


def recombined(parent: Genome, recipe: Recipe, others: Sequence[Genome], rng: Generator, fixed: Collection[str] = ()) -> Change:
    """A slot of another member, or of a recipe of the folder. UserError where that is what the parent has already, or what is
    set for all."""
    slot = str(rng.choice(LENT))
    if slot in fixed:
        raise UserError(f"{slot} is set for all members")
    lenders = [info.name for info in catalog.recipes() if info.family in DONORS[slot]]
    known = [g.slots[slot] for g in others if slot in g.slots]
    donor = str(rng.choice([*lenders, *known]))
    lender = catalog.build(donor)
    if not isinstance(lender, Recipe) or identity(getattr(lender, slot)) == identity(getattr(recipe, slot)):
        raise UserError(f"{slot} is that of {donor} already")
    made = Genome(parent.base, {**parent.slots, slot: donor}, parent.settings)
    return made, f"{slot} of {donor}: {describe(getattr(lender, slot))}"


def crossed(parent: Genome, others: Sequence[Genome], rng: Generator) -> Change:
    """Of another member of the same base, each setting and slot with even odds."""
    mates = [g for g in others if g.base == parent.base and g != parent]
    if not mates:
        raise UserError("there is nobody to cross with")
    mate = mates[int(rng.integers(len(mates)))]
    settings, slots = (
        {**own, **{k: v for k, v in its.items() if rng.random() < 0.5}}
        for own, its in ((parent.settings, mate.settings), (parent.slots, mate.slots))
    )
    made = Genome(parent.base, slots, settings)
    if made == parent:
        raise UserError("the two are alike")
    return made, f"crossed with {mate}"


def changed(parent: Genome, recipe: Recipe, others: Sequence[Genome], rng: Generator, fixed: Collection[str] = ()) -> Change:
    """A turn, a loan or a cross, drawn anew until one is a change. UserError where none is.

    fixed  names that are set for all members, so that to change them changes nothing
    """
    for _ in range(TRIES):
        try:
            kind = rng.choice(["turn", "lend", "cross"], p=[0.5, 0.35, 0.15])
            if kind == "turn":
                return turned(parent, recipe, rng, fixed)
            return recombined(parent, recipe, others, rng, fixed) if kind == "lend" else crossed(parent, others, rng)
        except UserError:
            continue
    raise UserError("no change was found")


def told(parent: Genome, recipe: Recipe, members: Mapping[str, float], failures: Sequence[str]) -> str:
    """What a role is shown: the parent, how it and others fare against the root, and what failed."""
    lines = [f"{text}: beat the root with {score:.0%}" for text, score in members.items()]
    numbers = ", ".join(f"{name}={getattr(recipe, name)}" for name in TURNED)
    slots = ", ".join(f"{slot}={describe(getattr(recipe, slot))}" for slot in LENT)
    return "\n".join(
        [
            "A recipe trains a language model by reinforcement learning with verifiable rewards.",
            f"The recipe to improve: {parent}",
            f"Its numbers: {numbers}",
            f"Its slots: {slots}",
            "What was tried:",
            *(lines[-20:] or ["nothing yet"]),
            *(f"failed: {why[:200]}" for why in failures[-3:]),
        ]
    )
