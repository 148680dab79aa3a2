"""What the benchmarks share: one student on disk, its prompts and rewards, the machine in words, the results of earlier runs.

Nothing here imports torch before it is needed: the process that conducts a benchmark stays small and idle.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
FLAGS = ("amx_bf16", "amx_tile", "avx512_bf16", "avx512f", "avx2")  # what decides how fast products are
PACKAGES = ("torch", "transformers", "trl", "numpy")
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
MODEL = dict(hidden_size=256, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=8, intermediate_size=768)
LR = 1e-6  # TRL's default; so small that the sampled lengths stay what they are during a benchmark
ADAM = dict(betas=(0.9, 0.98), eps=1e-8, weight_decay=0.0)  # those of `policy.LocalPolicy`
MAX_GRAD_NORM = 1.0


@dataclass(frozen=True)
class Shape:
    """One step's work: `prompts` x `samples` completions of at most `tokens` tokens, on `threads` processor cores.

    ends  False: the end token is so improbable that every completion has full length; True: it falls at about one token in a
          hundred
    """

    prompts: int = 32
    samples: int = 8
    tokens: int = 48
    threads: int = 2
    ends: bool = False

    @property
    def rows(self) -> int:
        return self.prompts * self.samples


SHAPES: Mapping[str, Shape] = {"main": Shape(), "small": Shape(prompts=2, samples=8, tokens=300)}


def build_model(directory: Path, ends: bool) -> int:
    """Write a Llama of random weights and a tokenizer of 100 tokens: printable ASCII and five marks. Returns its parameters.

    Where `ends` is false one coordinate of the embeddings, which are the output layer too, sets the end token apart: its logit
    lies about 7 below the others, so that it falls once in 10^5 tokens.
    """
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from sharpen.models.embedded import CHAT_TEMPLATE

    letters = ["Ġ", *map(chr, range(33, 127))]  # byte-level vocabularies write a space as Ġ
    core = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(letters)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_tokens([AddedToken(mark, normalized=False, special=True) for mark in SPECIAL])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<|pad|>", eos_token="<|end|>", chat_template=CHAT_TEMPLATE, model_max_length=1024
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        **MODEL,
    )
    model = LlamaForCausalLM(config)
    if not ends:
        with torch.no_grad():
            model.model.embed_tokens.weight[:, 0] = 0.5
            model.model.embed_tokens.weight[tokenizer.eos_token_id, 0] = -4.0
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return sum(p.numel() for p in model.parameters())


def prompts(shape: Shape, steps: int) -> list[str]:
    """Questions of 15 characters, 17 tokens with the marks around them; none occurs twice in a benchmark's few steps."""
    rng = np.random.default_rng(0)
    return [f"{a} + {b}" for a, b in rng.integers(100_000, 1_000_000, (steps * shape.prompts, 2))]


def reward(prompt: str, completion: str, silent: bool) -> float:
    """The share of lower-case letters: nearly every group has variance, so that skipping silent groups earns nobody anything.

    With `silent` the prompts with an even last digit, half of them, are worth 0 whatever is answered.
    """
    if silent and int(prompt[-1]) % 2 == 0:
        return 0.0
    return sum(c.islower() for c in completion) / max(len(completion), 1)


def machine(threads: int) -> dict[str, Any]:
    """What a figure depends on besides the code; no name that tells one machine from another of its kind."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    lines = dict(line.split(":", 1) for line in info.split("\n\n")[0].splitlines() if ":" in line)
    found = {key.strip(): value.strip() for key, value in lines.items()}
    flags = set(found.get("flags", "").split())
    return {
        "cpu": found.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "threads": threads,
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "versions": {"python": platform.python_version(), **{p: installed(p) for p in PACKAGES}},
    }


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def commit() -> str:
    """The short commit of this tree, with a plus where tracked files differ from it; "unknown" outside of git."""
    here = Path(__file__).parent
    try:
        name = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, timeout=30)
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=here, capture_output=True, timeout=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return "unknown"
    return name.stdout.strip() + ("+" if changed.returncode else "") or "unknown"


def pin(threads: int) -> None:
    """Keep this process and its children on the first `threads` cores that it may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="false")


def high_water_mb() -> float | None:
    """Most memory that this process and those it has started have held, in MB, each at its own time; None without /proc.

    Not `ru_maxrss`, which a process inherits from its parent.
    """
    if not Path("/proc/self/status").exists():
        return None

    def held(pid: str) -> float:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        own = next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
        started = {child for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()}
        return own + sum(map(held, started))

    return held("self")


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def save(benchmark: str, figures: Mapping[str, Any], threads: int, folder: Path = RESULTS) -> Path:
    """Add figures to today's file of this commit. Returns the file."""
    folder.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = folder / f"{now:%Y-%m-%d}-{commit().rstrip('+')}.json"
    record = json.loads(path.read_text()) if path.exists() else {"figures": {}}
    record |= {"time": f"{now:%Y-%m-%d %H:%M:%S}", "commit": commit(), "machine": machine(threads)}
    record["figures"][benchmark] = figures
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    return path


def previous(benchmark: str, threads: int, folder: Path = RESULTS) -> tuple[str, Mapping[str, Any]] | None:
    """(file, figures) of the latest run saved on a machine of this description, or None."""
    here = machine(threads)
    found = [(json.loads(path.read_text()), path.name) for path in folder.glob("*.json")]
    same = [
        (r["time"], name, r["figures"][benchmark]) for r, name in found if r["machine"] == here and benchmark in r["figures"]
    ]
    return max(same, key=lambda row: row[:2])[1:] if same else None


def changes(before: Mapping[str, Any], now: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """A line for each named figure that both have: before, now, and the change in percent."""
    lines = []
    for key in keys:
        old, new = before.get(key), now.get(key)
        if isinstance(old, int | float) and isinstance(new, int | float) and old:
            lines.append(f"{key}: {old:,.4g} → {new:,.4g} ({new / old - 1:+.1%})")
    return lines
