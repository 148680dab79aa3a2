"""A weak supervisor's error-ridden solutions of hard tasks, with its solutions of their single steps beside, beat either alone.

Paper: arXiv 2410.20533 (What Makes Good Supervision for Hard Reasoning Tasks?), project page
Parent: w2sr
Differs: tasks are chains of steps, and the weak model is asked for the chain and for each of its steps, from its right start.
    Errors that differ from task to task average out in what is learnt; the same error every time does not, from one half on.
    From the paper: steps of a chain, not sub-tasks that a model decomposed
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts, tasks
from sharpen.data import noisy
from sharpen.recipe import Recipe
from sharpen.recipes.weak_to_strong import w2sr


def recipe(parts: bool = True, chains: bool = True) -> Recipe:
    parent = w2sr.recipe()
    return replace(parent, tasks=tasks.step_chain, rollout=partial(rollouts.weak.decomposed, parts=parts)) if chains else parent


NEUTRAL = dict(chains=False)


def check(made: Recipe) -> bool:
    """Nine of ten ends wrong, by steps wrong two times in five, leave a perfect table; the same wrong step nearly always
    leaves none, and what decides there is one half."""
    random, same = (noisy.outcome_of(noisy.Steps(e, systematic), 8, 400) for e, systematic in ((0.4, False), (0.9, True)))
    flips = [noisy.learnable(e, 10, True) for e in (0.49, 0.51)] == [True, False] and noisy.learnable(0.89, 10)
    return random.taught < 0.15 and random.learnt == 1.0 and same.learnt == 0.0 and flips
