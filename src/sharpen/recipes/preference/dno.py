"""Regressing on win rates against oneself, a teacher's answer among them, walks towards the Nash equilibrium of preferences.

Paper: arXiv 2404.03715 (DNO), algorithm 2; `soft` is algorithm 1, margin 0.25 where its grades differ by 2 of 6
Parent: online_dpo
Differs: the worked solution competes too; answers are ranked by win rate against the student's own; the reference is the last
    round that was kept; from the paper: verdicts instead of a judge's grades, and no pairs of earlier iterations
Tried: python -m pytest tests/objectives/test_games.py -k plain_self_play (exact steps on rock, paper, scissors: the average
    policy can be exploited by 0.149 after 250 steps, by 0.008 after 5,000; the last one, which is kept here, circles, by 0.14
    at the least)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.data import pairs
from sharpen.objectives import example, preferences
from sharpen.recipe import Recipe
from sharpen.recipes.preference import online_dpo


def recipe(eta: float = 0.1, margin: float = 0.25, soft: bool = False, nash: bool = True) -> Recipe:
    if not nash:
        return online_dpo.recipe(beta=eta)
    ranked = partial(pairs.tournament, margin=margin)
    return replace(online_dpo.recipe(), select=ranked, objective=partial(preferences.dno, eta=eta, soft=soft))


NEUTRAL = dict(nash=False)


def check(made: Recipe) -> bool:
    """The reference is the policy that was played against; at it a pair is pulled apart by eta / 2."""
    c = example(made.objective(), [[1, 0]], lengths=[1, 1])[:, 0]
    return made.objective().reference == "accepted" and np.allclose(c, [0.05, -0.05])
