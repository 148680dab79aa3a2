"""A program, what it printed and a check of both, over again until the check is content, is a habit that can be learnt.

Paper: arXiv 2410.10735 (CoSC), section 3
Parent: rft
Differs: rounds of program, output and check instead of one answer, at most so many; right ones are imitated whole. From the
    paper: no seed trajectories of a stronger model, and the check is one turn instead of two steps and a conclusion
"""

from dataclasses import replace
from functools import partial

from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft
from sharpen.rollouts import critique


def recipe(rounds: int = 3, programs: bool = True) -> Recipe:
    parent = rft.recipe()
    return replace(parent, rollout=partial(critique.worked_by_program, rounds=rounds)) if programs else parent


NEUTRAL = dict(programs=False)


def check(made: Recipe) -> bool:
    """A check that says no asks for another program, and one that gives the answer ends it."""
    import numpy as np

    from sharpen.core import Ran, Run, Task, Turn

    none = np.zeros(0)
    asked = made.rollout(Task(({"role": "user", "content": "2 + 2"},), "4", "f", 1))
    next(asked)
    ran = asked.send(Turn("print(5)", none, none > 0, none, "end"))
    asked.send(Ran("ok", "5", ""))
    asked.send(Turn("No.", none, none > 0, none, "end"))
    again = asked.send(Turn("print(4)", none, none > 0, none, "end"))
    asked.send(Ran("ok", "4", ""))
    try:
        asked.send(Turn("4", none, none > 0, none, "end"))
    except StopIteration as end:
        return isinstance(ran, Run) and again.code == "print(4)" and end.value.text == "4"
    return False
