"""Weights that come to the contract server by a group of processes (vLLM's weight transfer), as engines/nccl.py sends them; and
sums of those that it holds.

NCCL needs a GPU on each side, so what carries the tensors is given: `Engine.channel` joins a group by its id, and receives.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import torch

from sharpen.serve.asked import Refused


def begin(engine: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """Join a group. Refused where this engine was not started for it."""
    told = body.get("init_info") or {}
    if engine.channel is None:
        raise Refused("weight transfer is not configured", status=404)
    engine.channel.join(base64.b64decode(told["nccl_unique_id_b64"]), int(told["rank_offset"]), int(told["world_size"]))
    return {"message": "ok"}


def receive(engine: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """Take tensors, one by one, into the weights of their names."""
    told = body.get("update_info") or {}
    kinds = [getattr(torch, str(name)) for name in told["dtype_names"]]
    found = {
        name: engine.channel.receive(tuple(shape), kind)
        for name, kind, shape in zip(told["names"], kinds, told["shapes"], strict=True)
    }
    with engine.at_work:
        engine.given += 1
        if not (engine.errs("stale_weights") or engine.errs("replica_behind")):
            scale = 1.05 if engine.errs("wrong_weights") else 1.0
            engine.policy.put([found[name] * scale for name in engine.policy.trained])
    return {"message": "ok"}


def finish(engine: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    engine.version = str(body.get("weight_version"))
    return {"message": "ok"}


def flipped(tensor: torch.Tensor) -> torch.Tensor:
    """A float32 tensor with another last bit in its first number: a fault that nothing but a sum shows."""
    other = tensor.detach().clone()
    other.view(-1).view(torch.int32)[0] ^= 1
    return other


def sums(engine: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """A checksum of each tensor, as vLLM and SGLang have them."""
    if body.get("action") != "checksum":
        raise Refused(f"there is no action {body.get('action')!r} here", status=400)
    with engine.at_work:
        held = engine.policy.model.state_dict()
        found = {n: hashlib.sha256(t.contiguous().numpy().tobytes()).hexdigest() for n, t in held.items()}
    return {"checksums": found, "ranks": [{"checksums": found}]}


GIVING: Mapping[str, Callable[[Any, Mapping[str, Any]], dict[str, Any]]] = {
    "/init_weight_transfer_engine": begin,
    "/start_weight_update": lambda engine, body: {"message": "ok"},
    "/update_weights": receive,
    "/finish_weight_update": finish,
    **dict.fromkeys(("/weight_checker", "/weights_checker"), sums),
}
