"""Imitating all that a weaker reasoner writes, right or wrong, gives most of what reinforcement learning would.

Paper: arXiv 2505.20072 (W2SR), abstract; its sets of right, wrong and all answers
Parent: sft
Differs: the role `weak` answers each training task and its words are imitated, whatever they are worth. `keep` right or wrong
    ones needs the verifier. From the paper: the weak model answers greedily, once
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.core import Role
from sharpen.data import weak
from sharpen.recipe import Recipe
from sharpen.recipes.played import answers, as_forced
from sharpen.recipes.supervised import sft


def recipe(keep: str = "all", taught: bool = True) -> Recipe:
    parent = sft.recipe()
    if not taught:
        return parent
    return replace(parent, rollout=rollouts.weak.labelled, select=partial(weak.told, keep=keep), roles=(Role("weak"),))


NEUTRAL = dict(taught=False)


def check(made: Recipe) -> bool:
    """A right and a wrong answer of the weak model are both learnt; what the student said itself is not."""
    said = answers(("4", 1), ("5", 0), ("6", 0))
    kept = made.select([as_forced(said[0]), as_forced(said[1]), said[2]])
    return [s.rollout.response for s in kept] == ["4", "5"]
