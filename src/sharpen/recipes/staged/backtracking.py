"""Imitated searches with wrong turns, right or not, make later practice better, the more so the larger the search.

Paper: arXiv 2505.24273 (How Much Backtracking is Enough), abstract and README; 0, 1, 5 and 10 wrong turns there
Parent: grpo
Differs: routes to a number, worked solutions with exactly so many wrong turns, are imitated, then practised. `permuted`
    exchanges the results of their steps: the structure stays, and nothing is right but the answer. From the paper: one family
    of tasks, of three sizes; at most four wrong turns
"""

from dataclasses import replace
from functools import partial
from typing import Any

from sharpen import guard, tasks
from sharpen.core import Arm
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import sft


def recipe(imitate: float = 0.4, backtracks: int = 1, permuted: bool = False, routes: bool = True) -> Stages:
    same: dict[str, Any] = dict(tasks=partial(tasks.searching, backtracks=backtracks, permuted=permuted)) if routes else {}
    return staging.sequence(
        Stage("imitate", replace(sft.recipe(), **same), imitate, handover.last, guard.always),
        Stage("rl", replace(grpo.recipe(), **same), 1 - imitate, handover.last, guard.always),
    )


NEUTRAL = dict(imitate=0.0, routes=False)


def check(made: Stages) -> bool:
    """Each worked solution has exactly one wrong turn, and its answer leads to the number that was asked for."""
    source = made.stages[0].recipe.tasks()
    drawn = [source.draw(arm, "train", i, 0) for arm in source.arms for i in range(4)]
    leads = [tasks.route_end(task.prompt[0]["content"], str(task.answer)) for task in drawn]
    return source.arms[0] == Arm("searching", 1) and {tasks.turns_of(str(t.solution)) for t in drawn} == {1} and all(leads)
