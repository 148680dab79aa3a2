"""How much to imitate can be learnt from what imitation and practice would each do for the reward: no schedule is as good.

Paper: arXiv 2508.06944 (AMFT), meta-gradient and entropy heuristic
Parent: dr_grpo
Differs: (1 - mu) practice + mu imitation of every prompt's worked solution, mu learnt. From the paper: gradients of length 1;
    utility on every second prompt of the step, not on a validation set; target entropy of the first step after warm-up
Status: reproduced on a toy: python -m pytest tests/objectives/test_hybrid.py -k weight_goes (where imitation's solution is best
    the weight goes to its upper bound, 0.95, where practice's is, to its lower, 0.05; that no schedule is as good was not
    tried)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, hybrid
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import dr_grpo


def recipe(
    mu: float = 0.5, rate: float = 0.1, entropy_rate: float = 0.02, every: int = 4, max_tokens: int | None = None
) -> Recipe:
    parent = dr_grpo.recipe(max_tokens=max_tokens)
    if not mu:
        return parent
    learnt = partial(hybrid.amft, length=parent.max_tokens, mu=mu, rate=rate, entropy_rate=entropy_rate, every=every)
    return replace(parent, select=hybrid.demonstrated, objective=learnt)


NEUTRAL = dict(mu=0.0)


def check(made: Recipe) -> bool:
    """At mu = 1/2 own answers count half of what they do in Dr. GRPO, and the worked solution half of what it does in SFT."""
    tableau = made.objective(policy=None, batch=None, notes={})
    c, plain = example(tableau, [[1, 0, 1]], forced=[2]), example(dr_grpo.recipe().objective(), [[1, 0]])
    return np.allclose(c[:2], plain / 2) and np.allclose(c[2], 1 / 4)
