"""Being made to think again after budgets that grow finds mistakes, for less than twice what the last budget costs.

Paper: arXiv 2502.05449 (iterative deepening sampling), abstracts of two versions
Parent: grpo
Differs: after each block a trigger is put in and the same answer goes on; what it says in the end is judged. From the paper:
    trigger, first budget and growth are ours; and a block is what is new, so that nothing is drawn twice
"""

from dataclasses import replace
from functools import partial

from sharpen.recipe import Recipe
from sharpen.recipes.played import played, settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import splicing


def recipe(blocks: int = 3, first: int = 12, growth: float = 2.0) -> Recipe:
    parent = grpo.recipe()
    deep = partial(splicing.deepening, blocks=blocks, first=first, growth=growth)
    return replace(parent, rollout=deep) if blocks > 1 else parent


NEUTRAL = dict(blocks=1)


def check(made: Recipe) -> bool:
    """Blocks of first, first, 2 first, … new tokens, so what is drawn is the last budget; a trigger stands between them."""
    first, blocks = settings(made.rollout)["first"], settings(made.rollout)["blocks"]
    found = played(made.rollout, "x" * 400)
    drawn = first * settings(made.rollout)["growth"] ** (blocks - 1) + first  # the last: it is made to answer
    triggers = found.response.count(splicing.RETHINK)
    return found.spent.sampled == drawn and triggers == blocks - 1 and found.response.endswith("The answer is " + "x" * first)
