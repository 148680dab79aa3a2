"""Imitating the best of a few answers, held near the first student, keeps what reinforcement learning would spoil.

Paper: arXiv 2310.16763 (SuperHF), section 3; c 0.35 and KL(start || student) token by token of its released code
Parent: rft
Differs: one answer a prompt, the best, instead of every distinct right one; plus c times the KL divergence over the whole
    vocabulary; from the paper: a verifier instead of a reward model, 4 answers a prompt instead of 16
"""

from dataclasses import replace
from functools import partial

from sharpen import objective, pairs, penalties
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft
from sharpen.tableau import example


def recipe(c: float = 0.35, best: bool = True) -> Recipe:
    parent = rft.recipe()
    held = partial(penalties.with_full_kl, objective.sft, beta=c, towards=True)
    return replace(parent, data=pairs.best_of if best else parent.data, objective=held if c else parent.objective)


NEUTRAL = dict(c=0.0, best=False)


def check(made: Recipe) -> bool:
    """The same gradient on the kept answers as SFT, and a divergence from the start beside it."""
    tableau = made.objective()
    same = (example(tableau, [[1], [1]]) == example(objective.sft(), [[1], [1]])).all()
    return bool(same) and tableau.penalty is not None and tableau.reference == "start"
