"""A compiler's words mend circuits, and training on those that a simulation finds equal beats training on what compiles.

Paper: arXiv 2407.16237 (OriGen), self-reflection on compiler messages; code to code augmentation
Parent: rft
Differs: broken modules (level 1) and descriptions (level 2) of generated circuits of 8 bits; an episode may compile before it
    hands in; runs are kept where all 256 inputs agree, or, with `compiles`, where they compile, which is the paper's rule.
    From the paper: no teacher that describes open code, no second adapter; real simulation by `--env` tools or the verilog of
    the sandbox where Icarus is installed
"""

from collections.abc import Sequence
from functools import partial

from sharpen import data
from sharpen.core import Sample
from sharpen.environments import circuits
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft
from sharpen.recipes.within import within


def compiling(samples: Sequence[Sample], least: float) -> list[Sample]:
    """What compiles, right or not."""
    return [s for s in data.keep_all(samples) if s.verdict.parts.get("compiles", 0.0) >= least]


def recipe(compiles: bool = False, act: bool = True) -> Recipe:
    parent = rft.recipe()
    if not act:
        return parent
    kept = partial(compiling, least=1.0) if compiles else parent.select
    return within(parent, "circuits", "1-2", turns=4, max_tokens=120, select=kept)


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """The planted faults do not compile, the source does; another constant compiles, and the sweep of inputs tells it apart."""
    for seed in range(12):
        _, right, broken = circuits.made({"seed": seed})
        if circuits.compiled(broken)[0] is not None or not circuits.same(right, right):
            return False
    one, other = circuits.module("a + 8'd1"), circuits.module("a + 8'd2")
    return circuits.compiled(other)[0] is not None and not circuits.same(one, other)
