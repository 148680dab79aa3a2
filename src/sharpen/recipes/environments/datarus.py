"""Paid for clean notebooks first and for right conclusions later, an analyst keeps its form and finds out as much.

Paper: arXiv 2508.13382 (Datarus-R1), abstract; its formulas are not in what was read
Parent: grpo
Differs: whole episodes on a table, errors and repairs included, are imitated first; then practice, whose reward goes along a
    cosine from the share of cells without an error to the verdict on the whole. From the paper: the verdict is the
    environment's, no hierarchical reward model; no saving of memory; one mode of answering
"""

from dataclasses import replace
from functools import partial

from sharpen import guard
from sharpen.data import blending
from sharpen.guard import handover
from sharpen.recipe import Method, Stage
from sharpen.recipes import staging
from sharpen.recipes.played import answers
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import sft
from sharpen.recipes.within import within


def recipe(imitate: float = 0.3, env: str = "table", levels: str = "1-3", act: bool = True) -> Method:
    if not act:
        return grpo.recipe()
    shown = within(sft.recipe(), env, levels, turns=4, max_tokens=120)
    shown = replace(shown, rollout=partial(shown.rollout, shown=True))
    practised = within(grpo.recipe(), env, levels, turns=4, max_tokens=120)
    practised = replace(practised, select=partial(blending.handed_over, early="clean"))
    return staging.sequence(
        Stage("imitate", shown, imitate, handover.mean, guard.ratchet),
        Stage("rl", practised, 1 - imitate, handover.last, guard.always),
    )


NEUTRAL = dict(act=False)


def check(made: Method) -> bool:
    """At first two answers in like form are paid alike, right or wrong; half way both halves count; in the end only the
    verdict."""
    right, wrong = (replace(s, verdict=replace(s.verdict, parts={"clean": 1.0})) for s in answers(("4", 1), ("5", 0)))
    paid = [
        [round(float(s.verdict.reward or 0), 9) for s in blending.handed_over([right, wrong], "clean", progress=p)]
        for p in (0.0, 0.5, 1.0)
    ]
    return paid == [[1, 1], [1, 0.5], [1, 0]]
