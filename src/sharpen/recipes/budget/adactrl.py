"""A student that says first how hard a question is can be paid for being short on easy ones alone, and told how much to think.

Paper: arXiv 2505.18822 (AdaCtrl), by its release's default reward manager
Parent: grpo
Differs: answers begin with [Easy] or [Hard]; ±1 for right and wrong, 1/2 for the tag that fits the group's accuracy, 1/2 for
    a right short answer with [Easy]. From the paper: no imitation of tagged answers first, and the system message says what
    the tags are
"""

from dataclasses import replace
from functools import partial

from sharpen.data import lengths
from sharpen.recipe import Recipe
from sharpen.recipes.played import answers, settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import splicing


def recipe(tag: float = 0.5, length: float = 0.5, easy: float = 0.625, tags: bool = True) -> Recipe:
    parent = grpo.recipe()
    select = partial(lengths.by_tag, tag=tag, length=length, easy=easy)
    return replace(parent, rollout=splicing.tagged, select=select) if tags else parent


NEUTRAL = dict(tags=False)


def check(made: Recipe) -> bool:
    """Of an easy group: the longest right [Easy] has no length reward, half as long half of it; [Hard] misses the label."""
    tag, length = settings(made.select)["tag"], settings(made.select)["length"]
    said = (("[Easy] 4", 1.0), ("[easy] 4", 1.0), ("[Hard] 4", 1.0), ("4", 0.0))
    got = [s.verdict.reward for s in made.select(answers(*said, tokens=(8, 4, 4, 4)))]
    wanted = [1 + tag, 1 + tag + length / 2, 1.0, -1 - tag]
    return all(abs((a or 0.0) - b) < 1e-9 for a, b in zip(got, wanted))
