"""Recipes as files that a person can read: a base, slots taken from other recipes, and settings."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sharpen import loop
from sharpen.core import UserError
from sharpen.recipe import SLOTS, Recipe, Stages
from sharpen.recipes import catalog

FROZEN = ("tasks", "verify", "student", "validation", "test", "budget", "isolation", "seed", "verdict_s", "unscorable_limit")
# What no budget counts, so that more of it would be no better recipe but a longer one.
UNPAID = ("warmup_steps", "warmup_rows", "warmup_demos", "warmup_levels", "warmup_until")


@dataclass(frozen=True)
class Genome:
    """What a recipe file says. JSON: it is data, and nothing of it is evaluated.

    base      a recipe of the folder, or the path of a file with one
    slots     {slot: recipe whose slot it takes}
    settings  {name: text}, as `--set` has them, applied last
    """

    base: str
    slots: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        taken = [f"{slot} of {donor}" for slot, donor in sorted(self.slots.items())]
        return ", ".join([self.base, *taken, *(f"{k}={v}" for k, v in sorted(self.settings.items()))])


def parsed(value: Any, files: Collection[str] = ()) -> Genome:
    """A genome from JSON that somebody wrote. UserError for what is none, for what could act with the user's rights, and for
    what an outer loop may not change: tasks, verifier, student and how much is measured are the same for all that is compared.

    files  paths of recipes that may be the base; all others have to be names of the folder's
    """
    if not isinstance(value, dict) or not isinstance(value.get("base"), str):
        raise UserError('a recipe is written {"base": "grpo", "slots": {}, "settings": {"lr": "1e-4"}}, and this is not')
    slots, settings = value.get("slots") or {}, value.get("settings") or {}
    if not isinstance(slots, dict) or not isinstance(settings, dict):
        raise UserError("slots and settings are objects of texts")
    made = Genome(value["base"], {str(k): str(v) for k, v in slots.items()}, {str(k): str(v) for k, v in settings.items()})
    for name in (*made.slots, *made.settings):
        if name.partition(".")[0] in (*FROZEN, *UNPAID):
            raise UserError(f"{name} is the same for all that is compared, and nothing may change it")
        if name in made.slots and name not in SLOTS:
            raise UserError(f"{name} is no slot: {', '.join(SLOTS)}")
    for recipe in (made.base, *made.slots.values()):
        if recipe.endswith(".py") and recipe not in files:
            raise UserError(f"{recipe}: only recipes of the folder are taken")
    acting = loop.trust.acts({"recipe": "", "roles": (), "settings": [f"{k}={v}" for k, v in made.settings.items()]})
    if acting:
        raise UserError(f"{'; '.join(acting)} could act with your rights")
    return made


def unchanged(root: Mapping[str, str], other: Mapping[str, str]) -> None:
    """UserError where a recipe (`recipe.identities`) is not the root's in what all share."""
    for name in (*FROZEN, *UNPAID):
        if name in root and name != "budget" and root[name] != other.get(name):
            raise UserError(f"{name} would be {other.get(name)}: it is the same for all that is compared")


def as_json(genome: Genome) -> dict[str, Any]:
    return {"base": genome.base, "slots": dict(genome.slots), "settings": dict(genome.settings)}


def text(genome: Genome, claim: str, parent: str, differs: str) -> str:
    """The file. Sentences are folded into one line each, and cannot end the docstring."""
    taken = "".join(
        f"    made = replace(made, {slot}=catalog.build({donor!r}).{slot})\n" for slot, donor in sorted(genome.slots.items())
    )
    imports = "from dataclasses import replace\n\n" if taken else ""
    listed = "".join(f"    {f'{name}={value}'!r},\n" for name, value in sorted(genome.settings.items()))
    doc = f'"""{_line(claim)}\n\nPaper: none\nParent: {_line(parent)}\nDiffers: {_line(differs)}\n"""'
    if not taken:
        settings = f"(\n{listed})" if listed else "()"
        return (
            f"{doc}\n\nfrom sharpen.recipe import Recipe\nfrom sharpen.recipes import catalog\n\nSETTINGS = {settings}\n\n\n"
            f"def recipe() -> Recipe:\n    return catalog.build({genome.base!r}, SETTINGS)  # type: ignore[return-value]\n"
        )
    return (
        f"{doc}\n\n{imports}from sharpen.recipe import Recipe\nfrom sharpen.recipes import catalog\n\n\n"
        f"def recipe() -> Recipe:\n    made = catalog.build({genome.base!r}{_own(genome)})\n{taken}"
        "    return made  # type: ignore[return-value]\n"
    )


def _own(genome: Genome) -> str:
    return "".join([", (", *(f"{f'{k}={v}'!r}, " for k, v in sorted(genome.settings.items())), ")"]) if genome.settings else ""


def _line(said: str) -> str:
    """One line of plain text for a docstring."""
    return re.sub(r"\s+", " ", said).replace("\\", "/").replace('"""', "'''").strip() or "-"


def put(path: Path, genome: Genome, claim: str, parent: str, differs: str) -> None:
    """Write the file, and import nothing."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text(genome, claim, parent, differs), encoding="utf-8")
    part.replace(path)


def write(path: Path, genome: Genome, claim: str, parent: str, differs: str) -> Recipe:
    """Write the file, and build what it says. UserError where that is no recipe that can run."""
    put(path, genome, claim, parent, differs)
    built = catalog.build(str(path))
    if isinstance(built, Stages):
        raise UserError(f"{genome.base} has several stages: an outer loop changes recipes of one.")
    return built
