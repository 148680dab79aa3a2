"""Skills that rise get more of the same, the others are split into smaller ones: a budget that both explores and exploits.

Paper: arXiv 2410.06215 (DataEnvGym), the skill-tree environment
Parent: dataenvgym_open
Differs: of the tasks, `explore` go to easier cases and single steps of skills that did not rise between the last two
    evaluations, the rest to skills that did. From the paper: the rule decides, not a model; a subskill is an operator
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Arm, Evaluation
from sharpen.data import diagnose, propose
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.growth import dataenvgym_open


def recipe(explore: float = 0.5, n: int = 64, branches: bool = True) -> Recipe:
    parent = dataenvgym_open.recipe(n)
    if not branches or not n:
        return parent
    write = partial(propose.tree, role="teacher", explore=explore)
    return replace(parent, grow=partial(parent.grow, diagnose=diagnose.by_skill, propose=write))


NEUTRAL = dict(branches=False)


def check(made: Recipe) -> bool:
    """Before two evaluations everything is explored; a skill that rose since then gets more of the same."""
    arm, n = Arm("chain_sum", 2), 16
    risen = [Evaluation({arm: (True,) * k + (False,) * (n - k)}) for k in (2, 8)]
    made_of = [growing.ways(growing.grown(made, growing.teacher(), evaluations=seen)) for seen in (risen[:1], risen)]
    return made_of == [{"easier", "part"}, {"like"}]
