"""Test-time learning: an adapter is taught what a question comes with, the model answers with it, and the weights are put back.

The adapter is LoRA's product beside the layers that close attention and MLP (o_proj, down_proj; in other architectures every
nn.Linear but the head). It is merged into the weights for the answer, so that the fast path decodes; what is put back is a
copy, so that the weights are the same bit for bit. Source: PERK, arXiv 2507.06415, section 3 (inner loop).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sharpen.core import Ask, Sampling, Study, Turn, UserError
from sharpen.hashing import derive
from sharpen.models.engine import generic

CLOSING = ("o_proj", "down_proj")


def respond(
    policy: Any,
    asks: Sequence[Ask],
    seeds: Sequence[int],
    max_tokens: int,
    sampling: Sampling,
    done: Callable[[int, Turn], None] | None,
) -> list[Turn]:
    """`LocalPolicy.respond` where some asks study first: those with the same study together, after those without.

    Raises UserError where the weights are elsewhere, or those of a policy that learns meanwhile.
    """
    if policy.elsewhere or policy.shares:
        without = "--engines" if policy.elsewhere else "--ahead, or without adapters"
        raise UserError(f"this method teaches the model before each answer, so it runs only without {without}.")
    groups: dict[Any, list[int]] = {None: []}
    for i, ask in enumerate(asks):
        groups.setdefault(repr(ask.study) if ask.study else None, []).append(i)
    found: dict[int, Turn] = {}
    for numbers in filter(None, groups.values()):
        about = asks[numbers[0]].study

        def finish(j: int, turn: Turn, numbers: list[int] = numbers) -> None:
            found[numbers[j]] = turn
            if done:
                done(numbers[j], turn)

        plain = [replace(asks[i], study=None) for i in numbers]
        with studied(policy, about) if about else unchanged():
            policy.respond(plain, [seeds[i] for i in numbers], max_tokens, sampling, finish)
    return [found[i] for i in range(len(asks))]


@contextmanager
def unchanged() -> Iterator[None]:
    yield


@contextmanager
def studied(policy: Any, about: Study) -> Iterator[None]:
    """Inside, the policy's weights hold what it read."""
    policy.take_back()
    layers = adapted(policy.model)
    before = [layer.weight.detach().clone() for layer in layers]
    rows = segments(policy, about)
    changes = learn(policy.model, layers, rows, about, policy.pad_id) if rows and about.steps else []
    try:
        with torch.no_grad():
            for layer, change in zip(layers, changes):
                layer.weight.add_(change.to(layer.weight.dtype))
        policy.packed.forget()
        with unremembered(policy):
            yield
    finally:
        with torch.no_grad():
            for layer, weight in zip(layers, before, strict=True):
                layer.weight.copy_(weight)
        policy.packed.forget()


@contextmanager
def unremembered(policy: Any) -> Iterator[None]:
    """Inside, nothing is remembered of what other weights made."""
    before, policy.prefixes = policy.prefixes, None
    try:
        yield
    finally:
        policy.prefixes = before


def adapted(model: Any) -> list[nn.Linear]:
    """The layers that adapters lie beside. UserError where there is none."""
    named = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    found = [m for name, m in named.items() if name.rpartition(".")[2] in CLOSING]
    found = found or [m for m in named.values() if m is not model.get_output_embeddings()]
    if not found:
        raise UserError("this model has no nn.Linear beside which an adapter could lie, so it cannot study.")
    return found


def segments(policy: Any, about: Study) -> list[tuple[np.ndarray, np.ndarray]]:
    """(tokens, which of them are learnt) of each row."""
    rows = []
    for text in about.texts:
        tokens = policy.encode(text)
        parts = [tokens[i : i + about.segment] for i in range(0, len(tokens), about.segment)]
        rows += [(part, np.arange(len(part)) > 0) for part in parts if len(part) > 1]
    for messages, answer in about.examples:
        prompt = policy.prompt_tokens(Ask(tuple(messages)))
        said = np.append(policy.encode(answer), policy.end_ids[0])
        rows.append((np.concatenate([prompt, said]), np.arange(len(prompt) + len(said)) >= len(prompt)))
    return rows


def learn(
    model: Any, layers: Sequence[nn.Linear], rows: Sequence[tuple[np.ndarray, np.ndarray]], about: Study, pad_id: int
) -> list[Tensor]:
    """What the adapter adds to each layer's weight after its steps: full-batch, so the order of rows says nothing."""
    width = max(len(tokens) for tokens, _ in rows)
    ids, targets = np.full((len(rows), width), pad_id), np.full((len(rows), width), -100)
    for i, (tokens, learnt) in enumerate(rows):
        ids[i, : len(tokens)] = tokens
        targets[i, : len(tokens)] = np.where(learnt, tokens, -100)
    device = model.device
    inputs, wanted = torch.from_numpy(ids).to(device), torch.from_numpy(targets).to(device)
    mask = (torch.arange(width)[None] < torch.tensor([len(t) for t, _ in rows])[:, None]).long().to(device)
    random = torch.Generator().manual_seed(derive(0, "study") % 2**63)
    downs = [(torch.randn((about.rank, m.in_features), generator=random) / m.in_features**0.5).to(device) for m in layers]
    ups = [torch.zeros((m.out_features, about.rank), device=device) for m in layers]
    trained = [t.requires_grad_() for t in (*downs, *ups)]
    optimizer = torch.optim.AdamW(trained, lr=about.lr, weight_decay=0.0)
    with torch.inference_mode(False), torch.enable_grad(), beside(layers, downs, ups):
        for _ in range(about.steps):
            logits = generic.call(model, input_ids=inputs, attention_mask=mask, use_cache=False).logits[:, :-1].float()
            loss = F.cross_entropy(logits.flatten(0, 1), wanted[:, 1:].flatten(), ignore_index=-100)
            for t, gradient in zip(trained, torch.autograd.grad(loss, trained), strict=True):
                t.grad = gradient
            optimizer.step()
    return [(up @ down).detach() for down, up in zip(downs, ups, strict=True)]


@contextmanager
def beside(layers: Sequence[nn.Linear], downs: Sequence[Tensor], ups: Sequence[Tensor]) -> Iterator[None]:
    """Inside, each layer adds up @ down @ x to what it makes of x."""

    def hook(down: Tensor, up: Tensor) -> Callable[..., Tensor]:
        return lambda layer, given, out: out + F.linear(F.linear(given[0], down.to(out.dtype)), up.to(out.dtype))

    handles = [layer.register_forward_hook(hook(d, u)) for layer, d, u in zip(layers, downs, ups, strict=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
