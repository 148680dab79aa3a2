"""Tasks evolved from failures, as hard as the critic says the actor can bear, and old successes replayed, make steady progress.

Paper: arXiv 2411.02337 (WebRL); values of new tasks in [0.05, 0.75]
Parent: quickstart
Differs: the proposer evolves failed tasks, a judge calls them feasible with the answer that is claimed, and the student's own
    pass rate, in place of a critic's value, lies in the band. From the paper: replay is quickstart's, not by perplexity, and
    so are the objective and the ratchet
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Role, Task
from sharpen.data import growth, label, propose
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.loop import quickstart


def recipe(n: int = 64, low: float = 0.05, high: float = 0.75, **knobs) -> Recipe:
    parent = quickstart.recipe(**knobs)
    if not n:
        return parent
    evolve = partial(propose.rewrite, how=("like", "easier", "harder"))
    grow = partial(growth.closed_loop, n=n, propose=evolve, label=(label.by_judge,))
    roles = Role("proposer"), Role("judge")
    return replace(parent, grow=grow, grow_tries=8, grow_low=low, grow_high=high, roles=roles)


NEUTRAL = dict(n=0, low=0.0, high=1.0)


def check(made: Recipe) -> bool:
    """New tasks come from failures alone, in three directions, and what the judge calls wrong is no task."""
    found, _ = growing.play(made, growing.teacher(wrong=0.4))
    tasks, high = growing.of(Task, found), made.grow_high
    return growing.ways(found) == {"like", "easier", "harder"} and all(map(growing.true, tasks)) and high == 0.75
