"""Preferring better refinements as well as better answers makes each round of refining raise what untrained rounds lower.

Paper: arXiv 2502.05605 (EVOLVE), section 3
Parent: dpo
Differs: first answers and refinements are imitated together; then each pair counts as it is, and again after the wrong answer
    that is to be improved, `share` of the weight. From the paper: the student's own answers by their verdicts, no reward model;
    its loss was not found in its text, and this mixture is ours
"""

from dataclasses import replace
from functools import partial

from sharpen import guard
from sharpen.data import corrections, pairs
from sharpen.guard import handover
from sharpen.objectives import policy_gradient
from sharpen.recipe import Method, Stage
from sharpen.recipes import staging
from sharpen.recipes.preference import dpo


def recipe(imitate: float = 0.3, share: float = 0.5, beta: float = 0.1) -> Method:
    parent = dpo.recipe(beta=beta)
    if not share:
        return parent
    learnt = replace(parent, select=partial(corrections.refinements, ask=pairs.IMPROVE), objective=policy_gradient.sft)
    preferred = replace(parent, select=partial(pairs.direct_and_refined, share=share))
    return staging.sequence(
        Stage("sft", learnt, imitate, handover.last, guard.always),
        Stage("prefer", preferred, 1 - imitate, handover.last, guard.always),
    )


NEUTRAL = dict(share=0.0)


def check(made: Method) -> bool:
    """One pair becomes two, of which the second is read after the wrong answer."""
    found = corrections.example(made.stages[1].recipe.select, ["3", "4"], "3")  # type: ignore[union-attr]
    return found == [("", "3"), ("", "4"), (f"[4][{pairs.IMPROVE}]", "3"), (f"[4][{pairs.IMPROVE}]", "4")]
