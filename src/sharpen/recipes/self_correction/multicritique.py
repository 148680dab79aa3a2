"""A critique is worth what revisions come to after it, and pairs that are ordered so teach to criticise.

Paper: arXiv 2410.15287 (MultiCritique), section 4 (MARV)
Parent: dpo
Differs: a greedy answer, critiques of it, and after each so many revisions by the student, whose share of right ones orders the
    critiques of a prompt. From the paper: the student criticises and revises in place of four models each; preference training
    without a reward model; rollouts.critique.meta_critique is its aggregation of several critics
"""

from dataclasses import replace
from functools import partial

from sharpen import verify
from sharpen.data import pairs
from sharpen.recipe import Recipe
from sharpen.recipes.preference import dpo
from sharpen.rollouts import critique


def recipe(revisions: int = 4, margin: float = 0.0, critical: bool = True) -> Recipe:
    parent = dpo.recipe()
    if not critical:
        return parent
    asked, select = partial(critique.critique, revisions=revisions), partial(pairs.best_vs_worst, margin=margin)
    return replace(parent, rollout=asked, verify=verify.caused, select=select)


NEUTRAL = dict(critical=False)


def check(made: Recipe) -> bool:
    """A critique after which three of four revisions are right is worth 3/4, whatever it says."""
    from sharpen.core import Task

    task = Task(({"role": "user", "content": "2 + 2"},), "4", "f", 1)
    found = made.verify(task, "Add again.", turns=("5", "Add again.", "4", "4", "5", "4"))
    return found.reward == 0.75 and found.parts["turn 1"] == 0.0
