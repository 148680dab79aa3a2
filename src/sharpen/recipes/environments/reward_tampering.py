"""Where tampering pays nothing it does not spread from what is easy to game to what is blatant.

Paper: arXiv 2406.10162 (Sycophancy to Subterfuge), abstract and the format of its environments
Parent: rft
Differs: three stages of files in memory that can be gamed, the fourth kept for measuring; the verdict is decided outside by the
    work alone, and tampering is counted. From the paper: no preference model, no hidden reasoning, and nobody pays for a cheat
"""

from sharpen.environments import tampering
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft
from sharpen.recipes.within import within


def recipe(levels: str = "1-3", act: bool = True) -> Recipe:
    return within(rft.recipe(), "tampering", levels, turns=6, max_tokens=64) if act else rft.recipe()


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """A scripted cheater is seen in every episode and paid in none; an honest one is paid, and never accused."""
    for level in (1, 2, 3, 4):
        task = {"seed": level, "level": level}
        cheat, honest = (tampering.played(task, script(task)) for script in (tampering.cheat, tampering.honest))
        if cheat.correct or not cheat.parts["tampered"] or not honest.correct or honest.parts["tampered"]:
            return False
    return True
