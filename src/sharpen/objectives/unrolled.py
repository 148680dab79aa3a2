"""Gradients through learning: what a start is worth by what it becomes after some steps, only the last of them unrolled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    Loss = Callable[[Tensor], Tensor]


def meta_gradient(start: Tensor, inner: Loss, outer: Loss, steps: int, rate: float, last: int) -> Tensor:
    """The gradient by `start` of outer(what `steps` gradient steps on inner at `rate` make of it), the last `last` of them
    unrolled: PERK's truncation (arXiv 2507.06415, section 3).

    With curvature H: outer' * product over the unrolled steps of (1 - rate H). last = steps is the whole meta-gradient,
    last = 0 the first-order one.
    """
    import torch

    at = start.detach().clone()
    for _ in range(steps - last):
        at = at.requires_grad_()
        (gradient,) = torch.autograd.grad(inner(at), at)
        at = (at - rate * gradient).detach()
    begun = at.requires_grad_()
    now = begun
    for _ in range(last):
        (gradient,) = torch.autograd.grad(inner(now), now, create_graph=True)
        now = now - rate * gradient
    return torch.autograd.grad(outer(now), begun)[0]
