"""Paid for how much better a second answer is than the first, a model learns what better means, and can go on improving.

Paper: arXiv 2310.00898 (PIT), abstract and reviews of sections 3.1 to 3.3: gap reward model, reinforcement learning of gaps
Parent: grpo
Differs: two answers, the second after "Give a better answer."; the reward is how much better a head on a copy of the student
    finds it, both read after the first, which learns from pairs that the verifier tells apart. From the paper: the verifier for
    people's preferences; first answers are always the student's own; sigma of a difference of scores for the gap model
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import rollouts, verify
from sharpen.core import Role, Scored
from sharpen.data import lessons
from sharpen.objectives import rewards
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(rm_lr: float = 1e-3, gaps: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not gaps:
        return parent
    taught = partial(lessons.gaps, again=verify.learnt.IMPROVE)
    role = Role("reward", gives="scores", bound="start", objective=rewards.prefer, teach=taught, lr=rm_lr)
    improved = partial(rollouts.self_correct, again=verify.learnt.IMPROVE)
    return replace(parent, rollout=improved, verify=partial(verify.gap, again=verify.learnt.IMPROVE), roles=(role,))


NEUTRAL = dict(gaps=False)


def check(made: Recipe) -> bool:
    """The same answer again is worth 1/2, and whatever a prompt adds to both scores changes nothing."""
    from sharpen.verify import learnt

    def paid(after: float, before: float) -> float:
        scores = iter([after, before])

        def verdict(task, response, **given):  # each Score has one step: its own number
            asking, wish = made.verify(task, response, **given), None
            wish = next(asking)
            while True:
                told = [Scored(np.array([next(scores)])) for _ in wish] if isinstance(wish, list) else (yield wish)
                try:
                    wish = asking.send(told)
                except StopIteration as end:
                    return end.value

        return learnt.rehearse(verdict, "wrong", turns=("5", "6"), response="6").reward

    return paid(1.0, 1.0) == 0.5 and abs(paid(3.0, 1.0) - paid(7.0, 5.0)) < 1e-9 and paid(2.0, 0.0) > 0.88
