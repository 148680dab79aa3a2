"""A policy as it is now, to be written while it goes on: what is small, or on a GPU, is copied; the rest is lent.

Of whole weights on a processor a copy would double what a run needs. They do not change while answers are written and gradients
are summed, so they are written beside that, and whatever changes them waits until they are (`LocalPolicy.take_back`): copy on
write, but for the copy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from sharpen.models import saving

WAIT = 600.0  # seconds that the writing of a checkpoint may take


class Lent:
    """Work that reads what others are about to change. Whoever calls it first does it; who comes meanwhile waits, and who calls
    later is done."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work: Callable[[], object] | None = work
        self._error: Exception | None = None
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """For the store: raises what the work raised, TimeoutError where somebody else is still at it."""
        self.back()
        if self._error:
            raise self._error

    def back(self) -> None:
        """For who changes it: afterwards nothing reads it any more. A failure is the store's to tell."""
        if not self._lock.acquire(timeout=WAIT):
            raise TimeoutError(f"a checkpoint has not been written after {WAIT:.0f} s: the disk hangs")
        try:
            if self._work:
                self._work()
        except Exception as error:  # whatever a library makes of a full disk
            self._error = error
        finally:
            self._work = None
            self._lock.release()


def save_soon(policy: Any, directory: str) -> Callable[[], object] | None:
    """`policy.save(directory)` in two parts: what comes back writes, beside whatever the policy does next. None where nothing
    is left to be done."""
    model = getattr(policy, "model", None) if not getattr(policy, "ranks", None) else None  # every rank writes its own
    if model is None or not hasattr(policy, "lent"):
        policy.save(directory)
        return None
    if model.device.type == "cuda" or saving.alone(policy):
        then = copied(policy)
        return partial(saving.write, then, saving.state(then), directory)
    then = copied(policy, lambda t: t.detach())
    policy.lent = Lent(partial(saving.write, then, saving.state(then), directory))
    return policy.lent


def copied(policy: Any, take: Callable[[Tensor], Tensor] | None = None) -> Any:
    """What `saving.write` reads of a policy, with copies of all that it trains in the processor's memory; `take` makes them."""
    take = take or _copy
    trained = {n: take(t) for n, t in policy.trained.items()}
    states = {
        t: {key: take(v) for key, v in policy.optimizer.state.get(policy.trained[n], {}).items()} for n, t in trained.items()
    }
    critic = None
    if policy.critic is not None:
        state = {key: _copy(t) for key, t in policy.critic.state().items()}  # it is small, and learns by itself
        critic = SimpleNamespace(state=lambda: state)
    more = dict(learned=[take(t) for t in policy.learned], mean=[take(t) for t in policy.mean])
    if policy.model.device.type == "cuda":
        torch.cuda.synchronize()
    return SimpleNamespace(
        **{name: getattr(policy, name) for name in ("model", "tokenizer", "end_ids", "lora", "base", "version")},
        **dict(trained=trained, optimizer=SimpleNamespace(state=states), critic=critic, **more),
    )


def _copy(t: Tensor) -> Tensor:
    t = t.detach()
    return torch.empty(t.shape, dtype=t.dtype, pin_memory=True).copy_(t, non_blocking=True) if t.is_cuda else t.clone()
