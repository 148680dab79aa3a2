"""Learning for a single question: a few steps on what is at hand, an answer, and the weights as they were.

Sources: PERK (arXiv 2507.06415), whose inner loop writes a long context into an adapter; TT-SI (arXiv 2510.07841), which learns
from one made-up sample like the question, and only where the model is unsure: the gap between its two likeliest calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from sharpen.core import GREEDY, Ask, Batch, Sampling
from sharpen.models.policy import LocalPolicy
from sharpen.objectives import policy_gradient


@contextmanager
def adapted(policy: LocalPolicy, shown: Sequence[tuple[str, str]], steps: int = 4, lr: float = 1e-4) -> Iterator[None]:
    """Inside, the policy has learnt `steps` steps from these (question, answer)s; outside, weights, optimizer and version are
    what they were, bit for bit. Without steps, or with nothing shown, it is the policy itself.
    """
    if not steps or not shown:
        yield
        return
    weights = {name: tensor.detach().clone() for name, tensor in policy.trained.items()}
    image = {n: p.detach().clone() for n, p in policy.model.named_parameters()}
    moments = {p: {key: t.clone() for key, t in kept.items()} for p, kept in policy.optimizer.state.items()}
    version = policy.version
    batch = lesson(policy, shown)
    try:
        for _ in range(steps):
            policy.update(batch, policy_gradient.sft(), lr)
        yield
    finally:
        with torch.no_grad():
            for name, tensor in weights.items():
                policy.trained[name].copy_(tensor)
            for name, parameter in policy.model.named_parameters():
                parameter.copy_(image[name])
        policy.optimizer.state.clear()
        policy.optimizer.state.update(moments)
        policy.optimizer.zero_grad()
        policy.version = version
        policy.packed.forget()


def lesson(policy: LocalPolicy, shown: Sequence[tuple[str, str]]) -> Batch:
    """The answers after their questions, each weighed alike."""
    asks = [Ask(({"role": "user", "content": question},), answer=answer) for question, answer in shown]
    turns = policy.respond(asks, [0] * len(asks), 0, GREEDY)
    width = max(len(turn.tokens) for turn in turns)
    tokens, mask = np.zeros((len(turns), width), np.int64), np.zeros((len(turns), width), np.float32)
    for i, turn in enumerate(turns):
        tokens[i, : len(turn.tokens)], mask[i, : len(turn.tokens)] = turn.tokens, turn.sampled
    lengths = np.array([len(turn.tokens) for turn in turns])
    ones = np.ones(len(turns), np.float32)
    return Batch(tokens, mask, 0 * mask, ones, np.arange(len(turns)), ones, lengths, forced=np.ones(len(turns), bool))


def margin(policy: LocalPolicy, question: str, samples: int = 8, max_tokens: int = 64, seed: int = 0) -> float:
    """How sure the model is: the share of its likeliest answer among some, less that of the next. TT-SI takes the scores of the
    two likeliest calls; here they are counted, so it works for any answer.
    """
    ask = Ask(({"role": "user", "content": question},))
    turns = policy.respond([ask] * samples, list(range(seed, seed + samples)), max_tokens, Sampling())
    texts = [turn.text.strip() for turn in turns]
    counts = sorted((texts.count(text) for text in set(texts)), reverse=True)
    return (counts[0] - (counts[1] if len(counts) > 1 else 0)) / samples
