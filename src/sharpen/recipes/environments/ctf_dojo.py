"""Runs that obtained the flag are worth imitating; which they are, a hash tells without the flag being kept.

Paper: arXiv 2508.18370 (CTF-Dojo), abstract and README
Parent: rft
Differs: challenges are forged from a seed, a flag behind a chain of encodings in files, and admitted only where the reference
    obtains it and idling does not. From the paper: harmless, in memory, without containers, write-ups or a scaffold
"""

from sharpen.environments import flags
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft
from sharpen.recipes.within import within


def recipe(levels: str = "1-3", act: bool = True) -> Recipe:
    return within(rft.recipe(), "flags", levels, turns=8, max_tokens=96) if act else rft.recipe()


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """The reference chain obtains every flag, no file shows it, and nothing is as good as the flag."""
    for seed in range(20):
        files, seal, chain = flags.forge(seed, 3)
        text = files["secret.txt"]
        for way in chain:
            text = flags.WAYS[way][1](text)
        if flags.sealed(text) != seal or flags.sealed("") == seal or any(text in content for content in files.values()):
            return False
    return True
