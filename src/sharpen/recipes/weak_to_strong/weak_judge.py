"""A weak model's yes or no to a strong student's answers carries over to each axis as far as it can see there.

Paper: arXiv 2410.12621 (Weak-to-Strong Generalization beyond Accuracy; number unverified), abstract
Parent: online_dpo
Differs: pairs are ranked by the role `weak`, asked whether an answer is right and whether it is wrong; what contradicts itself
    is nobody's. Outcomes stay the verifier's. What is recovered of the gap is reckoned for each axis by itself
    (`compare.gaps.by_axis`), and an axis that fell below the start is named. From the paper: no safety sets here; families of
    tasks are the axes
"""

from dataclasses import replace
from functools import partial

from sharpen import verify
from sharpen.core import Role
from sharpen.recipe import Recipe
from sharpen.recipes.preference import online_dpo
from sharpen.verify import learnt


def recipe(beta: float = 0.1, judged: bool = True) -> Recipe:
    parent = online_dpo.recipe(beta=beta)
    return replace(parent, verify=partial(verify.agreed, role="weak"), roles=(Role("weak"),)) if judged else parent


NEUTRAL = dict(judged=False)


def check(made: Recipe) -> bool:
    """A weak judge may like what is wrong: the reward is its, the outcome is not; yes to everything is nobody's verdict."""
    liked = learnt.rehearse(made.verify, "wrong", words=["Yes.", "No."])
    anything = learnt.rehearse(made.verify, "wrong", words=["Yes.", "Yes."])
    return (liked.reward, liked.outcome, anything.outcome) == (1.0, "wrong", "unscorable")
