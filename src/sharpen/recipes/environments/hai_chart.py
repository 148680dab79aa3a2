"""Hints that a user accepts narrow the space of charts, so that the wanted one is found in fewer tries.

Paper: arXiv 2406.11033 (HAIChart), released graph search: random clauses with probability exp(-0.8 (1 - b/7))
Parent: grpo
Differs: the student asks for hints and draws; a simulated user has a hidden taste, and what was granted is a hard constraint.
    From the paper: there the search draws, by a preference network; it is here for the check, on 288 charts
"""

from sharpen.environments import charts
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.within import within


def recipe(turns: int = 6, act: bool = True) -> Recipe:
    return within(grpo.recipe(), "charts", "1", turns=turns, max_tokens=120) if act else grpo.recipe()


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """The chance of a random clause is 1 at the root, .633 with three open, .449 with none; what is granted stays; a search of
    a hundred charts is no worse where a hint was granted."""
    chances = [round(charts.random_move(b), 3) for b in (7, 3, 0)]
    liked = charts.taste(1)
    granted = {"mark": liked["mark"], "x": liked["x"], "sort": liked["sort"]}
    found, best = charts.search(liked, granted, 60, 0)
    _, without = charts.search(liked, {}, 60, 0)
    return chances == [1.0, 0.633, 0.449] and granted.items() <= found.items() and best >= without
