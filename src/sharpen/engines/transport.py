"""Functions between published weights and a server: give them, forget them, say which it runs, and sum up what it holds.

1. `ADAPTER`: vLLM loads a directory of an adapter by name; requests name the adapter, which pins their weights.
2. `WHOLE`: vLLM reads a whole model from a directory, between a pause that lets what is under way finish and a resume.
3. `SGLANG`: the same for SGLang, whose route does all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sharpen.core import UserError
from sharpen.engines import wire
from sharpen.engines.pool import Replica
from sharpen.engines.publish import Published


@dataclass(frozen=True)
class Transport:
    """give(replica, published, until) makes it run these weights, forget(…) drops what is out of use, running(replica, until)
    names the weights that it says it runs ("" where it does not say), sums(replica, until) has a checksum of each tensor that
    it holds ({} where it makes none). All raise NoReply."""

    give: Callable[[Replica, Published, float], None]
    forget: Callable[[Replica, Published, float], None]
    running: Callable[[Replica, float], str]
    sums: Callable[[Replica, float], Mapping[str, str]]


def load_adapter(replica: Replica, published: Published, until: float) -> None:
    if published.name in adapters_of(replica, until):
        return
    body = {"lora_name": published.name, "lora_path": str(published.path)}
    try:
        wire.text(replica.url, "/v1/load_lora_adapter", body, until)
    except wire.NoReply as error:
        if error.status == 404 and "lora" in str(error) and str(published.path) not in str(error):
            raise UserError(
                f"{replica.url} takes no adapters while it runs. Start it with --enable-lora --max-lora-rank {128} and "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, or train whole weights (--set lora=0)."
            ) from error
        raise


def unload_adapter(replica: Replica, published: Published, until: float) -> None:
    wire.text(replica.url, "/v1/unload_lora_adapter", {"lora_name": published.name}, until)


def adapters_of(replica: Replica, until: float) -> list[str]:
    return [str(model.get("id")) for model in wire.listed(replica.url, "/v1/models", "data", until)]


def adapter_running(replica: Replica, until: float) -> str:
    """The adapter that requests name, if the server still has it."""
    return replica.model if replica.model in adapters_of(replica, until) else ""


def reload_whole(replica: Replica, published: Published, until: float) -> None:
    try:
        wire.text(replica.url, "/pause?mode=wait", {}, until)
    except wire.NoReply as error:
        if error.status == 404:
            raise UserError(
                f"{replica.url} takes no whole weights as it runs. Start vLLM (0.30 or later) with VLLM_SERVER_DEV_MODE=1 on "
                "a network that you trust, or train an adapter (--set lora=16)."
            ) from error
        raise
    try:
        call = {"method": "reload_weights", "kwargs": {"weights_path": str(published.path)}}
        wire.text(replica.url, "/collective_rpc", call, until)
        wire.text(replica.url, "/reset_prefix_cache", {}, until)
        wire.text(replica.url, "/update_weight_version", {"new_version": published.name}, until)
    finally:
        wire.text(replica.url, "/resume", {}, until)


def whole_running(replica: Replica, until: float) -> str:
    try:
        told: Any = wire.call(replica.url, "/weight_info", None, until)
    except wire.NoReply as error:
        if error.status == 404:
            return ""
        raise
    return str(told.get("weight_version") or told.get("version") or "")


def no_sums(replica: Replica, until: float) -> Mapping[str, str]:
    """Engines sum up the model, and no adapters."""
    return {}


def whole_sums(replica: Replica, until: float) -> Mapping[str, str]:
    """vLLM's, of a development server from the release on that has vllm-project/vllm #51350."""
    found = summed(replica, "/weight_checker", until).get("checksums")
    return found if isinstance(found, dict) else {}


def sglang_sums(replica: Replica, until: float) -> Mapping[str, str]:
    """SGLang's, of each rank's tensors (sgl-project/sglang #17009)."""
    ranks = summed(replica, "/weights_checker", until).get("ranks")
    each = [r.get("checksums") for r in ranks if isinstance(r, dict)] if isinstance(ranks, list) else []
    return {f"{i}:{name}": total for i, sums in enumerate(each) if isinstance(sums, dict) for name, total in sums.items()}


def summed(replica: Replica, path: str, until: float) -> dict[str, Any]:
    try:
        return wire.call(replica.url, path, {"action": "checksum"}, until)
    except wire.NoReply as error:
        if error.refused or error.status == 501:  # it has no such route
            return {}
        raise


def keep(replica: Replica, published: Published, until: float) -> None:
    """Whole weights are overwritten by the next ones."""


def sglang_reload(replica: Replica, published: Published, until: float) -> None:
    body = {"model_path": str(published.path), "weight_version": published.name}
    told = wire.call(replica.url, "/update_weights_from_disk", body, until)
    if not told.get("success", True):
        raise wire.NoReply(f"{replica.url}: {told.get('message', 'the weights were not loaded')}", 400)


def sglang_running(replica: Replica, until: float) -> str:
    return str(wire.call(replica.url, "/get_model_info", None, until).get("weight_version") or "")


ADAPTER = Transport(load_adapter, unload_adapter, adapter_running, no_sums)
WHOLE = Transport(reload_whole, keep, whole_running, whole_sums)
SGLANG = Transport(sglang_reload, keep, sglang_running, sglang_sums)
