"""Whole weights straight from this process's GPU to an engine's, by NCCL, in place of a disk that both see (`--publish nccl`).

vLLM takes part by itself (`--weight-transfer-config '{"backend": "nccl"}'`, from 0.32 on): it is sent an id by which a group of
processes finds together, this one as rank 0 and the engine's workers behind it. For each publish it is told the names, types
and shapes, and receives the tensors one by one. The directory is written all the same, where nobody else has to see it: what is
sent is what is named by its content.

A group is of one engine, so one that dies takes no other along. What NCCL waits for has a deadline: an engine that does not
come leaves the pool, and its group is made anew when it is back.
"""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

import torch
from safetensors.torch import load_file
from torch import Tensor

from sharpen.core import UserError
from sharpen.engines import wire
from sharpen.engines.pool import Replica
from sharpen.engines.publish import Published
from sharpen.engines.transport import Transport, keep, whole_running, whole_sums

NAME = "nccl"  # what `--publish` says in a directory's place
LOOK_S = 0.01


class Group(Protocol):
    """This process, rank 0, and an engine's workers."""

    def send(self, tensor: Tensor) -> None:
        """Begin to send it to all of them; it stays as it is until `sent`."""
        ...

    def sent(self) -> bool:
        """Whether all has gone."""
        ...


class Joined:
    """`Group` by NCCL, on this process's GPU. `uid`: 128 bytes that all ranks know; comes back once all have joined."""

    def __init__(self, uid: bytes, size: int) -> None:
        self.comm = torch.cuda.nccl.init_rank(size, uid, 0)
        self.kept: list[Tensor] = []
        one = torch.zeros(1, device="cuda")  # an engine's workers begin with this sum, and wait for ours
        torch.cuda.nccl.all_reduce([one], comms=[self.comm])
        torch.cuda.synchronize()

    def send(self, tensor: Tensor) -> None:
        self.kept.append(tensor.to("cuda").contiguous())
        torch.cuda.nccl.broadcast([self.kept[-1]], 0, comms=[self.comm])
        self.over = torch.cuda.Event()
        self.over.record()

    def sent(self) -> bool:
        over = not self.kept or self.over.query()
        if over:
            self.kept.clear()
        return over


def minted() -> bytes:
    """The id of a group to come. UserError where there is no NCCL."""
    if not torch.cuda.is_available():
        raise UserError("--publish nccl sends weights from this process's GPU, and there is none. Name a directory instead.")
    return torch.cuda.nccl.unique_id()


def transport(mint: Callable[[], bytes] = minted, join: Callable[[bytes, int], Group] = Joined) -> Transport:
    """The three functions, for one run: groups are kept from publish to publish."""
    groups: dict[str, Group] = {}

    def give(replica: Replica, published: Published, until: float) -> None:
        tensors: dict[str, Tensor] = {}
        for file in sorted(published.path.glob("*.safetensors")):
            tensors |= load_file(file)
        try:
            if replica.url not in groups:
                groups[replica.url] = met(replica, mint, join, until)
            wire.text(replica.url, "/pause?mode=wait", {}, until)
            try:
                sent(replica, groups[replica.url], tensors, until)
                wire.text(replica.url, "/finish_weight_update", {"weight_version": published.name}, until)
                wire.text(replica.url, "/reset_prefix_cache", {}, until)
            finally:
                wire.text(replica.url, "/resume", {}, until)
        except wire.NoReply as error:
            groups.pop(replica.url, None)  # who is at which tensor is not known any more
            if error.status in (404, 405):
                raise UserError(
                    f"{replica.url} takes no weights by NCCL. Start vLLM 0.32 or later with VLLM_SERVER_DEV_MODE=1 and "
                    """--weight-transfer-config '{"backend": "nccl"}' on a network that you trust, or publish to a directory."""
                ) from error
            raise

    return Transport(give, keep, whole_running, whole_sums)


def met(replica: Replica, mint: Callable[[], bytes], join: Callable[[bytes, int], Group], until: float) -> Group:
    """A new group with an engine's workers. NoReply where they do not come in time."""
    size = 1 + int(wire.call(replica.url, "/get_world_size", None, until).get("world_size") or 1)
    uid = mint()
    told = {"nccl_unique_id_b64": base64.b64encode(uid).decode(), "rank_offset": 1, "world_size": size, "packed": False}
    theirs = beside(lambda: wire.text(replica.url, "/init_weight_transfer_engine", {"init_info": told}, until))
    ours = beside(lambda: join(uid, size))
    both(replica, until, theirs, ours.done)
    return ours.result()


def sent(replica: Replica, group: Group, tensors: Mapping[str, Tensor], until: float) -> None:
    """Send tensors to an engine that is told of them. NoReply where it does not take them in time."""
    wire.text(replica.url, "/start_weight_update", {}, until)
    told = {
        "names": list(tensors),
        "dtype_names": [str(t.dtype).removeprefix("torch.") for t in tensors.values()],
        "shapes": [list(t.shape) for t in tensors.values()],
    }
    theirs = beside(lambda: wire.text(replica.url, "/update_weights", {"update_info": told}, until))
    for tensor in tensors.values():
        if theirs.done() and theirs.exception():
            break
        group.send(tensor)
    both(replica, until, theirs, group.sent)


def beside(work: Callable[[], Any]) -> Future[Any]:
    """What comes of work in a thread that nobody waits for at the end: NCCL may hang in it for good."""
    future: Future[Any] = Future()

    def thread() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # raised where it is waited for
            future.set_exception(error)

    threading.Thread(target=thread, name="sharpen-nccl", daemon=True).start()
    return future


def both(replica: Replica, until: float, theirs: Future[Any], ours: Callable[[], bool]) -> None:
    """Wait for the engine's reply and for our side. What the engine says is raised at once: our side would wait for ever."""
    while not (theirs.done() and (theirs.exception() or ours())):
        if time.monotonic() >= until:
            raise wire.NoReply(f"{replica.url}: NCCL did not come to its end in time", late=True)
        with contextlib.suppress(TimeoutError):
            theirs.exception(timeout=LOOK_S)
        if theirs.done() and not theirs.exception():
            time.sleep(LOOK_S)
    theirs.result()
