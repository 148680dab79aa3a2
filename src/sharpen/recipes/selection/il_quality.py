"""Demonstrations that do the same in the same place are easier to imitate than as many that do not.

Paper: arXiv 2306.02437 (Data quality in imitation learning), sections 3 and 4
Parent: rft
Differs: of the right answers to a task the half that is most like the others is learnt from. From the paper, which measures and
    proposes no algorithm: action divergence is the mean distance in words between answers to the same question. `sharpen data`
    reports action divergence and state similarity of any set with worked solutions
"""

from dataclasses import replace
from functools import partial

from sharpen.data import curating
from sharpen.recipe import Recipe
from sharpen.recipes import teaching
from sharpen.recipes.supervised import rft


def recipe(share: float = 0.5) -> Recipe:
    parent = rft.recipe()
    return replace(parent, select=partial(curating.consistent, share=share)) if share else parent


NEUTRAL = dict(share=0.0)


def check(made: Recipe) -> bool:
    """Of three answers that nearly agree and one that does not, the odd one goes, and divergence falls."""

    def said(text: str, number: int):
        sample = teaching.toy(0, number, 1.0)
        return replace(sample, rollout=replace(sample.rollout, turns=(text,)))

    texts = ("one two three four", "one two three five", "one two three six", "nine eight seven")
    given = [said(text, i) for i, text in enumerate(texts)]
    kept = made.select(given)
    return all(s is not given[3] for s in kept) and curating.between(kept).mean() < curating.between(given).mean()
