"""A teacher that is told the accuracy of each skill puts its tasks where they are needed.

Paper: arXiv 2410.06215 (DataEnvGym), the skill-list environment
Parent: dataenvgym_open
Differs: each skill, that is each arm that fails with 95 % certainty, gets tasks in proportion to its failure rate. From the
    paper: the skills are the arms, not induced by a model
"""

from dataclasses import replace
from functools import partial

from sharpen.data import diagnose, propose
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.growth import dataenvgym_open


def recipe(listed: bool = True, n: int = 64) -> Recipe:
    parent = dataenvgym_open.recipe(n)
    write = partial(propose.rewrite, how=("like", "diverse"), role="teacher")
    named = partial(parent.grow, diagnose=diagnose.by_skill, propose=write)
    return replace(parent, grow=named) if listed and n else parent


NEUTRAL = dict(listed=False)


def check(made: Recipe) -> bool:
    """A mastered skill gets nothing, the others in proportion to their failures: 8 and 15 of 16."""
    made = replace(made, grow=partial(made.grow, n=23))
    return growing.by_level(growing.grown(made, growing.teacher())) == {2: 8, 3: 15}
