"""One direction at one layer that decides whether a model follows its context or what it knows.

Minder et al., "Controllable Context Sensitivity and the Knob Behind It", arXiv 2411.07404, and its code: with P = u u', u of
length 1, the state of the last token of a target prompt is (I - P) h + P h_source, and u is learnt so that the answer becomes
the source's; nothing else is. Then h - (u.h) u + c u turns the knob to c.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from sharpen.core import UserError
from sharpen.models.heads import first_token, prompt
from sharpen.models.policy import LocalPolicy
from sharpen.models.steering import blocks

EPOCHS, RATE = 10, 1e-2

Swap = tuple[str, str, str]  # target prompt, source prompt with the other intent, the source's answer


@dataclass(frozen=True)
class Knob:
    """u (D,) of length 1 at a layer, and the mean of u.h over the sources and over the targets: c for either intent."""

    layer: int
    direction: Tensor
    source: float
    target: float


def project(h: Tensor, u: Tensor, c: Tensor | float) -> Tensor:
    """(…, D) with c in the place of u.h: idempotent, and the identity for c = u.h."""
    along = (h * u).sum(-1, keepdim=True)
    return h + (torch.as_tensor(c, dtype=h.dtype, device=h.device) - along) * u


def found(
    policy: LocalPolicy, swaps: Sequence[Swap], layer: int, epochs: int = EPOCHS, rate: float = RATE, seed: int = 0
) -> Knob:
    """Learn the direction; the model stays as it is. UserError for a layer that there is not."""
    if not 0 <= layer < len(blocks(policy)):
        raise UserError(f"layer {layer}: the model has layers 0 to {len(blocks(policy)) - 1}.")
    sources = [state(policy, source, layer) for _, source, _ in swaps]
    targets = [state(policy, target, layer) for target, _, _ in swaps]
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(sources[0].shape, generator=generator).to(sources[0])
    raw.requires_grad_()
    optimizer = torch.optim.Adam([raw], lr=rate)
    wanted = [first_token(policy, target, answer) for target, _, answer in swaps]
    for _ in range(epochs):
        for (target, _, _), h, token in zip(swaps, sources, wanted):
            u = raw / raw.norm()
            with torch.enable_grad(), turned(policy, layer, u, (h * u).sum()):
                loss = -torch.log_softmax(policy.model(prompt(policy, target)).logits[0, -1].float(), -1)[token]
                (gradient,) = torch.autograd.grad(loss, raw)
            raw.grad = gradient
            optimizer.step()
    u = (raw / raw.norm()).detach()
    means = [float(torch.stack([(h * u).sum() for h in side]).mean()) for side in (sources, targets)]
    return Knob(layer, u, *means)


def state(policy: LocalPolicy, question: str, layer: int) -> Tensor:
    """(D,) what `layer` gives at the last token of a question."""
    with torch.no_grad():
        hidden = policy.model(prompt(policy, question), output_hidden_states=True, use_cache=False).hidden_states
    return hidden[layer + 1][0, -1].detach()


@contextmanager
def turned(policy: LocalPolicy, layer: int, u: Tensor, c: Tensor | float) -> Iterator[None]:
    """Inside, the last token's state after `layer` has c along u."""

    def change(module: object, inputs: object, output: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        h = output[0] if isinstance(output, tuple) else output
        moved = torch.cat([h[:, :-1], project(h[:, -1:], u.to(h), c)], dim=1)
        return (moved, *output[1:]) if isinstance(output, tuple) else moved

    handle = blocks(policy)[layer].register_forward_hook(change)
    try:
        yield
    finally:
        handle.remove()


def answers(policy: LocalPolicy, question: str, knob: Knob, c: float) -> Tensor:
    """(V,) the probabilities of the first token of an answer with the knob at c."""
    with torch.no_grad(), turned(policy, knob.layer, knob.direction, c):
        return torch.softmax(policy.model(prompt(policy, question)).logits[0, -1].float(), -1)
