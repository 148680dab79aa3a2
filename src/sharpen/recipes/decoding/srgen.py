"""A vector that is found where a model suddenly hesitates, and dropped behind the token, corrects it before it goes wrong.

Paper: arXiv 2510.02919 (SRGen), section 3; window 25, 4 deviations, 3 steps at 0.01
Parent: grpo
Differs: answers are drawn with it. From the paper: lambda, the share of the entropy term, is ours, and what is drawn is
    learnt from
"""

from dataclasses import replace
from functools import partial

from sharpen.recipe import Recipe
from sharpen.recipes.played import settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import decoding, guided


def recipe(lr: float = 0.01, share: float = 0.5, window: int = 25, k: float = 4.0) -> Recipe:
    parent = grpo.recipe()
    drawn = partial(guided.reflecting, lr=lr, share=share, window=window, k=k)
    return replace(parent, rollout=drawn) if lr else parent


NEUTRAL = dict(lr=0.0)


def check(made: Recipe) -> bool:
    """One small step lowers the loss, and at share 0 the entropy's gradient has no part in it."""
    import torch

    weight = torch.randn((5, 3), generator=torch.Generator().manual_seed(0))
    states, tokens, last = torch.ones((1, 2, 3)), torch.tensor([[1, 2]]), torch.ones((1, 3))
    delta = torch.zeros((1, 3), requires_grad=True)
    loss = partial(decoding.reflection, lambda x: x @ weight.T, states, tokens, last, share=settings(made.rollout)["share"])
    before = loss(delta=delta)
    (gradient,) = torch.autograd.grad(before, delta)
    return bool(loss(delta=delta - settings(made.rollout)["lr"] * gradient) < before) and settings(made.rollout)["window"] > 1
