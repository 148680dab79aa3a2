"""Who recalls what worked on problems of the same kind needs fewer tries for the next one.

Paper: arXiv 2411.03562 (Agent K), abstract; structure of its memory
Parent: grpo
Differs: before each problem stand the best of the run's earlier episodes that are like it (`recall`); a configuration is tried,
    or found by expected improvement, and handed in. From the paper: its weights never change, and here they learn too, unless
    lr=0; one memory of two levels, and retrieval by words
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import rollouts
from sharpen.environments import Memory, tabular
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.within import within


def recipe(memory: int = 2, act: bool = True) -> Recipe:
    if not act:
        return grpo.recipe()
    made = within(grpo.recipe(), "tabular", "1", turns=8, max_tokens=64)
    recalled = partial(rollouts.remembering, env="tabular", turns=8, told=False, k=memory)
    return replace(made, rollout=recalled) if memory else made


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """What is retrieved is of the own family, the store keeps its better half, and expected improvement beats random tries."""
    memory = Memory(most=12)
    for family in range(6):
        for i in range(4):
            memory.add(f"a table of the kind {family}", f"f{family} {i}", 0.1 * i + 0.1)
    own = all(text.startswith(f"f{f} ") for f in range(6) for text in memory.recall(f"table of the kind {f}", 1))
    draw, tuned, random = np.random.default_rng(0), [], []
    for family in range(6):
        transform, model, _ = tabular.best_of(family)
        tuned.append(max(tabular.tune(family, transform, model, 6)))
        random.append(np.mean([max(tabular.score(family, transform, model, k) for k in draw.random(6)) for _ in range(20)]))
    return own and len(memory.entries) <= 13 and np.mean(tuned) > np.mean(random)
