"""Training on one's own correct answers raises the success rate without any worked solution.

Paper: arXiv 2308.01825 (RFT), section 3.3; as a loop: expert iteration, STaR (arXiv 2203.14465, section 3)
Parent: sft
Differs: as many rollouts, but the student's own, of which the correct and distinct ones are kept; from the papers: goes on
    from the present weights instead of starting every round from the base model
Status: reproduced: sharpen compare grpo rloo dr_grpo dapo gspo cispo nft rft hpt online_dpo --budget 3m --seeds 3 --set
    average=0.97 --set lr=2e-4 (9.2 points on the test split, 7.1 to 11.2, three seeds; beside grpo 3.4 more, 0.6 to 6.3,
    corrected p = 0.21)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import data
from sharpen.objectives import example, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import sft


def recipe(own: bool = True, distinct: bool = True) -> Recipe:
    parent = sft.recipe()
    if own:
        sampled = grpo.recipe()
        parent = replace(parent, rollout=sampled.rollout, prompts=sampled.prompts, samples=sampled.samples)
    return replace(parent, select=partial(data.keep_correct, distinct=distinct))


NEUTRAL = dict(own=False, distinct=False)


def check(made: Recipe) -> bool:
    """On single tokens, the gradient is that of REINFORCE without a baseline on rewards of 0 and 1, up to its scale."""
    rewards = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    reinforced = example(policy_gradient.reinforce(baseline=False), rewards, lengths=[1] * 6)[:, 0]
    kept = [[r for r in group if r] for group in rewards]  # what data.keep_correct leaves
    supervised = example(made.objective(), kept, lengths=[1] * 3)[:, 0]
    return np.allclose(reinforced[reinforced > 0] / reinforced.sum(), supervised)
