"""Several yes-or-no questions, written for each prompt, rank answers better than one score by the same judge.

Paper: arXiv 2410.03608 (TICK), section 3
Parent: grpo
Differs: the reward is the share of a generated checklist that the judge finds met. From the paper: there it evaluates; the
    judge is the student under another prompt unless `--role judge=` says otherwise
Status: reproduced on a toy: python bench/reward_toys.py checklist (rank correlation with the truth, of five ticks and of one
    score: 0.80 and 0.59 where a judge errs in 10 %, 0.58 and 0.48 in 20 %; 0.39 and 0.42 in 30 %, where theory turns at 27.6)
"""

from dataclasses import replace

from sharpen import verify
from sharpen.core import Role
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(judged: bool = True) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, verify=verify.ticked, roles=(Role("judge", bound="student"),)) if judged else parent


NEUTRAL = dict(judged=False)


def check(made: Recipe) -> bool:
    """Two of three answered yes, one unreadably: 1 of 2; and where no question can be read, nobody is judged."""
    from sharpen.verify import learnt

    listed = "1. Is it a number?\n2. Is it short?\n3. Is it even?"
    found = learnt.rehearse(made.verify, "correct", words=[listed, "Yes.", "No.", "Perhaps."])
    none = learnt.rehearse(made.verify, "correct", words=["A good answer is right."])
    return found.reward == 0.5 and found.parts["tick Is it short?"] == 0.0 and none.reward is None
