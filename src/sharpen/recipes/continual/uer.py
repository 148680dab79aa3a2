"""Learning the new by angle alone leaves the lengths of class vectors to replay, so that answers do not lean to the newest set.

Paper: arXiv 2309.04081 (UER), abstract: cosine logits for what is new, dot-product logits for what is replayed
Parent: replay
Differs: the present rows' logits are those of class vectors of one length, that of replayed rows and of answers are as they
    are. From the paper: states keep their length, which scales all logits alike; the constant is the mean length (not stated
    there)
"""

from dataclasses import replace
from functools import partial

from sharpen.objectives import policy_gradient, rehearsal
from sharpen.recipe import Recipe
from sharpen.recipes.continual import replay


def recipe(scale: float = 1.0, share: float = 0.5, size: int = 512) -> Recipe:
    parent = replay.recipe(share=share, size=size)
    return replace(parent, objective=partial(rehearsal.two_logits, policy_gradient.sft, scale=scale)) if scale else parent


NEUTRAL = dict(scale=0.0)


def check(made: Recipe) -> bool:
    """The gradient by a class vector has no part along the vector: learning the present changes no length, to first order."""
    import torch

    vectors = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    state = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)
    loss = rehearsal.by_angle(state @ vectors.T, None, torch.tensor([2]), vectors, 1.0)
    (found,) = torch.autograd.grad(loss.sum(), vectors)
    return bool((found * vectors).sum(1).abs().max() < 1e-5 < found.abs().max())
