"""A judge of steps needs no reference: where its steps' verdicts agree with the answer's, their tokens alone are learnt from.

Paper: arXiv 2512.03244 (SPARK, stepwise), section 4; labels by vote, section 3
Parent: grpo
Differs: a generative judge says a verdict on each step and on the whole; the answer's advantage reaches a step's tokens only
    where the step's verdict has its sign. From the paper: the judge is the student under another prompt unless `--role judge=`
    names a trained one; how labels by vote and by meta-critique train one is shown by bench/chain_rewards.py
"""

from dataclasses import replace
from functools import partial

from sharpen import verify
from sharpen.core import Role
from sharpen.data import stepping
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.verify import pieces


def recipe(selective: bool = True, judged: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not judged:
        return parent
    made = replace(parent, verify=partial(verify.stepwise, split=pieces.steps), roles=(Role("judge", bound="student"),))
    if not selective:
        return made
    return replace(
        made,
        verify=partial(verify.stepwise, split=pieces.steps, credit=True),
        select=partial(stepping.selective, split=pieces.steps),
        objective=policy_gradient.by_turn_credit,
    )


NEUTRAL = dict(judged=False)


def check(made: Recipe) -> bool:
    """Trivially right steps raise a share of steps, and not the verdict; a step that the judge forgot makes it unreadable."""
    from sharpen.verify import learnt

    def said(*steps):
        return "\n".join([*(f"Step {i}: {word}" for i, word in enumerate(steps, 1)), "Verdict: wrong"])

    few, many, forgot = (
        learnt.rehearse(made.verify, "wrong", words=[said(*steps)], response=" ".join(map(str, range(n))))
        for steps, n in ((["wrong"], 1), (["right", "right", "wrong"], 3), (["right"], 2))
    )
    hacked = verify.step_augmented([True, True, False], False) > verify.step_augmented([False], False)
    return few.reward == many.reward == 0.0 and forgot.reward is None and hacked and many.credit == (1.0, 1.0, 0.0)
