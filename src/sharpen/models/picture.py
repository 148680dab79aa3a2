"""A policy as it is now, to answer in a thread of its own while the policy learns on.

A picture has weights, packed weights, caches and remembered beginnings of its own; a frozen base beneath adapters it shares.
It never learns. What is copied is the image that runs, so that its answers are the policy's bit for bit.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from sharpen.models import memory
from sharpen.models.engine import Kept, transformer
from sharpen.models.policy import LocalPolicy, unheard

NEVER = 2**62  # bytes


def refused(policy: Any, pictures: int) -> str:
    """Why a policy has no room for so many pictures beside its learning; "" where it has, and they would save time."""
    if not isinstance(policy, LocalPolicy):
        return "this student is not a model of this process alone"
    if policy.model.device.type != "cpu":
        return "on a GPU answers and gradients take turns"
    need, room = needed(policy, pictures), memory.available()
    if need > room:
        return (
            f"{pictures} more images of the weights need {need / 1e9:.1f} GB beside learning, and {room / 1e9:.1f} GB are free"
        )
    return ""


def needed(policy: LocalPolicy, pictures: int) -> int:
    """Bytes of so many pictures, one of them packed; of what the first update adds, gradients and moments; and of a pass."""
    image = sum(p.nbytes for p in policy.model.parameters() if p.requires_grad)
    packed = sum(p.nbytes for p in policy.model.parameters())
    trained = sum(t.numel() for t in policy.trained.values())
    moments = 0 if policy.optimizer.state else trained * (8 if policy.optimizer_bits == 32 else 2)
    return pictures * image + packed + 4 * trained + moments + memory.ACTIVATION_BYTES["cpu"]


def take(policy: LocalPolicy, into: LocalPolicy | None = None) -> LocalPolicy:
    """The policy as it is now, in place of an earlier picture where one is out of use."""
    into = into or blank(policy)
    with torch.no_grad():
        torch._foreach_copy_(tensors(into.model), tensors(policy.model))
    into.packed.forget()
    into.version, into.changes, into.tick = policy.version, policy.changes, unheard
    return into


def blank(policy: LocalPolicy) -> LocalPolicy:
    """A policy of the same kind, with a model of its own."""
    made = copy.copy(policy)
    frozen = {id(p): p for p in policy.model.parameters() if not p.requires_grad}
    made.model = copy.deepcopy(policy.model, dict(frozen))
    for parameter in made.model.parameters():
        parameter.grad = None
    if transformer.supported(made.model) and not frozen:
        transformer.fuse(made.model)
    made.trained = {n: p for n, p in made.model.named_parameters() if p.requires_grad}
    made.packed, made.prefixes, made.lent, made.shares = Kept(), None, None, bool(frozen)
    made.unused = memory.Unused(NEVER)  # what a pass leaves is the learner's to give back
    return made


def tensors(model: Any) -> list[Tensor]:
    """What of a model changes when it learns, in one order."""
    return [*(p for p in model.parameters() if p.requires_grad), *model.buffers()]
