"""Proposing and checking in one pass, both rewarded for being right, a model stops where it may and goes on where it must.

Paper: arXiv 2506.06923 (SPOC), section 3
Parent: grpo
Differs: first imitation of wrong answer, "wrong", right answer, and of right answer, "right", as often, the wrong answers read
    only; then attempts and checks in turn, each compared with its like in the group, until a check says right. From the paper:
    GRPO by turn instead of RLOO; no KL
"""

from dataclasses import replace
from functools import partial

from sharpen import guard, rollouts, verify
from sharpen.data import corrections
from sharpen.guard import handover
from sharpen.objectives import policy_gradient, turns
from sharpen.recipe import Method, Stage
from sharpen.recipes import staging
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import feedback


def recipe(imitate: float = 0.4, attempts: int = 3, balanced: bool = True, spontaneous: bool = True) -> Method:
    if not spontaneous:
        return grpo.recipe()
    parent = replace(grpo.recipe(), verify=partial(verify.each_turn, kinds="ac"))
    shown = partial(corrections.proposals, balanced=balanced)
    asked = partial(rollouts.retry, feedback=partial(feedback.own_critique, until_right=True), attempts=attempts)
    return staging.sequence(
        Stage("pairs", replace(parent, select=shown, objective=policy_gradient.sft), imitate, handover.last, guard.always),
        Stage("rl", replace(parent, rollout=asked, objective=turns.separate), 1 - imitate, handover.last, guard.always),
    )


NEUTRAL = dict(spontaneous=False)


def check(made: Method) -> bool:
    """Of one right and one wrong answer: both are checked, the wrong one is read only, and what follows it is learnt."""
    select = made.stages[0].recipe.select  # type: ignore[union-attr]
    found = corrections.example(select, ["3<answer>3</answer>", "4<answer>4</answer>"], "3")
    learnt = [text for _, text in found]
    return [t.startswith("It is") for t in learnt] == [False, True, True, False] and "4<" not in "".join(learnt)
