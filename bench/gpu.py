"""Engine and trainer on a GPU, against what the hardware allows and against the last result on a GPU of this name.

    python bench/gpu.py [--shape 0.5b 1.5b smollm2] [--device cuda] [--theirs] [--save] > FIGURES.json
    python bench/gpu.py --record FIGURES.json      of a machine without this repository: print the change, write it down

Shapes are those of Qwen2.5-0.5B and 1.5B and of SmolLM2-135M with random weights, and `micro`, which runs anywhere. Decoding is
of WORK's rows, eight (SmolLM2: sixteen) to a prompt; learning is one step on the first of them. The decoding limit is the time
to read the weights and the filled cache once a step at the bandwidth measured here; MFU is 6 * parameters * tokens per second
over the rate of matrix products measured here. `first_seconds` has compiling and capturing in it, which later batches have not.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from sharpen.core import Batch, TaskSource
from sharpen.models import embedded, policy
from sharpen.models.engine import generate
from sharpen.objectives import policy_gradient

QWEN = dict(vocab_size=151936, num_key_value_heads=2)
SHAPES = {
    "micro": dict(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        vocab_size=1000,
        num_key_value_heads=2,
    ),
    "0.5b": dict(hidden_size=896, num_hidden_layers=24, num_attention_heads=14, intermediate_size=4864, **QWEN),
    "1.5b": dict(hidden_size=1536, num_hidden_layers=28, num_attention_heads=12, intermediate_size=8960, **QWEN),
    "smollm2": dict(
        hidden_size=576,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        intermediate_size=1536,
        vocab_size=49152,
    ),
}
WORK = {  # numbers of rows, rows of a group, tokens of a prompt and of a response
    "micro": ((8,), 8, 8, 8),
    "0.5b": ((64, 512), 8, 128, 256),
    "1.5b": ((64, 512), 8, 128, 256),
    "smollm2": ((1024,), 16, 64, 96),
}
GUARDED = ("decode_64", "decode_512", "decode_1024", "learn_tokens_per_second", "mfu", "peak_gb", "step_seconds")


def seconds(work: Callable[[], Any], rounds: int, device: str) -> list[float]:
    """Of the first time, and the median of the rest."""
    found = []
    for _ in range(rounds + 1):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        found.append(time.perf_counter() - start)
    return [found[0], statistics.median(found[1:])]


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def limits(device: str) -> tuple[float, float]:
    """(bytes per second of a copy, both ways counted; floating point operations per second of bfloat16 products)."""
    size, n = (2**30, 8192) if device == "cuda" else (2**26, 1024)
    x, y = (torch.empty(size, dtype=torch.uint8, device=device) for _ in range(2))
    a = torch.randn(n, n, dtype=torch.bfloat16, device=device)
    copies, products = seconds(lambda: y.copy_(x), 5, device)[1], seconds(lambda: a @ a, 5, device)[1]
    return 2 * size / copies, 2 * n**3 / products


def batch(rows: int, group: int, prompt: int, tokens: int, vocabulary: int) -> Batch:
    """Groups that share a prompt, all tokens after it trained, every group with different rewards."""
    rng = np.random.default_rng(0)
    ids = rng.integers(2, vocabulary, (rows, prompt + tokens))
    ids[:, :prompt] = ids[np.arange(rows) // group * group, :prompt]
    mask = np.zeros(ids.shape, np.float32)
    mask[:, prompt:] = 1
    reward, ones = (np.arange(rows) % group / group).astype(np.float32), np.ones(rows, np.float32)
    sampling = -np.log(vocabulary) * mask
    return Batch(ids, mask, sampling, reward, np.arange(rows) // group, ones, np.full(rows, prompt + tokens))


def measure(shape: str, device: str, rounds: int, theirs: bool, bounds: tuple[float, float]) -> dict[str, Any]:
    """Decode and learn with the first number of rows, whose peak of memory counts; then decode with the others."""
    torch.manual_seed(0)
    config, model_class = (LlamaConfig, LlamaForCausalLM) if shape == "smollm2" else (Qwen2Config, Qwen2ForCausalLM)
    with torch.device(device):
        model = model_class(config(**SHAPES[shape], tie_word_embeddings=True)).eval()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    nowhere = TaskSource("none", (), lambda arm, split, index, seed: None)  # type: ignore[arg-type,return-value]
    local = policy.LocalPolicy(model, embedded.build("micro", nowhere, 0)[1], "bf16", device=device)
    parameters, (numbers, group, prompt, tokens) = sum(p.numel() for p in model.parameters()), WORK[shape]
    data = batch(numbers[0], group, prompt, tokens, SHAPES[shape]["vocab_size"])
    found: dict[str, Any] = {"parameters": parameters, "pass_tokens": local.micro_tokens}
    found |= decoding(local.model, data, prompt, group, rounds, device, bounds[0])
    if theirs:
        inputs = torch.from_numpy(data.tokens[:, :prompt]).to(device)
        asked = dict(max_new_tokens=tokens, min_new_tokens=tokens, do_sample=True, pad_token_id=0, eos_token_id=None)
        run = seconds(lambda: local.model.generate(inputs, attention_mask=inputs.ne(-1), **asked), 1, device)
        found["over_transformers"] = found[f"decode_{numbers[0]}"] * run[1] / (numbers[0] * tokens)
    first, learn = seconds(lambda: local.update(data, policy_gradient.grpo(), 0.0), rounds, device)
    trained = numbers[0] * (tokens + prompt / group)
    found |= {"learn_tokens_per_second": trained / learn, "mfu": 6 * parameters * trained / learn / bounds[1]}
    found |= {"learn_first_seconds": first, "step_seconds": numbers[0] * tokens / found[f"decode_{numbers[0]}"] + learn}
    found["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None
    for rows in numbers[1:]:
        data = batch(rows, group, prompt, tokens, SHAPES[shape]["vocab_size"])
        found |= decoding(local.model, data, prompt, group, rounds, device, bounds[0])
    return found


def decoding(model: Any, data: Batch, prompt: int, group: int, rounds: int, device: str, bandwidth: float) -> dict[str, float]:
    """Tokens per second and share of the bandwidth's limit."""
    rows, tokens = len(data), data.tokens.shape[1] - prompt
    requests = [generate.Request(row[:prompt].astype(np.int32), i, tokens) for i, row in enumerate(data.tokens)]
    first, taken = seconds(lambda: generate.generate(model, requests, [-1], 0), rounds, device)
    c = model.config
    cached = 2 * c.num_hidden_layers * c.num_key_value_heads * (c.hidden_size // c.num_attention_heads) * 2  # bytes of a token
    read = 2 * sum(p.numel() for p in model.parameters()) + rows * cached * (prompt / group + tokens / 2)
    name = f"decode_{rows}"
    share = tokens * read / bandwidth / taken
    return {name: rows * tokens / taken, f"{name}_first_seconds": first, f"{name}_share_of_bandwidth_limit": share}


def previous(gpu: str, shape: str, folder: Path = common.RESULTS) -> tuple[str, Mapping[str, Any]] | None:
    """(file, figures) of the latest result of this shape on a GPU of this name, whatever processor stands beside it."""
    key = f"gpu {gpu} {shape}"
    found = [(json.loads(path.read_text()), path.name) for path in folder.glob("*.json")]
    rows = [(record["time"], name, record["figures"][key]) for record, name in found if key in record["figures"]]
    return max(rows, key=lambda row: row[:2])[1:] if rows else None


def record(everything: Mapping[str, Any], write: bool, folder: Path = common.RESULTS) -> None:
    """Say how each shape has changed; with `write`, as a file of today's results."""
    gpu = everything["gpu"]
    for shape, figures in everything["shapes"].items():
        print(f"{gpu}, {shape}:", file=sys.stderr)
        earlier = previous(gpu, shape, folder)
        fresh = [f"{key}: {figures[key]:,.4g}" for key in GUARDED if figures.get(key)]
        lines = [f"against {earlier[0]}", *common.changes(earlier[1], figures, GUARDED)] if earlier else fresh
        print(*lines, sep="\n", file=sys.stderr)
    if write:
        now = datetime.now(UTC)
        path = folder / f"{now:%Y-%m-%d}-{common.commit().rstrip('+')}-{gpu.replace(' ', '-')}.json"
        machine = {key: value for key, value in everything.items() if key != "shapes"}
        found = {f"gpu {gpu} {shape}": figures for shape, figures in everything["shapes"].items()}
        kept = {"time": f"{now:%Y-%m-%d %H:%M:%S}", "commit": common.commit(), "machine": machine, "figures": found}
        path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", nargs="+", choices=SHAPES, default=["0.5b", "1.5b", "smollm2"])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--theirs", action="store_true", help="transformers' generate too, which takes five times as long")
    parser.add_argument("--save", action="store_true", help="write bench/results/DATE-COMMIT.json")
    parser.add_argument("--record", type=Path, help="figures of another machine, to be compared and written down here")
    a = parser.parse_args()
    if a.record:
        record(json.loads(a.record.read_text()), True)
        return 0
    if a.device == "cuda" and not torch.cuda.is_available():
        print("there is no GPU here: nothing is measured", file=sys.stderr)
        return 0
    bounds = limits(a.device)
    everything: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name() if a.device == "cuda" else a.device,
        "versions": {p: common.installed(p) for p in ("torch", "transformers", "triton")},
        "bandwidth_bytes_per_second": bounds[0],
        "products_per_second": bounds[1],
        "shapes": {},
    }
    for shape in a.shape:
        everything["shapes"][shape] = measure(shape, a.device, a.rounds, a.theirs, bounds)
        print(shape, json.dumps(everything["shapes"][shape]), file=sys.stderr)  # what is measured is not lost with what follows
        gc.collect()  # a policy's caches refer to it, and the next shape's peak is its own
        if a.device == "cuda":
            torch.cuda.empty_cache()
    print(json.dumps(everything, indent=1))
    record(everything, a.save)
    return 0


if __name__ == "__main__":
    sys.exit(main())
