"""Circuits drawn from the model itself, ranked by compiler and simulation, teach more than a fixed set of pairs.

Paper: arXiv 2407.12022 (ITERTL), sections 2 and 3: samples of the present model, ranked by feedback, filtered; the loss is
    RRHF's (arXiv 2304.05302, equations 2 to 5), whose form in the paper could not be read
Parent: origen
Differs: of each module's answers all that compile are kept, at least as likely as they are good, and the best is imitated. From
    the paper: a step is a cycle; a filter by the compiler for its filter of self-contained modules; simulation as in origen
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import data
from sharpen.core import Sample
from sharpen.objectives import contrast, example
from sharpen.recipe import Recipe
from sharpen.recipes.environments import origen


def graded(samples: Sequence[Sample], compiles: float) -> list[Sample]:
    """Rewards in three: right 1, compiles `compiles`, neither 0."""
    scored = data.keep_all(samples)
    return [
        data.pairs.rewarded(s, max(float(s.verdict.correct), compiles * s.verdict.parts.get("compiles", 0.0))) for s in scored
    ]


def recipe(compiles: float = 0.5, margin: float = 0.0, rank: bool = True, **knobs) -> Recipe:
    parent = origen.recipe(**knobs)
    if not rank:
        return parent
    return replace(parent, select=partial(graded, compiles=compiles), objective=partial(contrast.ranked, margin=margin))


NEUTRAL = dict(rank=False)


def check(made: Recipe) -> bool:
    """Three equally likely answers, right, compiling and neither, of one token: with a margin the best is pulled by 2 beside
    being imitated, the middle by 0, the worst by -2; without one, ties are not broken and the best alone is imitated."""
    tied = example(made.objective(), [[1, 0.5, 0]], lengths=[1] * 3)[:, 0]
    apart = example(contrast.ranked(margin=0.1), [[1, 0.5, 0]], lengths=[1] * 3)[:, 0]
    return bool(np.allclose(tied, [1, 0, 0]) and np.allclose(apart, [3, 0, -2]))
