"""What practice cannot learn is learnt from worked solutions of just those prompts, in bursts: a tenth of them is enough.

Paper: arXiv 2506.07527 (ReLIFT), section 3
Parent: dr_grpo
Differs: worked solutions of prompts that always failed wait until there are `size`, and are then learnt at once. From the
    release: in the same update as the step's practice, with its optimizer; the clip stays on; no entropy bonus
"""

from dataclasses import replace
from functools import partial

from sharpen.objectives import example, hybrid
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import dr_grpo


def recipe(size: int = 16, max_tokens: int | None = None) -> Recipe:
    parent = dr_grpo.recipe(max_tokens=max_tokens)
    if not size:
        return parent
    bursts = partial(hybrid.in_bursts, size=size)
    return replace(parent, select=bursts, objective=partial(hybrid.hpt, length=parent.max_tokens))


NEUTRAL = dict(size=0)


def check(made: Recipe) -> bool:
    """A group that always failed teaches nothing, its worked solution does."""
    c = example(made.objective(), [[0, 0], [1]], forced=[2])
    return not c[:2].any() and bool((c[2] > 0).all())
