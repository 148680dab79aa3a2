"""An order that is measured again as the student changes, and an expert's solutions told in its own words, add up.

Paper: arXiv 2505.08364 (Learning Like Humans): ADCL and EGSR together
Parent: egsr
Differs: egsr's reformulated solutions of what was never solved, with adcl's order of arms. From the paper: what adcl and egsr
    say
"""

from dataclasses import replace

from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import adcl
from sharpen.recipes.growth import egsr


def recipe(batches: int = 5, review: float = 0.1, **knobs) -> Recipe:
    parent = egsr.recipe(**knobs)
    return replace(parent, curriculum=adcl.recipe(batches, review).curriculum) if review < 1 else parent


NEUTRAL = dict(review=1.0)


def check(made: Recipe) -> bool:
    """Both are there: the easiest arms come first, and what nobody solved is told again."""
    return adcl.check(made) and egsr.check(made)
