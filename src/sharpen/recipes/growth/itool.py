"""Tool calls fail in fragments: tasks whose right call surprises the student most, varied and set in pairs, mend them.

Paper: arXiv 2501.09766 (iTool): the 30 % of largest perplexity, among tasks that need a tool and those that do not apart
Parent: simpo
Differs: between two rounds the proposer varies those tasks, and its claims are held against a majority of its answers. From
    the paper: pairs are whole answers of the student's, not siblings of a tree search, and no easy-to-hard warm-up
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Role, Weakness
from sharpen.data import diagnose, growth, label, propose, worth, writing
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.preference import simpo


def recipe(n: int = 64, surprising: float = 0.3) -> Recipe:
    parent = simpo.recipe()
    if not n:
        return parent
    write = partial(propose.rewrite, how=writing.AXES, examples=1, by=worth.equal)
    votes = (partial(label.by_majority, k=3, role="proposer"),)
    rare = partial(diagnose.by_perplexity, share=surprising)
    return replace(
        parent, grow=partial(growth.closed_loop, n=n, diagnose=rare, propose=write, label=votes), roles=(Role("proposer"),)
    )


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """Of twelve tasks the four with the most surprising solutions, which here are the longest: all of the highest level."""
    found, _ = growing.play(made, growing.teacher())
    return [w.name.partition(",")[0] for w in growing.of(Weakness, found)] == ["chain_sum/3"] * 4
