"""A judge that reasons and scores learns to judge from its own judgements: those that came out right over those that did not.

Paper: arXiv 2410.05495 (Self-rationalisation), section 3.3; pairing by the right score
Parent: grpo
Differs: the judge is a copy of the student that scores each answer several times at temperature 1, learns from pairs of its own
    judgements by DPO against where it began, and pays the mean. From the paper: it learns beside a student that it pays, the
    verifier says which score is right (above or below 5 of 10), and there is no SFT on written rationales before
"""

from dataclasses import replace
from functools import partial
from typing import Any

from sharpen import verify
from sharpen.core import Role
from sharpen.data import judgements
from sharpen.objectives import preferences
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(times: int = 4, judge_lr: float = 1e-5, judged: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not judged:
        return parent
    judge = Role("judge", bound="start", objective=preferences.dpo, teach=judgements.pairs, lr=judge_lr)
    return replace(parent, verify=partial(verify.rationalised, times=times), roles=(judge,))


NEUTRAL = dict(judged=False)


def check(made: Recipe) -> bool:
    """Of four judgements of one wrong answer, two right, two pairs are made; of four alike, none."""
    role: Any = made.roles[0]
    from sharpen.recipes.teaching import toy

    def judged(scores):
        one = toy(0, 0, 0.0)
        return [replace(one, rollout=replace(one.rollout, turns=(f"Score: {n}",))) for n in scores]

    mixed, alike = (role.teach(judged(scores)) for scores in ([2, 9, 1, 8], [2, 1, 0, 3]))
    return len(mixed) == 4 and [s.verdict.reward for s in mixed] == [1, 0, 1, 0] and not alike
