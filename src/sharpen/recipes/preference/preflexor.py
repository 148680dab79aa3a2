"""First odds ratios against worked solutions, then exact preferences against what was learned: reasoning taught in two stages.

Paper: arXiv 2410.12375 (PRefLexOR), its stages; losses and numbers of its released training notebook (ORPO with beta 0.1, then
    "exo_pair" with beta 0.1 and smoothing 0.005, chosen = gold, rejected = the model's own)
Parent: orpo
Differs: pairs are worked solutions against own answers, and after half of the budget EXO follows ORPO, with the last round that
    was kept as reference; from the paper: no thinking tokens to be masked, and no tasks made from a knowledge graph
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.data import pairs
from sharpen.objectives import example, preferences
from sharpen.recipe import Recipe
from sharpen.recipes.preference import orpo


def recipe(beta: float = 0.1, smoothing: float = 5e-3, switch: float = 0.5, demos: bool = True) -> Recipe:
    parent = orpo.recipe()
    return replace(
        parent,
        select=pairs.demo_vs_own if demos else parent.select,
        objective=partial(preferences.preflexor, beta=beta, smoothing=smoothing, switch=switch),
    )


NEUTRAL = dict(switch=1.0, demos=False)


def check(made: Recipe) -> bool:
    """Early on the odds ratio's own loss, later the exact one's."""
    early, late = (example(made.objective(progress=p), [[1, 0]]) for p in (0.0, 0.9))
    stages = [preferences.orpo(0.1), preferences.exo(0.1, 5e-3)]
    return all(np.allclose(c, example(stage, [[1, 0]])) for c, stage in zip((early, late), stages, strict=True))
