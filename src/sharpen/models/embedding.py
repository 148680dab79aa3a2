"""Texts as vectors: the mean of a model's last hidden states over a prompt's tokens.

What the model itself makes of a question: those that it treats alike lie near each other. No other model is needed, and none is
better placed to say what is near for this one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from sharpen.core import Ask, Batch, UserError
from sharpen.models import logprobs, memory
from sharpen.models.engine import native
from sharpen.models.policy import LocalPolicy


def embed(policy: object, asks: Sequence[Ask]) -> np.ndarray:
    """(N, D) float32, each row of length 1, of each ask's prompt; in passes as long as those that learn.

    Raises UserError where the policy is no model in this process.
    """
    made = over_states(policy, asks, lambda states: states.mean(dim=0).cpu().numpy())
    width = len(next((row for row in made if row is not None), np.zeros(0)))
    rows = np.stack([np.zeros(width) if row is None else row for row in made]) if made else np.zeros((0, 0))
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(length > 0, length, 1)).astype(np.float32)


def angles(policy: object, asks: Sequence[Ask], weight: float = 8.0) -> np.ndarray:
    """(N,) how closely the states of each prompt's tokens point: the mean cosine of pairs among its own tokens, plus `weight`
    times that of its own with those that all prompts begin with. GAIN-RL's signal (arXiv 2506.02281), which reads the states
    that enter the last layer's projection; these are those behind it. A prompt of one token of its own counts 1 in the first;
    where prompts begin with nothing in common, or there is only one, the second is 0. Errors as in `embed`.
    """
    common = 0
    if isinstance(policy, LocalPolicy) and len(asks) > 1:
        prompts = [policy.prompt_tokens(ask).tolist() for ask in asks]
        first, last = min(prompts), max(prompts)  # what these two have in common, all between them have
        common = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))

    def concentrated(found: torch.Tensor) -> np.ndarray:
        states = found.cpu().numpy()
        unit = states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-9)
        before, own = unit[:common], unit[min(common, len(unit) - 1) :]
        n, total = len(own), own.sum(axis=0)
        inside = (total @ total - n) / (n * (n - 1)) if n > 1 else 1.0
        across = float(own.mean(axis=0) @ before.mean(axis=0)) if len(before) else 0.0
        return np.array(inside + weight * across)

    return np.array([0.0 if row is None else float(row) for row in over_states(policy, asks, concentrated)])


def over_states(policy: object, asks: Sequence[Ask], of: Callable[[torch.Tensor], np.ndarray]) -> list[np.ndarray | None]:
    """What `of` makes of the last hidden states (T - 1, D), float32, of each ask's prompt; None for a prompt of one token."""
    if not isinstance(policy, LocalPolicy):
        raise UserError("embeddings are the hidden states of a model in this process, and the student is none.")
    prompts = [policy.prompt_tokens(ask) for ask in asks]
    if not prompts:
        return []
    lengths = np.array([len(prompt) for prompt in prompts])
    tokens = np.full((len(prompts), int(lengths.max())), policy.pad_id, np.int64)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = prompt
    mask = (np.arange(tokens.shape[1]) < lengths[:, None]).astype(np.float32)
    mask[:, 0] = 0  # the state before a token is what is looked at, and before the first there is none
    zero, numbers = np.zeros_like(mask), np.arange(len(prompts))
    batch = Batch(tokens, mask, zero, np.zeros(len(prompts), np.float32), numbers, np.ones(len(prompts), np.float32), lengths)
    found: dict[int, np.ndarray] = {}

    def over(size: int) -> None:
        for rows in logprobs.passes(batch, np.flatnonzero(mask.any(axis=1)), size):
            _, states = logprobs.before_trained(policy.model, batch, rows)
            start = 0
            for row in rows.tolist():
                end = start + int(lengths[row]) - 1
                found[row] = of(states[start:end].float())
                start = end

    with torch.no_grad(), native.left_out(not policy.path.compiled):
        _, policy.micro_tokens = memory.halving(over, policy.micro_tokens, lambda: None)
    return [found.get(i) for i in range(len(prompts))]
