"""Weights that come to the contract server by a group of processes (vLLM's weight transfer), as engines/nccl.py sends them.

NCCL needs a GPU on each side, so what carries the tensors is given: `Engine.channel` joins a group by its id, and receives.
"""

from __future__ import annotations

import base64
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


GIVING: Mapping[str, Callable[[Any, Mapping[str, Any]], dict[str, Any]]] = {
    "/init_weight_transfer_engine": begin,
    "/start_weight_update": lambda engine, body: {"message": "ok"},
    "/update_weights": receive,
    "/finish_weight_update": finish,
}
