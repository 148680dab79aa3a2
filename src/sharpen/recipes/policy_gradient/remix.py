"""Learning twice from rollouts of which four in ten are a version or two old needs fewer of them, held by two KLs, then freed.

Paper: arXiv 2507.06892 (ReMix), sections 3.1 to 3.3
Parent: grpo
Differs: mixed-policy groups, two passes, a clip around the present policy, and KL-convex; after a quarter of the budget
    on-policy again. From the paper: GRPO's advantages; KLs as k2; the base policy stays the loop's first
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, off_policy, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(share: float = 0.4, steps: int = 2, passes: int = 2, kl: float = 0.01, until: float = 0.25) -> Recipe:
    parent = grpo.recipe()
    mixed = partial(off_policy.with_earlier, share=share, steps=steps, until=until)
    return replace(
        parent,
        select=mixed if share else parent.select,
        objective=partial(off_policy.remix, kl=kl, until=until) if share or kl else parent.objective,
        passes=passes,
    )


NEUTRAL = dict(share=0.0, passes=1, kl=0.0)


def check(made: Recipe) -> bool:
    """At the policy before the step nothing is clipped and nothing pulls: it is GRPO on rollouts of whatever age."""
    same = example(made.objective(progress=0.1), [[1, 0], [1, 1]])
    return np.allclose(same, example(policy_gradient.grpo(), [[1, 0], [1, 1]]))
