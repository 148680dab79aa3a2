"""Weights sent without a disk, by a group that is given: the engine gets what was published, and nothing waits for ever."""

from __future__ import annotations

import queue
import threading

import pytest
import torch

from sharpen import tasks
from sharpen.core import Ask, FatalDiagnosis, Sampling, UserError
from sharpen.engines import Served, nccl, wire
from sharpen.models import LocalPolicy, embedded
from sharpen.serve import contract, faults


def student() -> LocalPolicy:
    torch.manual_seed(0)
    return LocalPolicy(*embedded.build("micro", tasks.parse_spec("chain_sum/1"), 0), "fp32", device="cpu")


class Wires:
    """What stands for NCCL: both sides of each group, by its id. `join` comes back when both have come."""

    def __init__(self) -> None:
        self.groups: dict[bytes, Wire] = {}
        self.uids = iter(bytes([n]) * 128 for n in range(256))

    def mint(self) -> bytes:
        uid = next(self.uids)
        self.groups[uid] = Wire()
        return uid

    def join(self, uid: bytes, size: int) -> Wire:
        assert size == 2
        self.groups[uid].here.wait(900)
        return self.groups[uid]


class Wire:
    """Both a `Group` and an engine's channel."""

    def __init__(self) -> None:
        self.here, self.way, self.open = threading.Barrier(2), queue.SimpleQueue(), 0

    def send(self, tensor: torch.Tensor) -> None:
        self.way.put(tensor.clone())

    def sent(self) -> bool:
        return self.way.empty()


class Channel:
    def __init__(self, wires: Wires) -> None:
        self.wires = wires

    def join(self, uid: bytes, rank: int, size: int) -> None:
        assert (rank, size) == (1, 2)
        self.wire = self.wires.join(uid, size)

    def receive(self, shape: tuple[int, ...], kind: torch.dtype) -> torch.Tensor:
        found = self.wire.way.get(timeout=900)
        assert tuple(found.shape) == shape and found.dtype == kind
        return found


def asked(tmp_path, fault: str = "", configured: bool = True) -> list:
    wires, policy = Wires(), student()
    engine = contract.Engine(student(), "student", fault)
    engine.channel = Channel(wires) if configured else None
    server = contract.Server(engine).begin()
    served = Served([server.url], tmp_path, seconds=60.0, whole=nccl.transport(wires.mint, wires.join))
    policy.elsewhere, here, found = served, student(), []
    try:
        for step in range(faults.AFTER + 2):
            for one in (policy, here):
                asks = [Ask(({"role": "user", "content": f"{i} + 2 ="},)) for i in range(3)]
                turns = one.respond(asks, [step, 5, 6], 6, Sampling(0.8))
                found.append([(t.tokens.tolist(), t.logprobs.tolist()) for t in turns])
                rng = torch.Generator().manual_seed(step)
                one.put([t + 0.01 * torch.randn(t.shape, generator=rng) for t in one.trained.values()])
                one.version += 1
    finally:
        served.close()
        server.stop()
        wire.close(server.url)
    assert len(wires.groups) == 1  # one group for all publishes
    return found


def test_what_is_sent_is_what_was_published(tmp_path):
    found = asked(tmp_path)
    assert found[::2] == found[1::2]


def test_proof_is_asked_of_it_too(tmp_path):
    with pytest.raises(FatalDiagnosis, match="stale_weights"):
        asked(tmp_path, "stale_weights")


def test_an_engine_that_was_not_started_for_it(tmp_path):
    with pytest.raises(UserError, match="takes no weights by NCCL"):
        asked(tmp_path, configured=False)


def test_without_a_gpu():
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="Name a directory"):
            nccl.minted()
