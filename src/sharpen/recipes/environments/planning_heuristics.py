"""A heuristic that a model writes is judged by what a search solves with it: plans are sound however bad it is.

Paper: arXiv 2503.18809 (Classical planning with LLM-generated heuristics), n = 25, greedy best-first search
Parent: rft
Differs: programs of blocks world, each run in the sandbox on training problems; the plans are checked outside of it; the best
    of each group are imitated. From the paper: there nothing is trained, one of 25 is taken; eight domains in PDDL
"""

from dataclasses import replace

from sharpen.environments import heuristic, planning
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft
from sharpen.tasks import heuristics


def recipe(programs: int = 25, act: bool = True) -> Recipe:
    parent = rft.recipe()
    if not act:
        return parent
    return replace(parent, tasks=heuristics, verify=heuristic, samples=programs, prompts=4, max_tokens=256)


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """With the exact distance the search expands the plan alone, with a wild one it still finds one that is valid; one that
    raises finds as much as none."""
    start, goal = planning.problem(3, 2)
    exact = planning.distance(goal, start)
    plan, expanded = planning.gbfs(start, goal, lambda state, _: exact[state])
    wild, _ = planning.gbfs(start, goal, lambda state, _: hash(state) % 97)
    blind, _ = planning.gbfs(start, goal, lambda state, _: 1 / 0)
    return plan is not None and expanded == len(plan) == exact[start] and wild is not None and blind is not None
