"""The gallery: what every recipe claims, and whether somebody has shown it, as the page docs/recipes.md.

It is generated, never written: `sharpen list --markdown > docs/recipes.md`. A test fails where the page is out of date.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from sharpen.recipes.catalog import STATUSES, RecipeInfo

HEAD = """# Recipes

Made by `sharpen list --markdown > docs/recipes.md` from what each recipe's file says of itself. A claim is *claimed* until
someone has run the recipe against its parent at equal budget (`sharpen compare`); then it is *reproduced* or *refuted here*,
with the command and its figures. *Reproduced on a toy* is less: in a bandit, a game or a table, which says what the rule does
there and not what it does for a model. *Tried* is what was found where nothing was decided. *Checked* is what the tests assert
of the recipe as it is built (`pytest tests/recipes/test_recipes.py -k NAME`). `sharpen show NAME` prints what a recipe is made
of and what `--set` takes. A *setting* only replaces parts of its parent, a *piece* has one function of its own, a *loop* is a
loop of its own.
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
    lines += [f"- Checked: {text(info.check)}"] if info.check else []
    lines += [f"- Tier: {info.tier} ([source]({path}))"]
    lines += [f"- Status: {f'**{info.status}**' if info.evidence else info.status}{shown(info.evidence)}"]
    lines += [f"- Tried{shown(info.tried)}"] if info.tried else []
    return "\n".join(lines) + "\n"


def shown(evidence: str) -> str:
    """ " by COMMAND: FIGURES", without what there is not."""
    command, figures = parted(evidence)
    return (f" by `{command}`" if command else "") + (f": {text(figures)}" if figures else "")


def parted(evidence: str) -> tuple[str, str]:
    """The command that showed something, and its figures: what stands in brackets at the end."""
    found = re.fullmatch(r"(.*?)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)", evidence)
    return (found[1], found[2]) if found else (evidence, "")


def linked(paper: str) -> str:
    """arXiv numbers as links."""
    return re.sub(r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", paper)


def cell(words: str) -> str:
    return text(words).replace("|", r"\|")


def text(words: str) -> str:
    """Words of a docstring: what Markdown would take for emphasis or markup is escaped, but for what stands in backquotes."""
    parts = words.split("`")
    return "`".join(part if i % 2 else re.sub(r"([*<>\[\]])", r"\\\1", part) for i, part in enumerate(parts))
