"""Texts as vectors: the mean of a model's last hidden states over a prompt's tokens.

What the model itself makes of a question: those that it treats alike lie near each other. No other model is needed, and none is
better placed to say what is near for this one.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    if not isinstance(policy, LocalPolicy):
        raise UserError("embeddings are the hidden states of a model in this process, and the student is none.")
    prompts = [policy.prompt_tokens(ask) for ask in asks]
    if not prompts:
        return np.zeros((0, 0), np.float32)
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
                found[row] = states[start:end].float().mean(dim=0).cpu().numpy()
                start = end

    with torch.no_grad(), native.left_out(not policy.path.compiled):
        _, policy.micro_tokens = memory.halving(over, policy.micro_tokens, lambda: None)
    width = len(next(iter(found.values()), np.zeros(1)))
    rows = np.stack([found.get(i, np.zeros(width, np.float32)) for i in range(len(prompts))])
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(length > 0, length, 1)).astype(np.float32)
