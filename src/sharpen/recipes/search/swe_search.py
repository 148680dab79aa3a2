"""A tree whose values and hints a role gives, and a debate at its end, solve what one pass of the same student does not.

Paper: arXiv 2410.20285 (SWE-Search), sections 3 and 4; its release (moatless-tree-search) is another search: below
Parent: grpo
Differs: over steps of an answer: UCT by backed-up means, the role `value` scores each step and says what to try instead, and
    debaters choose between the two best. The release selects by a node's own reward with hand-made bonuses 50 times the
    exploration, and never switches the debate on: `rollout.select` takes `trees.by_own`, which a deceptive reward traps
    (tests/rollouts/test_trees.py)
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Role
from sharpen.recipe import Recipe
from sharpen.recipes.played import played
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import exploring


def recipe(scored: int = 16, debaters: int = 2, rounds: int = 1) -> Recipe:
    parent = grpo.recipe()
    searched = partial(exploring.debated, scored=scored, debaters=debaters, rounds=rounds)
    return replace(parent, rollout=searched, roles=(Role("value", bound="student"),)) if scored else parent


NEUTRAL = dict(scored=0)


def check(made: Recipe) -> bool:
    """Of two answers alike in value the one that the debaters vote for is chosen, and the second try heard of the first."""
    heard = []

    def value(messages):
        heard.append(messages[-1]["content"])
        return "2" if "Say 1 or 2" in heard[-1] else "6 try seven"

    small = partial(made.rollout, branch=2, steps=1, scored=2)
    found = played(small, "<answer>5</answer>", "<answer>4</answer>", role=value)
    return found.response == "<answer>4</answer>" and any("Argue" in words for words in heard) and len(found.branches) == 2
