"""A policy on the processes of a torchrun job: rank 0 runs the loop and the store, the others answer its calls in lockstep.

    rank 0:  join -> Sharded(policy)  ->  every call goes to all ranks, then is made here
    others:  join -> attend(policy)   ->  wait for a call, make it, until rank 0 is done

A call that a rank does not finish in time, or a rank that is gone, ends the job with its name and the call's: then the last
commit stands, and the job goes on from there with as many ranks as it is given (torch.distributed.checkpoint lays shards out
anew).
"""

from __future__ import annotations

import contextlib
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed as dist

from sharpen.core import Ask, Batch, FatalDiagnosis, Sampling, Tableau, Turn, UserError
from sharpen.models import saving
from sharpen.models.ranks import Ranks

CALL_S = 1800.0  # seconds for one call
LOOK_S = 2.0  # seconds between two looks of a rank that waits for a call


class Job:
    """The processes, and the store through which rank 0 says what comes next. `store` is torch.distributed's."""

    def __init__(self, store: Any, rank: int, size: int, seconds: float = CALL_S, device: str = "cpu"):
        self.store: Any = dist.PrefixStore("sharpen", store)
        self.rank, self.size, self.seconds = rank, size, seconds
        backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
        with named("joining", self):
            dist.init_process_group(
                backend, store=dist.PrefixStore("group", store), rank=rank, world_size=size, timeout=timedelta(seconds=seconds)
            )
        self.calls = 0

    def say(self, name: str, *given: Any) -> None:
        """Rank 0: have every other rank make this call."""
        self.calls += 1
        self.store.set(f"call {self.calls}", pickle.dumps((name, given)))

    def heard(self) -> tuple[str, tuple[Any, ...]]:
        """The others: the next call, whenever it comes. Raises RuntimeError where rank 0 is gone."""
        self.calls += 1
        key = f"call {self.calls}"
        while not self.store.check([key]):
            time.sleep(0.001)
            with contextlib.suppress(dist.DistStoreError):
                self.store.wait([key], timedelta(seconds=LOOK_S))
        name, given = pickle.loads(self.store.get(key))  # of rank 0 of this job, which is this program
        return name, given

    def done(self) -> None:
        """This rank has made the call."""
        self.store.set(f"done {self.rank}", str(self.calls))

    def missing(self) -> list[int]:
        """Ranks that have not made the present call."""
        there = {r: int(self.store.get(f"done {r}")) if self.store.check([f"done {r}"]) else 0 for r in range(1, self.size)}
        return [rank for rank, calls in there.items() if calls < self.calls]

    def close(self) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()


def joined(device: str, seconds: float = CALL_S) -> Job:
    """This process's place in the job that torchrun has started. UserError where it has not."""
    try:
        store, rank, size = next(iter(dist.rendezvous("env://", timeout=timedelta(seconds=seconds))))
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"--shard fsdp is for processes that torchrun has started ({error}): torchrun --nproc-per-node 8 -m sharpen run …"
        ) from error
    if device.startswith("cuda"):
        torch.cuda.set_device(rank % torch.cuda.device_count())
    return Job(store, rank, size, seconds, device)


