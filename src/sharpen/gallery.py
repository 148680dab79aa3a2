"""The gallery: what every recipe claims, and whether somebody has shown it, as the page docs/recipes.md.

It is generated, never written: `sharpen list --markdown > docs/recipes.md`. A test fails where the page is out of date.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from sharpen.catalog import STATUSES, RecipeInfo

HEAD = """# Recipes

Made by `sharpen list --markdown > docs/recipes.md` from what each recipe's file says of itself. A claim is *claimed* until
someone has run the recipe against its parent at equal budget (`sharpen compare`); then it is *reproduced* or *refuted here*,
with the command and its figures. `sharpen show NAME` prints what a recipe is made of and what `--set` takes. A *setting* only
replaces parts of its parent, a *piece* has one function of its own, a *loop* is a loop of its own.
"""


def markdown(listed: Sequence[RecipeInfo]) -> str:
    """The page, ending in a newline. Recipes in the order given, families by name."""
    listed = sorted(listed, key=lambda info: info.family)
    counts = ", ".join(f"{sum(info.status == status for info in listed)} {status}" for status in STATUSES)
    rows = [f"| [{i.name}](#{i.name}) | {i.family} | {i.parent or ''} | {i.status} | {cell(i.claim)} |" for i in listed]
    parts = [
        HEAD,
        f"{len(listed)} recipes: {counts}.\n",
        "| recipe | family | parent | status | claim |\n|---|---|---|---|---|",
    ]
    parts += ["\n".join(rows) + "\n"]
    for family, members in groupby(listed, key=lambda info: info.family):
        parts += [f"## {family.replace('_', ' ')}\n", *map(entry, members)]
    return "\n".join(parts)


def entry(info: RecipeInfo) -> str:
    """One recipe."""
    parent = f"[{info.parent}](#{info.parent})" if info.parent else "none"
    path = f"../src/sharpen/recipes/{info.family}/{info.name}.py"
    lines = [f"### {info.name}\n", f"{text(info.claim)}\n", f"- Paper: {linked(text(info.paper or 'none'))}"]
    lines += [f"- Parent: {parent}"] + ([f"- Differs: {text(info.differs)}"] if info.differs else [])
    lines += [f"- Tier: {info.tier} ([source]({path}))", f"- Status: {status(info)}\n"]
    return "\n".join(lines)


def status(info: RecipeInfo) -> str:
    command, figures = evidence(info)
    shown = f"**{info.status}**" if info.status != "claimed" else info.status
    return shown + (f" by `{command}`" if command else "") + (f": {text(figures)}" if figures else "")


def evidence(info: RecipeInfo) -> tuple[str, str]:
    """The command that showed a recipe's status, and its figures: what stands in brackets at the end."""
    found = re.fullmatch(r"(.*?)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)", info.evidence)
    return (found[1], found[2]) if found else (info.evidence, "")


def linked(paper: str) -> str:
    """arXiv numbers as links."""
    return re.sub(r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", paper)


def cell(words: str) -> str:
    return text(words).replace("|", r"\|")


def text(words: str) -> str:
    """Words of a docstring: what Markdown would take for emphasis or markup is escaped, but for what stands in backquotes."""
    parts = words.split("`")
    return "`".join(part if i % 2 else re.sub(r"([*<>\[\]])", r"\\\1", part) for i, part in enumerate(parts))
