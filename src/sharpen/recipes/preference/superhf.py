"""Imitating the best of a few answers, held near the first student, keeps what reinforcement learning would spoil.

Paper: arXiv 2310.16763 (SuperHF), section 3; c 0.35 and KL(start || student) token by token of its released code
Parent: rft
Differs: one answer a prompt, the best, instead of every distinct right one; plus c times the KL divergence over the whole
    vocabulary; from the paper: a verifier instead of a reward model, 4 answers a prompt instead of 16
"""

from dataclasses import replace
from functools import partial

from sharpen.data import pairs
from sharpen.objectives import example, penalties, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(c: float = 0.35, best: bool = True) -> Recipe:
    parent = rft.recipe()
    held = partial(penalties.with_full_kl, policy_gradient.sft, beta=c, towards=True)
    return replace(parent, select=pairs.best_of if best else parent.select, objective=held if c else parent.objective)


NEUTRAL = dict(c=0.0, best=False)


def check(made: Recipe) -> bool:
    """The same gradient on the kept answers as SFT, and a divergence from the start beside it."""
    tableau = made.objective()
    same = (example(tableau, [[1], [1]]) == example(policy_gradient.sft(), [[1], [1]])).all()
    return bool(same) and tableau.penalty is not None and tableau.reference == "start"