@contextmanager
def named(call: str, job: Job) -> Iterator[None]:
    """Inside, a collective that fails is FatalDiagnosis with the names of the call and of the ranks that did not finish it."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, dist.DistBackendError) as error:
        if not broken(error):
            raise
        with contextlib.suppress(RuntimeError):
            lost = job.missing()
            said = " ".join(str(error).split())[:200]
            raise FatalDiagnosis(
                f"rank_lost (ranks {len(lost)}): {', '.join(f'rank {r}' for r in lost) or 'a rank'} did not finish the call "
                f"{call!r} ({said}). The last commit stands: go on with `sharpen resume` and any number of ranks."
            ) from error
        raise


def broken(error: Exception) -> bool:
    """Whether it is about the connection between ranks, and not about what was computed."""
    return isinstance(error, dist.DistNetworkError) or any(w in str(error).lower() for w in ("gloo", "timed out", "connection"))


class Sharded:
    """`core.Policy` of rank 0. What it does not have itself it reads and writes at its own `LocalPolicy`."""

    def __init__(self, policy: Any, job: Job, bf16: bool = False):
        self.__dict__.update(policy=policy, job=job)
        Ranks(policy, bf16).front = self

    def __getattr__(self, name: str) -> Any:
        if name == "model":  # whoever reads it wants whole weights
            self.call("gather")
        return getattr(self.policy, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.policy, name, value)

    def call(self, name: str, *given: Any) -> Any:
        """Have every rank do it, and return what it comes to here."""
        if name == "gather" and self.policy.ranks.gathered:
            return None
        self.job.say("version", self.policy.version)
        self.job.say(name, *given)
        with named(name, self.job):
            return CALLS[name](self.policy, *given)

    def respond(
        self,
        asks: Sequence[Ask],
        seeds: Sequence[int],
        max_tokens: int,
        sampling: Sampling,
        done: Callable[[int, Turn], None] | None = None,
    ) -> list[Turn]:
        """Rank 0 generates by itself, or engines do."""
        if not self.policy.elsewhere:
            self.call("gather")
        return self.policy.respond(asks, seeds, max_tokens, sampling, done)

    def logprobs(self, batch: Batch) -> np.ndarray:
        return self.call("look", batch, {})["logp"]

    def entropies(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        found = self.call("look", batch, {"entropy": True})
        return found["logp"], found["entropy"]

    def prepare(self, batch: Batch, tableau: Tableau) -> Batch:
        return self.call("prepare", batch, tableau)

    def update(self, batch: Batch, tableau: Tableau, lr: float) -> Mapping[str, float]:
        return self.call("update", batch, tableau, lr)

    def direction(self, batch: Batch, tableau: Tableau) -> list[Any]:
        raise UserError("this method reads gradients as they are, and here they lie in shards: run it without --shard.")

    def refer(self, directory: str, role: str = "reference") -> None:
        self.call("refer", directory, role)

    def extrapolate(self, alpha: float) -> None:
        self.call("extrapolate", alpha)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        if not self.policy.mean:
            yield
            return
        self.call("mean", True)
        try:
            yield
        finally:
            self.call("mean", False)

    def state(self) -> dict[str, Any]:
        """The whole model as it is saved, or, of adapters, what is trained."""
        return self.call("state")

    def save(self, directory: str) -> None:
        self.call("save", directory)

    def load(self, directory: str) -> None:
        self.call("load", directory)

    def end(self) -> None:
        """The other ranks may go."""
        self.job.say("end")
        self.job.close()


def attend(policy: Any, job: Job, bf16: bool = False) -> None:
    """What every rank but 0 does: make the calls of rank 0 until it is done, or gone."""
    Ranks(policy, bf16)
    try:
        while (heard := job.heard())[0] != "end":
            name, given = heard
            CALLS[name](policy, *given)
            job.done()
    except (RuntimeError, dist.DistBackendError) as error:
        if isinstance(error, torch.OutOfMemoryError) or not broken(error):
            raise
        raise FatalDiagnosis(f"rank_lost (ranks 1): another rank is gone, so rank {job.rank} stops.") from error
    finally:
        job.close()


def update(policy: Any, batch: Batch, tableau: Tableau, lr: float) -> Mapping[str, float]:
    return policy.update(batch, tableau, lr)


def version(policy: Any, number: int) -> None:
    policy.version = number


def mean(policy: Any, on: bool) -> None:
    """Put the mean of the weights in their place, or the weights back."""
    if on:
        policy.latest = [t.detach().clone() for t in policy.trained.values()]
    policy.put(policy.mean if on else policy.latest)


def save(policy: Any, directory: str) -> None:
    """The weights by rank 0, as every policy writes them; beside it, by each rank, its shards of what is trained."""
    from torch.distributed import checkpoint as dcp

    path = Path(directory)
    state = policy.ranks.full(policy.model, saving.shown(policy))
    policy.ranks.gather()
    if policy.ranks.rank == 0:
        if saving.alone(policy):
            state = {name: state[name] for name in policy.trained}
        elif policy.lora:
            state = saving.adapters.merged(policy.model, state)
        saving.write_weights(policy, state, path)
        saving.write_rest(policy, path)
    dist.barrier()
    dcp.save(shards(policy), checkpoint_id=str(path / saving.SHARDS))


def state(policy: Any) -> dict[str, Any]:
    """What `publish` writes, whole on every rank."""
    if policy.lora:
        return {name: p.detach().full_tensor() for name, p in policy.trained.items()}
    found = policy.ranks.full(policy.model, policy.trained)
    policy.ranks.gather()
    return found


def shards(policy: Any) -> dict[str, Any]:
    """Everything that `load` needs, by name; the names are those of `optimizer.safetensors`."""
    found: dict[str, Any] = {f"latest:{n}": p.detach() for n, p in policy.trained.items()}
    for name, parameter in policy.trained.items():
        found |= {f"{key}:{name}": t for key, t in policy.optimizer.state.get(parameter, {}).items()}
    found |= {f"mean:{n}": t for n, t in zip(policy.trained, policy.mean)}
    return found | {f"learned:{n}": t for n, t in zip(policy.trained, policy.learned)}


def load(policy: Any, directory: str) -> None:
    """Restore what `save` wrote with any number of ranks, or what a single process wrote."""
    saving.load_shards(policy, Path(directory))


def look(policy: Any, batch: Batch, wanted: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return policy.look(batch, **wanted)


def gather(policy: Any) -> None:
    policy.ranks.gather()


CALLS: Mapping[str, Callable[..., Any]] = {
    "gather": gather,
    "look": look,
    "update": update,
    "version": version,
    "mean": mean,
    "save": save,
    "state": state,
    "load": load,
    "prepare": lambda policy, *given: policy.prepare(*given),
    "refer": lambda policy, *given: policy.refer(*given),
    "extrapolate": lambda policy, *given: policy.extrapolate(*given),
}
