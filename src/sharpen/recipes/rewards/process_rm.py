"""A reward model that is taught which steps are wrong finds the first of them, and an answer is as good as its weakest step.

Paper: arXiv 2305.20050 (Let's verify step by step), section 2.6; the lowest step as the answer's reward is arXiv 2504.15275
Parent: outcome_rm
Differs: a label for each step, against the worked solution, which is exact where there is one right working (`step_chain`);
    the reward is the lowest of the steps' probabilities. From the papers: labels by program, and the model learns
    beside the student
"""

from dataclasses import replace
from functools import partial

from sharpen import verify
from sharpen.data import lessons
from sharpen.recipe import Recipe
from sharpen.recipes.rewards import outcome_rm
from sharpen.verify import learnt, pieces


def recipe(by_step: bool = True, blend: float = 0.0, **knobs) -> Recipe:
    parent = outcome_rm.recipe(blend=blend, **knobs)
    if not by_step:
        return parent
    roles = tuple(replace(r, teach=partial(lessons.processes, label=lessons.checked, split=pieces.steps)) for r in parent.roles)
    scored = partial(verify.scored, split=pieces.steps, over=learnt.lowest, blend=blend)
    return replace(parent, verify=scored, roles=roles)


NEUTRAL = dict(by_step=False)


def check(made: Recipe) -> bool:
    """A chain with one bad step is paid for that step, and its label is where the chain went wrong."""
    paid = learnt.rehearse(made.verify, "wrong", scores=[3.0, -3.0, 3.0], response="1 2<answer>2</answer>")
    return abs(paid.reward - learnt.sigmoid(-3.0)) < 1e-9 and paid.outcome == "wrong"
