"""A context that is read into an adapter, and not into the window, is answered from as well, wherever in it the fact stands.

Paper: arXiv 2507.06415 (PERK), section 3, by a detailed note
Parent: grpo
Differs: of questions with a context, the paragraphs before the last, the context is learnt from in segments for a few steps,
    and the question answered without it; then the weights are put back. From the paper: the adapter begins at random, for the
    loop's objectives cannot look through learning; what does is `objectives.unrolled.meta_gradient`, on its own
Status: reproduced on a toy: python -m pytest tests/models/test_study.py -k meta (a table of facts: from a start that was
    learnt through four inner steps the fact is recalled, from a random one it is not)
"""

from dataclasses import replace
from functools import partial
from math import isclose

from sharpen.objectives import unrolled
from sharpen.recipe import Recipe
from sharpen.recipes.played import TASK
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import studying


def recipe(steps: int = 4, lr: float = 1e-3, segment: int = 128) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, rollout=partial(studying.from_memory, steps=steps, lr=lr, segment=segment)) if steps else parent


NEUTRAL = dict(steps=0)


def check(made: Recipe) -> bool:
    """Curvature 2, rate 0.1, 8 steps: unrolling the last T gives (1 - 0.2)^(T - 8) of the whole gradient: 1, 2.44, 5.96."""
    import torch

    one = torch.tensor(1.0)
    g = [float(unrolled.meta_gradient(one, lambda x: x * x, lambda x: x * x, 8, 0.1, last)) for last in (8, 4, 0)]
    asked = next(made.rollout(replace(TASK, prompt=({"role": "user", "content": "a is 5.\n\na ="},))))
    apart = asked.study is not None and asked.study.texts == ("a is 5.",) and asked.messages[-1]["content"] == "a ="
    return apart and isclose(g[1] / g[0], 0.8**-4, rel_tol=1e-4) and isclose(g[2] / g[0], 0.8**-8, rel_tol=1e-4)
