"""The instruction before the questions can be searched for, by what goes wrong under it, and that helps beside learning.

Paper: arXiv 2402.08702 (PROMST), sections 3.1 to 3.3
Parent: grpo
Differs: training questions are asked under several instructions, the best two of which get children between rounds, written
    after a summary of what went wrong; evaluations use the best so far. From the paper: weights are learnt too, questions
    of one step instead of environments, and the score model is a ridge regression on the wording, for the release has none
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.data import prompting
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(expanded: int = 2, children: int = 4) -> Recipe:
    parent = grpo.recipe()
    if not children:
        return parent
    grow = partial(prompting.improve, expanded=expanded, children=children)
    return replace(parent, rollout=rollouts.prompted, select=prompting.scoring, grow=grow)


NEUTRAL = dict(children=0)


def check(made: Recipe) -> bool:
    """The writer is told of the planted kind of failure; a branch that fell twice is given up; the score model ranks."""
    root = prompting.prompt("root") | dict(n=10, right=8, failures={"malformed": 2})
    child = prompting.prompt("child", 0, 1) | dict(n=10, right=6)
    known = [root, child, prompting.prompt("grandchild", 1, 2) | dict(n=10, right=4)]
    good, bad = ["count each step", "count every step"], ["say it loud", "say it very loud"]
    low, high = prompting.predicted(["say it so loud", "count the steps"], [*good, *bad], [0.9, 0.8, 0.1, 0.2])
    told = prompting.RULES["malformed"] in prompting.wanted(known, 0) and "root" in prompting.wanted(known, 1)
    return told and prompting.fallen(known, 2, 2) and not prompting.fallen(known, 1, 2) and high > low and bool(made.grow)
