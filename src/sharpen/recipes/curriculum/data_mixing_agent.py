"""An agent that was taught offline on how other mixtures came out weighs domains better than a rule, for other domains too.

Paper: arXiv 2507.15640 (Data Mixing Agent): offline conservative Q-learning on trajectories of re-weighting
Parent: mixing
Differs: state and action are told arm by arm and added up, so an agent serves any number of arms; it learns at the first step
    from earlier runs, `--set curriculum.earlier=RUN,RUN`, read as data, or from small students that forget. From the paper: a
    function of seven numbers instead of a network, candidates drawn at random, rounds instead of 80 steps of a proxy model
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import agents
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import mixing


def recipe(earlier: str = "", alpha: float = 0.1, gamma: float = 0.9, learnt: bool = True) -> Recipe:
    parent = mixing.recipe()
    agent = partial(curriculum.mixing_agent, earlier=earlier, alpha=alpha, gamma=gamma)
    return replace(parent, curriculum=agent) if learnt else parent


NEUTRAL = dict(learnt=False)


def check(made: Recipe) -> bool:
    """Taught on small students, the agent gives a half-solved arm more than a mastered and a hopeless one; where only mixtures
    near the even one were tried, the conservative agent stays nearer to them."""
    rng = np.random.default_rng(0)
    seen, options = agents.proxies(3, rng), agents.mixtures_of(3, 64, rng)
    narrow = replace(seen, shares=0.2 * seen.shares + 0.8 / 3)
    now = np.array([[0.97, 0.5, 0.03]])

    def chosen(taught: agents.Transitions, alpha: float) -> np.ndarray:
        w = agents.conservative(taught, options[:24], alpha, rounds=6, inner=20)
        return options[int((agents.described(now, now, options) @ w).argmax())]

    away = [((chosen(narrow, alpha) - 1 / 3) ** 2).sum() for alpha in (0.0, 1.0)]
    return (
        chosen(seen, 0.1).argmax() == 1
        and away[1] < away[0]
        and getattr(made.curriculum, "func", None) is curriculum.mixing_agent
    )
