"""Going back to the beginning that looks most promising, and leaving it another way, finds what going on does not.

Paper: arXiv 2405.15143 (Intelligent Go-Explore), section 3
Parent: grpo
Differs: over beginnings of an answer, with an archive out of which the role `judge` chooses and into which it lets what is
    new. From the paper: steps of an answer in place of a game's actions, four from each beginning
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Role
from sharpen.recipe import Recipe
from sharpen.recipes.played import settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import exploring, trees


def recipe(limit: int = 16) -> Recipe:
    parent = grpo.recipe()
    explored = partial(exploring.explored, limit=limit)
    return replace(parent, rollout=explored, roles=(Role("judge", bound="student"),)) if limit else parent


NEUTRAL = dict(limit=0)


def check(made: Recipe) -> bool:
    """On a line of states with a judge that knows the way the goal is reached in as many actions as it is far."""
    taken = []

    def act(node):
        yield from ()
        taken.append(node.state)
        return trees.Child(node.state + (1 if taken.count(node.state) == 1 else -1))

    def last(nodes):
        yield from ()
        return max(range(len(nodes)), key=lambda i: nodes[i].state)

    def always(node):
        yield from ()
        return True

    found = trees.archive(trees.Node(0), last, act, always, int, settings(made.rollout)["limit"], lambda n: n.state == 5)
    try:
        next(found)
    except StopIteration as end:
        return end.value is not None and end.value.state == 5 and taken == [0, 1, 2, 3, 4]
    return False
