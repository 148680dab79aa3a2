"""What was learnt from failures in words, kept only as far as it helps, makes a student better without a gradient.

Paper: arXiv 2510.18428 (AlphaOPT), sections 3.1 to 3.3
Parent: grpo
Differs: answers are given after insights from a library, which grows and is refined between rounds. From the paper: weights are
    learnt too (lr=0 is refused; take a tiny one for words alone), a condition is a set of words instead of a text that a model
    judges, and the student writes the insights unless `grow.writer` names a role
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.data import experience
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(most: int = 2, each: int = 4) -> Recipe:
    parent = grpo.recipe()
    if not most:
        return parent
    return replace(
        parent,
        rollout=partial(rollouts.with_insights, most=most),
        select=partial(experience.noting, most=most),
        grow=partial(experience.learn, each=each),
    )


NEUTRAL = dict(most=0)


def check(made: Recipe) -> bool:
    """Of 6 positives, 2 negatives and 2 missed 0.6 is the baseline: a condition with 0.8 is taken, one with 0.5 is not."""
    counted = dict(positive=["sun"] * 5 + ["moon"], negative=["rain"] * 2, missed=["sun", "rain"])
    one = dict(taxonomy="a", condition="", explanation="b", example="c", **counted)
    good, bad = experience.performance("sun", one), experience.performance("moon", one)
    narrow = one | dict(positive=["sun"] * 3 + ["moon"] * 3, missed=["rain", "rain"])
    taken = experience.refined(one, ["sun"])["condition"] == "sun" and experience.refined(narrow, ["sun"]) == narrow
    return (good, experience.performance("sun", narrow)) == (0.8, 0.5) and bad < 0.6 and taken and made.rollout is not None
