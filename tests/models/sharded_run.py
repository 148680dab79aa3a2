"""Ranks as forked processes: python sharded_run.py DIRECTORY. Prints JSON, one line for each thing that was tried.

Every rank is a child of one process, so that everything is imported once; torch.distributed meets through a file.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["GLOO_SOCKET_IFNAME"] = "lo"

import numpy as np
import torch
from torch import distributed as dist

from sharpen import models, tasks
from sharpen.core import Ask, Batch, FatalDiagnosis, Sampling
from sharpen.engines import Served
from sharpen.models import embedded
from sharpen.objectives import policy_gradient
from sharpen.serve import contract

STEPS, LATE = 3, 60.0
torch.set_num_threads(1)


def student(kind: str = "") -> models.LocalPolicy:
    torch.manual_seed(0)
    made = embedded.build("micro", tasks.parse_spec("chain_sum/1"), 0)
    how: dict[str, Any] = dict(lora=2 if kind == "lora" else 0, optimizer_bits=8 if kind == "eight" else 32)
    return models.LocalPolicy(*made, "fp32", device="cpu", micro_tokens=40, **how)


def batch(step: int) -> Batch:
    """Five groups of unlike length, more than ranks divide; passes of 40 tokens, so that each rank has several or none."""
    rng = np.random.default_rng(step)
    group = np.repeat(np.arange(5), 2)
    lengths = np.repeat(np.array([7, 12, 9, 16, 8]), 2)
    tokens = rng.integers(5, 200, (10, 16))
    tokens[1::2, :4] = tokens[::2, :4]
    mask = ((np.arange(16) >= 4) & (np.arange(16) < lengths[:, None])).astype(np.float32)
    sampling = (rng.normal(-5.5, 0.2, (10, 16)) * mask).astype(np.float32)
    return Batch(tokens, mask, sampling, np.tile([1.0, 0.0], 5).astype(np.float32), group, np.ones(10, np.float32), lengths)


def learn(policy: Any, kind: str, steps: range) -> list[float]:
    tableau = policy_gradient.ppo() if kind == "ppo" else policy_gradient.grpo()
    found = []
    for step in steps:
        one = batch(step)
        one = policy.prepare(one, tableau)
        told = policy.update(one, tableau, 1e-2)
        policy.version = step + 1
        found += [told["loss"], told["grad_norm"], told["mismatch"]]
    return found


def asked(policy: Any, save: Path) -> list[Any]:
    """What the policy answers around a checkpoint, and engines around an update, where the weights come from all ranks."""
    found = []
    for _ in range(2):
        turns = policy.respond([Ask(({"role": "user", "content": "2 + 1 ="},))] * 2, [7, 8], 6, Sampling(0.7))
        found += [turn.tokens.tolist() for turn in turns]
        policy.save(str(save))
    place = save.with_name(f"{save.name}.published")
    server = contract.Server(contract.Engine(student(), "student")).begin()
    served = Served([server.url], place, seconds=60.0)
    policy.elsewhere = served
    for step in (0, 1):
        turns = policy.respond([Ask(({"role": "user", "content": "1 + 1 ="},))] * 2, [5, 6], 6, Sampling(0.7))
        found += [turn.tokens.tolist() for turn in turns]
        policy.update(batch(step), policy_gradient.grpo(), 1e-2)
    policy.elsewhere = None
    served.close()
    server.stop()
    return found


def outcome(policy: Any, kind: str, steps: range, save: Path | None) -> dict[str, Any]:
    told = learn(policy, kind, steps)
    logp = policy.logprobs(batch(99))
    said = None
    if save:
        save.mkdir(parents=True)
        said = policy.save(str(save)) if kind == "eight" else asked(policy, save)  # which changes the weights
    return {"told": told, "said": said, "logp": logp.sum(axis=1).tolist()}


def ranks(size: int, kind: str, steps: range, load: Path | None, save: Path | None, at: Path, dies: int = -1) -> Any:
    """The same by so many processes; `dies`: that rank is killed in its third call."""
    at.mkdir(parents=True)
    children = []
    for rank in range(size):
        child = os.fork()
        if child == 0:
            signal.alarm(900)
            try:
                one(size, rank, kind, steps, load, save, at, dies == rank)
            except FatalDiagnosis as error:
                (at / "said").write_text(json.dumps(str(error)))
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    _, status = os.waitpid(children[0], 0)
    for child in children[1:]:
        if dies >= 0:  # torchrun ends the others, too
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert status == 0, status
    return json.loads((at / "said").read_text())


def one(size: int, rank: int, kind: str, steps: range, load: Path | None, save: Path | None, at: Path, dies: bool) -> None:
    policy = student(kind)
    job = models.Job(dist.FileStore(str(at / "store"), size), rank, size, LATE)
    if rank:
        if dies:
            heard, calls = job.heard, iter(range(10**9))
            job.heard = lambda: (os.kill(os.getpid(), signal.SIGKILL) if next(calls) == 3 else None) or heard()
        models.attend(policy, job)
        return
    front = models.Sharded(policy, job)
    if load:
        front.load(str(load))
    (at / "said").write_text(json.dumps(outcome(front, kind, steps, save)))
    front.end()


def alone(kind: str, steps: range, load: Path | None, save: Path | None) -> dict[str, Any]:
    policy = student(kind)
    if load:
        policy.load(str(load))
    return outcome(policy, kind, steps, save)


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for kind in ("grpo", "lora", "ppo", "eight"):
        first, rest = range(STEPS), range(STEPS, STEPS + 2)
        whole = alone(kind, range(STEPS + 2), None, None)
        two = ranks(2, kind, first, None, root / kind / "2", root / f"{kind}.2")
        by_one = alone(kind, rest, root / kind / "2", root / kind / "1")
        if kind in ("grpo", "lora"):
            print(json.dumps(["engines", alone(kind, first, None, root / kind / "own")["said"], two["said"]]), flush=True)
        print(json.dumps([kind, whole["told"], two["told"] + by_one["told"], whole["logp"], by_one["logp"]]), flush=True)
        if kind == "grpo":  # 2 -> 1 -> 3, and from what one process wrote
            three = ranks(3, kind, range(STEPS + 2, STEPS + 3), root / kind / "1", None, root / "grpo.3")
            again = alone(kind, range(STEPS + 2, STEPS + 3), root / kind / "1", None)
            print(json.dumps(["reshard", again["told"], three["told"], again["logp"], three["logp"]]), flush=True)
            print(json.dumps(["killed", ranks(2, kind, first, None, None, root / "grpo.dead", dies=1)]), flush=True)
