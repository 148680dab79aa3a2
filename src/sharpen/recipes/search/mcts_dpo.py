"""Steps that a tree search came to prefer, against their siblings, teach more than whole answers that differ everywhere.

Paper: arXiv 2405.00451 (MCTS-DPO), section 3 and its release
Parent: dpo
Differs: each prompt is searched by PUCT over steps; under each beginning the best step against the worst, tokens behind their
    parting alone, labels as sure as their visits say. From the paper: values are the verifier's, of playouts, in place of
    self-evaluation
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sharpen.core import Branch, Sample, Turn
from sharpen.data import trees as tried
from sharpen.objectives import example, steps
from sharpen.recipe import Recipe
from sharpen.recipes.played import answers, settings
from sharpen.recipes.preference import dpo
from sharpen.rollouts import search, trees, values


def recipe(beta: float = 0.1, scored: int = 16, branch: int = 2, step: int = 12) -> Recipe:
    parent = dpo.recipe(beta)
    if not scored:
        return parent
    chosen: dict[str, Any] = dict(value=values.by_playouts, select=trees.puct, scored=scored, branch=branch, step=step)
    searched = partial(search.tree, **chosen)
    return replace(
        parent, rollout=searched, select=tried.sibling_pairs, objective=partial(steps.by_visits, beta=beta), samples=1
    )


NEUTRAL = dict(scored=0)


def check(made: Recipe) -> bool:
    """Siblings of 3 and 1 visits: the label is wrong one time in four, so a token's coefficient is beta (1/2 - 1/4); what they
    share is in neither."""
    tokens, on = np.arange(5, dtype=np.int32), np.ones(5, bool)
    turn = Turn("a", tokens, on, -on.astype(np.float32), "end")
    branches = (Branch(turn, 3, -1, 0.9, 3), Branch(turn, 3, -1, 0.2, 1))
    one: Sample = answers(("4", 1.0))[0]
    pair = made.select([replace(one, rollout=replace(one.rollout, branches=branches))])
    c = example(made.objective(), [[s.verdict.reward or 0.0 for s in pair]])
    beta = settings(made.objective)["beta"]
    return [s.rollout.n_sampled for s in pair] == [2, 2] and np.allclose(c[:, 0], [beta / 4, -beta / 4])
