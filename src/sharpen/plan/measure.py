"""A device fitted to this machine: decoding steps and learning passes of a small student are timed, the rest is arithmetic."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sharpen.core import UserError
from sharpen.plan.shapes import Device
from sharpen.terminal import places

ROWS, SHORT, TOKENS, PROMPT, BATCHES = (4, 16, 64, 128), 4, 24, 16, (8, 32, 96)


def fitted(
    decoded: Sequence[tuple[float, float]], learnt: Sequence[tuple[float, float]], parameters: float, memory: float
) -> Device:
    """decoded  (rows, seconds of a decoding step) of each; learnt  (tokens, seconds of a learning pass)

    Two straight lines by least squares: of decoding the part that does not depend on rows is the weights' way and the beat, of
    learning the slope is the arithmetic.
    """
    slope, beat = line(decoded)
    per_token, fixed = line(learnt)
    learns = 6.0 * parameters / max(per_token, 1e-12)  # FLOP a second that learning reaches: then `learns` is 1
    works = 2.0 * parameters / max(slope, 1e-12)
    ratio = min(works / learns, 1e6)
    return Device(
        "here", memory, learns, bandwidth=1e15, link=1e10, network=1e9, node=1, learns=1.0, reads=1.0,
        beat=max(beat, 1e-6), fixed=max(fixed, 0.0), decode=ratio,
    )  # fmt: skip


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(slope, intercept) with the least relative errors."""
    x, y = np.array([p[0] for p in points]), np.array([p[1] for p in points])
    slope, intercept = np.polyfit(x, y, 1, w=1 / y)
    return float(slope), float(intercept)


def measured(policy: Any, memory: float) -> tuple[Device, list[tuple[float, float]], list[tuple[float, float]]]:
    """The device that fits this process's own engine and learner with this policy, and what it was fitted to."""
    from sharpen.core import Batch, Sampling
    from sharpen.models.engine import generate
    from sharpen.objectives import policy_gradient

    rng, decoded, learnt = np.random.default_rng(0), list[tuple[float, float]](), list[tuple[float, float]]()
    top = policy.model.config.get_text_config().vocab_size
    for rows in ROWS:
        prompts, took = rng.integers(5, top, (rows, PROMPT)).astype(np.int32), dict[int, float]()
        for tokens in (SHORT, SHORT, SHORT + TOKENS):  # once to warm up; the prompts' own pass is in both
            requests = [generate.Request(prompt, i + 1, tokens, Sampling()) for i, prompt in enumerate(prompts)]
            began = time.perf_counter()
            generate.generate(policy.model, requests, [-1], policy.pad_id)
            took[tokens] = time.perf_counter() - began
        decoded.append((rows, max(took[SHORT + TOKENS] - took[SHORT], 1e-9) / TOKENS))
    for rows in BATCHES:
        length = PROMPT + TOKENS
        shape = (rows, length)
        mask = np.zeros(shape, np.float32)
        mask[:, PROMPT:] = 1
        one = np.ones(rows, np.float32)
        reward = (np.arange(rows) % 2).astype(np.float32)
        arrays = rng.integers(5, top, shape), mask, np.full(shape, -1.0, np.float32) * mask, reward, np.arange(rows) // 4, one
        batch = Batch(*arrays, np.full(rows, length))
        for kept in (False, True):
            began = time.perf_counter()
            policy.update(batch, policy_gradient.grpo(), 0.0)
            if kept:
                learnt.append((rows * length, time.perf_counter() - began))
    parameters = float(sum(p.numel() for p in policy.model.parameters()))
    return fitted(decoded, learnt, parameters, memory), decoded, learnt


def place() -> Path:
    return places.cache_directory() / "device.json"


def keep(device: Device) -> None:
    place().parent.mkdir(parents=True, exist_ok=True)
    place().write_text(json.dumps(asdict(device)) + "\n", encoding="utf-8")


def recalled() -> Device:
    try:
        return Device(**json.loads(place().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError("--device here: nothing was measured yet. Run `sharpen plan --measure MODEL_DIR` first.") from error
