"""Paying an order by several views of it tells apart answers that one view calls equal, so that there is more to learn from.

Paper: arXiv 2508.07050 (ReasonRank), section 4.2
Parent: grpo
Differs: tasks are passages to be put in order; the reward is NDCG@10 + 0.2 recall@10 + 0.1 overlap, over their most. From the
    paper: 0 instead of -1 without an answer; the numbers must be the passages', which the release does not check; passages
    are short and their order is exact, and there is no SFT on a stronger model's reasoning before
"""

from dataclasses import replace
from functools import partial

from sharpen import tasks, verify
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(recalled: float = 0.2, overlapped: float = 0.1, ranked: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not ranked:
        return parent
    views = partial(verify.listwise, recalled=recalled, overlapped=overlapped)
    return replace(parent, tasks=tasks.ranked, verify=views)


NEUTRAL = dict(ranked=False)


def check(made: Recipe) -> bool:
    """The right order earns 1, its reverse less, one with a number that is no passage nothing: the release would skip that."""
    from sharpen.core import Task
    from sharpen.verify import ranking

    order = list(range(1, 21))
    task = Task(({"role": "user", "content": "?"},), " ".join(map(str, order)), "ranked", 1, data={"order": order})
    said = [order, order[::-1], [0, *order[1:]]]
    right, reverse, foreign = (made.verify(task, f"<answer>{' '.join(map(str, s))}</answer>").reward for s in said)
    return right == 1.0 > reverse > foreign == 0.0 and abs(ranking.overlap(order[::-1], order) - 0.331) < 5e-4
