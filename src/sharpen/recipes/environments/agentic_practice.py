"""Whole real trajectories first, then practice with a higher upper clip and a price on overlong answers, make an agent.

Paper: arXiv 2510.11701 (Demystifying Reinforcement Learning in Agentic Reasoning), abstract and its GRPO-TCR: token mean, clip
    higher, overlong shaping
Parent: dapo
Differs: episodes with a calculator; a share `imitate` of the budget goes to whole worked episodes before. From the paper:
    worked episodes of the environment instead of a teacher's, no data chosen for the model, and dapo's numbers
"""

from dataclasses import replace
from functools import partial

from sharpen import guard
from sharpen.guard import handover
from sharpen.objectives import policy_gradient
from sharpen.recipe import Method, Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.played import settings
from sharpen.recipes.policy_gradient import dapo
from sharpen.recipes.within import within


def recipe(imitate: float = 0.25, levels: str = "1-3", act: bool = True, **knobs) -> Method:
    parent = dapo.recipe(**knobs)
    if not act:
        return parent
    practised = within(parent, "numbers", levels, turns=4)
    shown = replace(practised, rollout=partial(practised.rollout, shown=True), objective=policy_gradient.sft, samples=1)
    return staging.sequence(
        Stage("trajectories", shown, imitate, handover.last, guard.always),
        Stage("practice", practised, 1 - imitate, handover.last, guard.always),
    )


NEUTRAL = dict(act=False)


def check(made: Stages) -> bool:
    """Trajectories are shown, not drawn; practice has dapo's wider upper clip and its price on overlong answers."""
    first, second = made.stages
    ready = settings(first.recipe.rollout).get("shown") and "shown" not in settings(second.recipe.rollout)
    return bool(ready) and dapo.check(second.recipe) and "limit" in settings(second.recipe.select)
