"""An expert's solution told again in the student's own words teaches what the expert's words do not.

Paper: arXiv 2505.08364 (Learning Like Humans), expert-guided self-reformulation
Parent: ahpo
Differs: worked solutions of tasks that were never solved are told again by the student between two rounds, and where the
    verifier accepts that, it takes the expert's place. From the paper (abstract only): AHPO's likelihood term instead of a
    positive sample in the group
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Repair
from sharpen.data import growth, propose, repair
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.hybrid import ahpo


def recipe(most: int = 32, **knobs) -> Recipe:
    parent = ahpo.recipe(**knobs)
    if not most:
        return parent
    told = partial(repair.reformulated, most=most)
    return replace(parent, grow=partial(growth.closed_loop, propose=propose.nothing, repair=told))


NEUTRAL = dict(most=0)


def check(made: Recipe) -> bool:
    """Only of the three questions that nobody solved; a telling that ends elsewhere is refused."""
    right, _ = growing.play(made, lambda ask: f"So it is <answer>{growing.value(ask)}</answer>")
    wrong, _ = growing.play(made, lambda ask: "<answer>no</answer>")
    return len(growing.of(Repair, right)) == 3 and not growing.of(Repair, wrong)
