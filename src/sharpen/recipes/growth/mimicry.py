"""Private tasks can be practised by their twins: same meaning, difficulty and length, and not a private word.

Paper: arXiv 2508.05953 (SCALEFeedback), one-to-one mimicry (id and figures from the abstract)
Parent: grpo
Differs: each failed task gets one twin by the proposer; a twin that keeps a name or a number is refused, and a majority of
    the proposer's answers is the label; `data.fidelity` measures how faithful twins are. From the paper: questions, not
    submissions
"""

import json
from dataclasses import replace
from functools import partial

from sharpen.core import Role
from sharpen.data import growth, label, propose
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.policy_gradient import grpo


def recipe(n: int = 64) -> Recipe:
    parent = grpo.recipe()
    votes = (partial(label.by_majority, k=3, role="proposer"),)
    grow = partial(growth.closed_loop, n=n, propose=propose.twins, label=votes)
    return replace(parent, grow=grow, roles=(Role("proposer"),)) if n else parent


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """One twin for each failed task of a weak arm; a copy of the original is refused, for it keeps its numbers."""
    twins = growing.grown(made, growing.teacher())
    copied = growing.grown(made, lambda ask: json.dumps({"question": growing.asked_about(ask), "answer": "1"}))
    return 6 <= len(twins) == len({task.parents for task in twins}) <= 8 and not copied
