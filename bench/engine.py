"""Tokens per second of the embedded student: python bench/engine.py [--threads 2] [--rows 256] [--tokens 32]

Decoding: rows of 10-token prompts, eight to a prompt, none of which ends early, with the compiled step (decode_step.py) and
without it in turn. Learning: one optimizer step on rows of 10 + 10 tokens. Medians of five; prints JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from sharpen.core import Batch, TaskSource
from sharpen.models import embedded, policy
from sharpen.models.engine import decode_step, generate
from sharpen.objectives import policy_gradient


def median_seconds(*works: Callable[[], object], times: int = 5) -> list[float]:
    """Of each, taken in turn; the first time is not counted."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(times + 1):
        for work, seconds in zip(works, taken, strict=True):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds[1:]) for seconds in taken]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=32)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    nowhere = TaskSource("none", (), lambda arm, split, index, seed: None)  # type: ignore[arg-type,return-value]
    local = policy.LocalPolicy(*embedded.build("tiny", nowhere, 0))
    rng = np.random.default_rng(0)
    prompts = rng.integers(10, 200, (a.rows // 8 + 1, 10)).astype(np.int32)
    requests = [generate.Request(prompts[i // 8], i, a.tokens) for i in range(a.rows)]
    decode, plain = median_seconds(
        lambda: generate.generate(local.model, requests, [-1], 0),
        lambda: generate.generate(local.model, requests, [-1], 0, compile=False),
    )
    mask = np.tile(np.arange(20) >= 10, (a.rows, 1)).astype(np.float32)
    one = np.ones(a.rows, dtype=np.float32)
    tokens, lengths = rng.integers(10, 200, mask.shape), np.full(a.rows, 20)
    batch = Batch(tokens, mask, -mask, one, np.arange(a.rows), one, lengths)
    (learn,) = median_seconds(lambda: local.update(batch, policy_gradient.sft(), 1e-6))
    figures = {
        "decode_tokens_per_second": round(a.rows * a.tokens / decode),
        "decode_without_the_compiled_step": round(a.rows * a.tokens / plain),
        "compiled": decode_step.pack(local.model) is not None,
        "learn_tokens_per_second": round(a.rows * 20 / learn),
        "parameters": sum(p.numel() for p in local.model.parameters()),
        "bf16": local.model.dtype == torch.bfloat16,
        **vars(a),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
