"""Puzzles that need trying, seeing and turning back, with an expert's trace while nothing succeeds, teach reflection.

Paper: arXiv 2510.08540 (MM-HELIX): long-chain reflective tasks, adaptive hybrid policy optimisation
Parent: ahpo
Differs: ahpo on puzzles in which a choice shows itself wrong later: small sudokus, mazes, zebra puzzles and jugs, which
    reasoning-gym has with a sound checker. From the paper: no images, and families of ours for its 42
"""

from dataclasses import replace
from functools import partial

from sharpen import tasks
from sharpen.recipe import Recipe
from sharpen.recipes.hybrid import ahpo

PUZZLES = "mini_sudoku,maze,zebra_puzzles,jugs"


def recipe(puzzles: str = PUZZLES, max_tokens: int = 200, **knobs) -> Recipe:
    parent = ahpo.recipe(**knobs)
    return replace(parent, tasks=partial(tasks.gym, puzzles), max_tokens=max_tokens) if puzzles else parent


NEUTRAL = dict(puzzles="")


def check(made: Recipe) -> bool:
    """Every family is there with its levels, and a trace is shown where nothing succeeded."""
    found = {arm.family for arm in made.tasks().arms}
    return len(found) == 4 and ahpo.check(made)
