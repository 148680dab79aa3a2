"""A few-shot increment learnt by a small part of the weights, with a little replay and slow weights, costs the base little.

Paper: arXiv 2403.14392 (a bag of tricks for few-shot class-incremental learning), abstract: stability, adaptability, training
Parent: sft
Differs: three tricks as switches: `subnet`, the share of layers that learns after the first set; `share`, of a batch that is
    replayed; `rate`, by which slow weights follow. From the paper: a language model has no class prototypes, so those that are
    assigned beforehand (ETF), and pretext tasks with rotated images, are not among them
"""

from dataclasses import replace
from functools import partial

from sharpen import guard
from sharpen.guard import handover
from sharpen.objectives import gradients
from sharpen.recipe import Stage, Stages, first_objective
from sharpen.recipes import staging
from sharpen.recipes.continual import replay


def recipe(subnet: float = 0.5, share: float = 0.25, rate: float = 0.7) -> Stages:
    inner = replay.recipe(share=share)
    made = inner if subnet == 1 else replace(inner, objective=partial(gradients.last_layers, inner.objective, share=subnet))
    over = handover.last if rate == 1 else partial(handover.between, alpha=rate)
    return staging.sequence(Stage("set", made, 1.0, over, guard.always))


NEUTRAL = dict(subnet=1.0, share=0.0, rate=1.0)


def check(made: Stages) -> bool:
    """After the first set something is held, in it nothing."""
    recipe = made.stages[0].recipe
    return first_objective(recipe).hold is not None and recipe.objective(stage=0).hold is None
