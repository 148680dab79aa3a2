"""Believing the largest set of steps that do not contradict each other is right more often than counting final answers.

Paper: arXiv 2505.19361 (Consistency-based abduction), section 4
Parent: grpo
Differs: rewards come from no verifier: the steps of a group's answers are statements, two of which contradict where they say
    different things of the same place, and answers made of believed ones are taken for right. From the paper: samples of one
    model instead of several models, no learnt rules of error
"""

from dataclasses import replace
from functools import partial

from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.verify import consensus, pieces


def recipe(abduced: bool = True, delta: float = 0.0) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, select=partial(consensus.consistent, steps=pieces.of_answer, delta=delta)) if abduced else parent


NEUTRAL = dict(abduced=False)


def check(made: Recipe) -> bool:
    """Three predictions, of which two contradict: one of these and the third are believed; all of them where delta is 1."""
    from sharpen.verify import consistency

    listed = [consistency.Prediction("a", 1, "x"), consistency.Prediction("b", 1, "y"), consistency.Prediction("c", 2, "z")]

    def clash(p, q):
        return p.item == q.item and p.label != q.label

    return (
        consistency.abduce(listed, clash) == [0, 2]
        and consistency.abduce(listed, clash, 1.0) == [0, 1, 2]
        and "delta" in getattr(made.select, "keywords", {})
    )
