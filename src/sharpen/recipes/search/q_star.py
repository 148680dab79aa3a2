"""Looking at every action for a few tokens, and carrying out only the most hopeful, finds as good a way for less.

Paper: arXiv 2102.04518 (Q* search), abstracts of two versions; the algorithm is derived from them
Parent: grpo
Differs: steps of an answer are the actions, their values what a few tokens of each are worth by likelihood; the queue holds
    (beginning, action), and a step is made when it comes off. From the paper: no Q network is trained; on a puzzle it is
    `trees.edges_first`
Status: reproduced on a toy: python -m pytest tests/rollouts/test_lights.py (3 x 3 lights out, all pairs of moves as actions:
    with a learnt Q as many states are made as the way is long, where A* makes 45 for each)
"""

from dataclasses import replace
from functools import partial

from sharpen.recipe import Recipe
from sharpen.recipes.played import settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import exploring, trees


def recipe(limit: int = 16, glimpse: int = 4, weight: float = 1.0) -> Recipe:
    parent = grpo.recipe()
    return (
        replace(parent, rollout=partial(exploring.glimpsed, limit=limit, glimpse=glimpse, weight=weight)) if limit else parent
    )


NEUTRAL = dict(limit=0)


def check(made: Recipe) -> bool:
    """S-(10)->G, S-(1)->X-(1)->G with Q = 0: an early goal test returns 10, a deferred one 2, and one state is made a round."""
    graph = {"S": {"G": 10.0, "X": 1.0}, "X": {"G": 1.0}}

    def actions(node):
        yield from ()
        return [(to, 0.0) for to in graph[node.state]]

    def paid(early: bool) -> float:
        act = lambda node, to: trees.Child(to, cost=graph[node.state][to], done=to == "G")  # noqa: E731
        try:
            next(trees.edges_first(trees.Node("S"), actions, act, str, 9, settings(made.rollout)["weight"], early))
        except StopIteration as end:
            return end.value.goal.paid if end.value.made == end.value.rounds + 1 else -1.0
        return -1.0

    return paid(early=True) == 10.0 and paid(early=False) == 2.0
