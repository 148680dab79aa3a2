"""Engine and trainer on a GPU, beside transformers' generate and what the hardware allows, as one JSON object.

    python bench/gpu.py [--shape 0.5b] [--rows 64] [--prompt 128] [--tokens 256] [--rounds 3] [--device cuda]

Shapes are those of Qwen2.5-0.5B and 1.5B with random weights, and `micro`, which runs anywhere. The decoding limit is the
time to read the weights and the filled cache once a step at the bandwidth measured here; MFU is 6 * parameters * tokens per
second over the rate of matrix products measured here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from sharpen.core import Batch
from sharpen.models import policy
from sharpen.models.engine import generate
from sharpen.objectives import policy_gradient

SHAPES = {
    "micro": dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, vocab_size=1000),
    "0.5b": dict(hidden_size=896, num_hidden_layers=24, num_attention_heads=14, intermediate_size=4864, vocab_size=151936),
    "1.5b": dict(hidden_size=1536, num_hidden_layers=28, num_attention_heads=12, intermediate_size=8960, vocab_size=151936),
}


class Words:
    """As much of a tokenizer as a policy reads before it is asked anything."""

    chat_template, pad_token_id, eos_token_id = "none", 0, 1


def seconds(work: Callable[[], Any], rounds: int, device: str) -> float:
    found = []
    for n in range(rounds + 1):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        found += [time.perf_counter() - start] if n else []
    return statistics.median(found)


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def limits(device: str, rounds: int) -> tuple[float, float]:
    """(bytes per second of a copy, both ways counted; floating point operations per second of bfloat16 products)."""
    size, n = (2**30, 8192) if device == "cuda" else (2**26, 1024)
    x, y = torch.empty(size, dtype=torch.uint8, device=device), torch.empty(size, dtype=torch.uint8, device=device)
    a = torch.randn(n, n, dtype=torch.bfloat16, device=device)
    return 2 * size / seconds(lambda: y.copy_(x), rounds, device), 2 * n**3 / seconds(lambda: a @ a, rounds, device)


def batch(rows: int, prompt: int, tokens: int, vocabulary: int) -> Batch:
    """Groups of eight that share a prompt, all tokens after it trained, every group with different rewards."""
    rng = np.random.default_rng(0)
    ids = rng.integers(2, vocabulary, (rows, prompt + tokens))
    ids[:, :prompt] = ids[np.arange(rows) // 8 * 8, :prompt]
    mask = np.zeros(ids.shape, np.float32)
    mask[:, prompt:] = 1
    reward, ones = (np.arange(rows) % 8 / 8).astype(np.float32), np.ones(rows, np.float32)
    sampling = -np.log(vocabulary) * mask
    return Batch(ids, mask, sampling, reward, np.arange(rows) // 8, ones, np.full(rows, prompt + tokens))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, default="0.5b")
    parser.add_argument("--device", default="cuda")
    for name, value in dict(rows=64, prompt=128, tokens=256, rounds=3).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    a = parser.parse_args()
    torch.manual_seed(0)
    with torch.device(a.device):
        model = Qwen2ForCausalLM(Qwen2Config(**SHAPES[a.shape], num_key_value_heads=2, tie_word_embeddings=True)).eval()
    parameters = sum(p.numel() for p in model.parameters())
    local = policy.LocalPolicy(model, Words(), "bf16", device=a.device)
    vocabulary = SHAPES[a.shape]["vocab_size"]
    data = batch(a.rows, a.prompt, a.tokens, vocabulary)
    requests = [generate.Request(row[: a.prompt].astype(np.int32), i, a.tokens) for i, row in enumerate(data.tokens)]
    bandwidth, products = limits(a.device, a.rounds)
    ours = seconds(lambda: generate.generate(local.model, requests, [-1], 0), a.rounds, a.device)
    asked = dict(max_new_tokens=a.tokens, min_new_tokens=a.tokens, do_sample=True, pad_token_id=0, eos_token_id=None)
    inputs = torch.from_numpy(data.tokens[:, : a.prompt]).to(a.device)
    theirs = seconds(lambda: local.model.generate(inputs, attention_mask=inputs.ne(-1), **asked), a.rounds, a.device)
    config = local.model.config
    cached = 2 * config.num_hidden_layers * config.hidden_size // config.num_attention_heads * 2 * 2  # bytes a token
    read = 2 * parameters + a.rows * cached * (a.prompt / 8 + a.tokens / 2)
    learn = seconds(lambda: local.update(data, policy_gradient.grpo(), 0.0), a.rounds, a.device)
    made, trained = a.rows * a.tokens, a.rows * (a.tokens + a.prompt / 8)
    figures = {
        "shape": a.shape,
        "parameters": parameters,
        "device": torch.cuda.get_device_name() if a.device == "cuda" else a.device,
        "decode_tokens_per_second": made / ours,
        "decode_over_transformers": theirs / ours,
        "decode_share_of_bandwidth_limit": a.tokens * read / bandwidth / ours,
        "learn_tokens_per_second": trained / learn,
        "mfu": 6 * parameters * trained / learn / products,
        "bandwidth_bytes_per_second": bandwidth,
        "products_per_second": products,
        "peak_bytes": torch.cuda.max_memory_allocated() if a.device == "cuda" else None,
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
