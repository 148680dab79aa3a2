"""One example that a student writes itself, and learns from for as long as one answer takes, helps where it is unsure.

Paper: arXiv 2510.07841 (TT-SI), a note and its abstract
Parent: grpo
Differs: of some answers the likeliest is taken where it is clearly ahead; else one question like this one is written and
    learnt from in an adapter, this one is answered, and the weights are put back. From the paper: threshold, steps and rate
    are ours (unread)
"""

from dataclasses import replace
from functools import partial

from sharpen.recipe import Recipe
from sharpen.recipes.played import played, settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import studying


def recipe(threshold: float = 0.5, tries: int = 4, steps: int = 4, lr: float = 1e-3) -> Recipe:
    parent = grpo.recipe()
    taught = partial(studying.self_taught, threshold=threshold, tries=tries, steps=steps, lr=lr)
    return replace(parent, rollout=taught) if threshold else parent


NEUTRAL = dict(threshold=0.0)


def check(made: Recipe) -> bool:
    """Answers that agree teach nothing and cost their tries alone; where they differ a question and one answer come on top."""
    sure = played(made.rollout, "<answer>4</answer>")
    unsure = played(made.rollout, "<answer>4</answer>", "<answer>5</answer>", "3", "2", "Question: 1 + 1?\nAnswer: 2", "4")
    tries = settings(made.rollout)["tries"]
    return sure.spent.calls == tries and unsure.spent.calls == tries + 2
