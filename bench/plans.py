"""`sharpen plan --device here` against steps that are made: python bench/plans.py [MODEL …]

Each model (micro, tiny, or a directory) is measured as `sharpen plan --measure` does; then steps of other sizes than those are
foretold, and made. Seconds are those of this thread's processor, so that neighbours do not count; one thread.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from unittest import mock

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import numpy as np
import torch

from sharpen import plan as planning
from sharpen import tasks
from sharpen.core import Batch, Sampling
from sharpen.models import LocalPolicy, embedded, load_model
from sharpen.models.engine import generate
from sharpen.objectives import policy_gradient
from sharpen.plan import Load, Plan, measure

SMALL = (Load(24, 24, 32, 32, False), Load(48, 16, 48, 48, False), Load(96, 40, 20, 20, False))
LARGE = (Load(12, 24, 32, 32, False), Load(24, 40, 16, 16, False))
ROWS, BATCHES = (4, 12, 32), (8, 16, 40)  # of a model that is not embedded: a step of it takes a minute


def policy_of(name: str) -> LocalPolicy:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    made = embedded.build(name, tasks.parse_spec("chain_sum/1"), 0) if name in embedded.STUDENTS else load_model(Path(name))
    return LocalPolicy(*made, "fp32", device="cpu")


def shape_of(name: str, policy: LocalPolicy) -> planning.Shape:
    c = policy.model.config
    n = float(sum(p.numel() for p in policy.model.parameters()))
    keys = c.num_key_value_heads * c.hidden_size // c.num_attention_heads
    return planning.Shape(name, n, c.num_hidden_layers, c.hidden_size, keys, c.vocab_size)


def step(policy: LocalPolicy, load: Load) -> dict[str, float]:
    """Processor seconds of a step whose answers all have the load's length."""
    rng, top = np.random.default_rng(1), policy.model.config.vocab_size
    groups = load.rows // load.samples
    prompts = [rng.integers(5, top, load.prompt).astype(np.int32) for _ in range(groups)]
    requests = [
        generate.Request(prompts[i // load.samples], i + 1, load.most, Sampling()) for i in range(groups * load.samples)
    ]
    began = time.process_time()
    made = generate.generate(policy.model, requests, [-1], policy.pad_id)
    middle = time.process_time()
    shape = len(made), load.prompt + load.most
    tokens = np.stack([np.concatenate([r.prompt, m.tokens]) for r, m in zip(requests, made, strict=True)]).astype(np.int64)
    mask, sampling = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    mask[:, load.prompt :], sampling[:, load.prompt :] = 1, np.stack([m.logprobs for m in made])
    reward = (np.arange(len(made)) % 2).astype(np.float32)
    group, one = np.arange(len(made)) // load.samples, np.ones(len(made), np.float32)
    batch = Batch(tokens, mask, sampling, reward, group, one, np.full(len(made), shape[1]))
    policy.update(batch, policy_gradient.grpo(), 0.0)
    return {"generate": middle - began, "learn": time.process_time() - middle}


def compare(name: str) -> None:
    policy = policy_of(name)
    small = name in embedded.STUDENTS
    rows, batches = (measure.ROWS, measure.BATCHES) if small else (ROWS, BATCHES)
    with (
        mock.patch.multiple(measure, ROWS=rows, BATCHES=batches),
        mock.patch.object(measure.time, "perf_counter", time.process_time),
    ):
        here, decoded, learnt = measure.measured(policy, 1e18)
    print(f"{name}: decoding {decoded}, learning {learnt}", flush=True)
    for load in SMALL if small else LARGE:
        found = planning.cost(
            Plan(1, 1, together=True, micro=10**9, recompute=False), shape_of(name, policy), here, load
        ).seconds
        step(policy, load)
        times = [step(policy, load) for _ in range(3 if small else 1)]
        took = {part: min(t[part] for t in times) for part in times[0]}
        off = {
            part: f"{found[part]:.3f} foretold, {took[part]:.3f} taken, {found[part] / took[part] - 1:+.0%}" for part in took
        }
        whole = (found["generate"] + found["learn"]) / sum(took.values()) - 1
        print(f"  {load.rows} x {load.prompt} + {load.most}: {off}; a step {whole:+.0%}", flush=True)


if __name__ == "__main__":
    for model in sys.argv[1:] or ["micro", "tiny"]:
        compare(model)
