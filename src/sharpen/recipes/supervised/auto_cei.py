"""A refusal is worth more the longer it tried, and how long that is follows from what it costs: precise without being lazy.

Paper: arXiv 2410.07627 (Auto-CEI), sections 3 and 4, and its release: lambda 0.2, step min(0.2 sigma, 0.5), c2 = ln 10 / (4
    sigma)
Parent: rft
Differs: first refusals are shown after failed tries; then right answers and refusals are imitated by their worth, and where a
    refusal is worth nothing, c1, climbs for precision with few refusals. From the paper: one run in which c1 moves every few
    steps on the training rollouts since, instead of rounds of expert iteration from the same start; expected weights for
    resampling
"""

from dataclasses import replace
from functools import partial

from sharpen.data import refusing
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(start: float = 0.2, every: int = 10, lam: float = 0.2, tau: float = 0.5, refuse: bool = True) -> Recipe:
    parent = rft.recipe()
    kept = partial(refusing.expert_iteration, start=start, every=every, lam=lam, tau=tau)
    return replace(parent, select=kept) if refuse else parent


NEUTRAL = dict(refuse=False)


def check(made: Recipe) -> bool:
    """A refusal is worth 0 at c1, nearly 1 long after and -1 at once; the climb ends within a step of the best of a hill; at
    lambda 0 refusing what is hard pays, at lambda 1 it does not."""
    at = [refusing.refusal(steps, 3.0, 2.0) for steps in (3, 9, 0)]
    state = {"c1": 0.0, "step": 0.5}
    for _ in range(12):
        state = refusing.climbed(state, -((state["c1"] - 1.3) ** 2))
    careful, bold = (5, 5, 10), (5, 0, 10)  # right, refused, all
    pays = [refusing.objective(careful, lam) > refusing.objective(bold, lam) for lam in (0.0, 1.0)]
    return at[0] == 0 and at[1] > 0.99 and at[2] < -0.99 and abs(state["c1"] - 1.3) <= 0.5 and pays == [True, False]
