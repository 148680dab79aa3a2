"""A reward model that keeps learning, and pairs of the best and worst of eight by it, beat pairs that were collected once.

Paper: arXiv 2405.07863 (RLHF Workflow), sections 2 and 3; Bradley-Terry reward model, best of 8 against worst of 8
Parent: online_dpo
Differs: a head on a copy of the student says what is best and worst; it learns each step from what the verifier says is better,
    which stands for people. From the paper: the model is learnt all along, not once before; one pass over a step's pairs
    instead of two over all so far; no length penalty
"""

from dataclasses import replace

from sharpen import verify
from sharpen.core import Role
from sharpen.data import lessons
from sharpen.objectives import rewards
from sharpen.recipe import Recipe
from sharpen.recipes.preference import online_dpo


def recipe(samples: int = 8, learnt: bool = True, **knobs) -> Recipe:
    parent = online_dpo.recipe(**knobs)
    if not learnt:
        return replace(parent, samples=samples)
    role = Role("reward", gives="scores", bound="start", objective=rewards.prefer, teach=lessons.preferences, lr=1e-3)
    return replace(parent, samples=samples, verify=verify.scored, roles=(role,))


NEUTRAL = dict(learnt=False, samples=4)


def check(made: Recipe) -> bool:
    """A wrong answer that the model likes is the better half of its pair, and stays wrong; the reference is the start."""
    from sharpen.verify import learnt

    liked = learnt.rehearse(made.verify, outcome="wrong", scores=[2.0])
    return liked.outcome == "wrong" and abs(liked.reward - 0.8808) < 1e-3 and online_dpo.check(made) and made.samples == 8
