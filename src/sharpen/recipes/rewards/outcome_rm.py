"""A reward model that learns from verdicts, beside the student that it pays, tells right answers from wrong ones.

Paper: arXiv 2110.14168 (Training verifiers), section 4; the loop with a reward model is arXiv 2203.02155, section 3
Parent: grpo
Differs: the reward is sigma(score) of a head on a copy of the student, which learns each step from the verdicts of that step's
    answers; outcomes stay the verifier's. From the papers: the model learns all along, not once before
"""

from dataclasses import replace
from functools import partial

from sharpen import verify
from sharpen.core import Role
from sharpen.data import lessons
from sharpen.objectives import rewards
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(blend: float = 0.0, rm_lr: float = 1e-3, learnt: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not learnt:
        return parent
    role = Role("reward", gives="scores", bound="start", objective=rewards.classify, teach=lessons.outcomes, lr=rm_lr)
    return replace(parent, verify=partial(verify.scored, blend=blend), roles=(role,))


NEUTRAL = dict(learnt=False)


def check(made: Recipe) -> bool:
    """The reward is the model's, the outcome the verifier's: a wrong answer that it likes is paid and stays wrong."""
    from sharpen.verify import learnt

    liked = learnt.rehearse(made.verify, outcome="wrong", scores=[2.0])
    return liked.outcome == "wrong" and abs(liked.reward - 0.8808) < 1e-3
