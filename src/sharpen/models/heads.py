"""Which attention heads carry an answer, and how that changes over checkpoints.

"Thinking Sparks!: Emergent Attention Heads in Reasoning Models During Post Training", arXiv 2509.25758: circuits before and
after post-training are compared; heads that are in the later one only have emerged. Here a head's score is the
integrated-gradients attribution of what it gives to the layer's output matrix: (z - z') . mean over m points of dL / dz
between the run on a question and one on a spoilt question, L the negative log-probability of the right answer. Differs: heads
alone, at the last token of the question, with a mean over pairs; the paper's edges and its threshold could not be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sharpen.core import Ask, UserError
from sharpen.models.policy import LocalPolicy
from sharpen.models.steering import blocks

POINTS = 8  # of the integral
KEPT = 0.1  # share of all heads that are taken for the circuit

Pair = tuple[str, str, str]  # a question, a spoilt one, the first word of the right answer


@dataclass(frozen=True)
class Circuit:
    """(L, H) scores of all heads, and which are among the highest."""

    scores: np.ndarray
    heads: frozenset[tuple[int, int]]


def circuit(policy: LocalPolicy, pairs: Sequence[Pair], points: int = POINTS, kept: float = KEPT) -> Circuit:
    """The scores of a model's heads: the mean over pairs. UserError for a model whose layers show no `self_attn.o_proj`."""
    scores = sum(attributed(policy, pair, points) for pair in pairs) / max(len(pairs), 1)
    array = np.asarray(scores)
    most = max(round(kept * array.size), 1)
    best = np.argsort(-np.abs(array), axis=None)[:most]
    return Circuit(array, frozenset((int(i) // array.shape[1], int(i) % array.shape[1]) for i in best))


def attributed(policy: LocalPolicy, pair: Pair, points: int = POINTS) -> np.ndarray:
    """(L, H) for one pair. Equal questions give 0 everywhere. With all heads interpolated together the scores add up to the
    difference of the losses as `points` grows."""
    question, spoilt, answer = pair
    clean, corrupt = given(policy, question), given(policy, spoilt)
    heads = policy.model.config.num_attention_heads
    target = first_token(policy, question, answer)
    total = torch.zeros(len(clean), heads)
    for k in range(points):
        mixed = [c + (k + 0.5) / points * (z - c) for z, c in zip(clean, corrupt)]
        mixed = [m.detach().requires_grad_() for m in mixed]
        with replaced(policy, partial(swapped, mixed)), torch.enable_grad():
            loss = -torch.log_softmax(policy.model(prompt(policy, question)).logits[0, -1].float(), -1)[target]
            grads = torch.autograd.grad(loss, mixed)
        for layer, (g, z, c) in enumerate(zip(grads, clean, corrupt)):
            total[layer] += ((z - c) * g).reshape(heads, -1).sum(-1).float().cpu() / points
    return total.numpy()


def swapped(states: Sequence[Tensor], layer: int, z: Tensor) -> Tensor:
    """What a layer's heads give, with that of `states` at the last token."""
    return put(z, states[layer])


def put(z: Tensor, last: Tensor) -> Tensor:
    """What a head gives, with another value at the last token."""
    return torch.cat([z[:, :-1], last.to(z)[None, None]], dim=1)


def given(policy: LocalPolicy, question: str) -> list[Tensor]:
    """What the heads of each layer give at the last token, (H * D,) each, joined as `o_proj` reads them."""
    found: dict[int, Tensor] = {}

    def note(layer: int, z: Tensor) -> Tensor:
        found[layer] = z[0, -1].detach()
        return z

    with replaced(policy, note), torch.no_grad():
        policy.model(prompt(policy, question))
    return [found[layer] for layer in sorted(found)]


def prompt(policy: LocalPolicy, question: str) -> Tensor:
    tokens = policy.prompt_tokens(Ask(({"role": "user", "content": question},)))
    return torch.tensor(tokens[None], dtype=torch.long, device=policy.model.device)


def first_token(policy: LocalPolicy, question: str, answer: str) -> int:
    """The token with which the answer begins."""
    ids = policy.tokenizer.encode(answer, add_special_tokens=False)
    if not ids:
        raise UserError(f"the answer {answer!r} has no token")
    return int(ids[0])


@contextmanager
def replaced(policy: LocalPolicy, change: Callable[[int, Tensor], Tensor]) -> Iterator[None]:
    """Inside, what the heads of a layer give is what `change(layer, it)` makes of it."""
    handles = []
    for layer, block in enumerate(blocks(policy)):
        out = getattr(getattr(block, "self_attn", None), "o_proj", None)
        if out is None:
            raise UserError("heads of this model cannot be read: its layers show no self_attn.o_proj.")
        handles.append(out.register_forward_pre_hook(lambda _, inputs, layer=layer: (change(layer, inputs[0]), *inputs[1:])))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def ablated(policy: LocalPolicy, heads: Sequence[tuple[int, int]], strength: float = 0.0) -> Iterator[None]:
    """Inside, what these heads give is multiplied by `strength`: 0 takes them away, 1 changes nothing, 2 strengthens."""
    count = policy.model.config.num_attention_heads
    by_layer: dict[int, list[int]] = {}
    for layer, head in heads:
        by_layer.setdefault(layer, []).append(head)

    def change(layer: int, z: Tensor) -> Tensor:
        if layer not in by_layer or strength == 1:
            return z
        split = z.reshape(*z.shape[:-1], count, -1).clone()
        split[..., by_layer[layer], :] *= strength
        return split.reshape(z.shape)

    with replaced(policy, change):
        yield


def tracked(circuits: Sequence[Circuit]) -> list[dict[str, Any]]:
    """By checkpoint after the first: heads in the circuit, born, died, Jaccard with the one before, and rank correlation of the
    scores with its scores."""
    rows = []
    for before, after in zip(circuits, circuits[1:]):
        both = before.heads | after.heads
        rows.append(
            {
                "heads": len(after.heads),
                "born": sorted(after.heads - before.heads),
                "died": sorted(before.heads - after.heads),
                "jaccard": len(before.heads & after.heads) / len(both) if both else 1.0,
                "correlation": spearman(before.scores.ravel(), after.scores.ravel()),
            }
        )
    return rows


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation; NaN where either is constant."""
    ranks = [np.argsort(np.argsort(x, kind="stable"), kind="stable").astype(float) for x in (a, b)]
    spread = [float(x.std()) for x in (a, b)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1]) if min(spread) > 0 else float("nan")


def emerged(circuits: Sequence[Circuit]) -> Mapping[str, list[tuple[int, int]]]:
    """Heads of the last circuit that the first has not, and those that it has lost."""
    first, last = circuits[0].heads, circuits[-1].heads
    return {"emerged": sorted(last - first), "lost": sorted(first - last)}
