"""Fresh pairs, the best against the worst of what the student says now, beat pairs that somebody collected before.

Paper: arXiv 2405.07863 (RLHF workflow), section 3; best of 8 against worst of 8, reference the student at the start
Parent: dpo
Differs: one pair a prompt, of its extremes; from the paper: a verifier instead of a reward model, and one pass over a step's
    pairs instead of two over all pairs so far. `previous` takes the last round as reference, as the released script does
Status: reproduced on a toy: python -m pytest tests/objectives/test_preferences.py -k online_pairs (a table of 40 answers, as
    many pairs and updates: mean reward 1.43, 1.77 and 1.57 against 1.16, 0.98 and 1.29, three seeds; it also goes further, KL
    2.6, 3.0 and 2.5 against 1.4, 1.0 and 1.6)
Tried: sharpen compare grpo rloo dr_grpo dapo gspo cispo nft rft hpt online_dpo --budget 3m --seeds 3 --set average=0.97
    --set lr=2e-4 (no difference to grpo shown: -1.4 points, -4.1 to 1.3)
"""

from dataclasses import replace
from functools import partial

from sharpen.data import pairs
from sharpen.recipe import Recipe
from sharpen.recipes.preference import dpo


def recipe(beta: float = 0.1, extremes: bool = True, previous: bool = False) -> Recipe:
    parent = dpo.recipe(beta)
    return replace(
        parent,
        select=pairs.best_vs_worst if extremes else parent.select,
        objective=partial(parent.objective, reference="accepted") if previous else parent.objective,
    )


NEUTRAL = dict(extremes=False)


def check(made: Recipe) -> bool:
    """The fixed reference keeps the tilt towards the reward at 1 / beta, so the reference is named "start", not "accepted"."""
    return made.objective().reference == "start" and made.select is pairs.best_vs_worst
