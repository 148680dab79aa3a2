"""A policy as it is now, to be written while it learns on: a GPU's numbers are copied once, and files take their time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from sharpen.models import saving


def save_soon(policy: Any, directory: str) -> Callable[[], object] | None:
    """`policy.save(directory)`, of a policy on a GPU in two parts: its numbers are copied to the processor here, and what comes
    back writes them, beside whatever the policy does next. None where nothing is left to be done."""
    if getattr(policy, "ranks", None):  # every rank writes its own
        policy.save(directory)
        return None
    model = getattr(policy, "model", None)
    if model is None or model.device.type != "cuda" or policy.mean:  # a mean is saved by answering with it for a moment
        policy.save(directory)
        return None
    then = copied(policy)
    return partial(saving.write, then, saving.state(then), directory)


def copied(policy: Any) -> Any:
    """What `LocalPolicy.save` reads of a policy, with copies of all that it trains in the processor's memory."""
    trained = {n: _copy(t) for n, t in policy.trained.items()}
    states = {
        t: {key: _copy(v) for key, v in policy.optimizer.state.get(policy.trained[n], {}).items()} for n, t in trained.items()
    }
    critic = None
    if policy.critic is not None:
        state = {key: _copy(t) for key, t in policy.critic.state().items()}
        critic = SimpleNamespace(state=lambda: state)
    learned = [_copy(t) for t in policy.learned]
    if policy.model.device.type == "cuda":
        torch.cuda.synchronize()
    return SimpleNamespace(
        **{name: getattr(policy, name) for name in ("model", "tokenizer", "lora", "base", "version")},
        **dict(trained=trained, optimizer=SimpleNamespace(state=states), critic=critic, learned=learned, mean=[]),
    )


def _copy(t: Tensor) -> Tensor:
    t = t.detach()
    return torch.empty(t.shape, dtype=t.dtype, pin_memory=True).copy_(t, non_blocking=True) if t.is_cuda else t.clone()
