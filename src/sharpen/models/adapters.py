"""Low-rank adapters (LoRA, arXiv 2106.09685): train two thin matrices beside each weight matrix, by the library peft."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sharpen.core import UserError
from sharpen.hashing import derive

NAME = "default"  # peft's name for the only adapter of a model


def inject(model: Any, rank: int) -> Any:
    """The model with adapters of this rank on every weight matrix but the embedding and the head; only they are trained.

    The scale alpha is twice the rank and the second matrix starts at zero, so the model starts as it was.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise UserError(f"lora={rank} needs the library peft, which is not installed: pip install 'sharpen[lora]'") from error
    # Mamba's fused kernels read this weight themselves, past any adapter.
    read_past = [f"{n}.out_proj" for n, m in model.named_modules() if hasattr(m, "conv1d") and hasattr(m, "out_proj")]
    settings = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        exclude_modules=read_past or None,
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(0, "adapters", rank))  # else they would be what this process happened to draw before
        warnings.simplefilter("ignore")  # it says how it treats Conv1D and experts: rightly, which the probe tries
        return inject_adapter_in_model(settings, model, adapter_name=NAME)


def merged(model: Any, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the plain model that computes the same, under its own names: what peft says that each adapter adds."""
    out = {plain(n): w for n, w in weights.items() if ".lora_" not in n}
    for name, module in model.named_modules():
        if getattr(module, "lora_A", None):
            place = plain(f"{name}.{getattr(module, 'parameter_name', 'weight')}")
            with _holding(module, {n.removeprefix(f"{name}."): w for n, w in weights.items() if n.startswith(f"{name}.lora_")}):
                out[place] = out[place] + module.get_delta_weight(NAME).detach()
    return out


def plain(name: str) -> str:
    """A tensor's name in the model without adapters. A module with several adapted tensors is wrapped several times."""
    return re.sub(r"(\.base_layer)+\.", ".", name)


@contextmanager
def _holding(module: Any, values: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, parameters of the module have these values: a bfloat16 adapter those that it is an image of."""
    held = {n: p for n, p in module.named_parameters() if n in values}
    before = {n: p.data for n, p in held.items()}
    try:
        for name, parameter in held.items():
            parameter.data = values[name]
        yield
    finally:
        for name, parameter in held.items():
            parameter.data = before[name]
