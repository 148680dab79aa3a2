"""Low-rank adapters (LoRA, arXiv 2106.09685): train two thin matrices beside each weight matrix, by the library peft."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sharpen.core import UserError
from sharpen.hashing import derive
from sharpen.models.loading import in_short, read_json

NAME = "default"  # peft's name for the only adapter of a model
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"  # as peft and vLLM load them
PREFIX = "base_model.model."  # of every name in such a file


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
    for place, change in changes(model, weights):
        out[place] = out[place] + change
    return out


def changes(model: Any, weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """(name in the plain model, what an adapter with these weights adds there), one after the other."""
    for name, module in model.named_modules():
        if getattr(module, "lora_A", None):
            own = {n.removeprefix(f"{name}."): w for n, w in weights.items() if n.startswith(f"{name}.lora_")}
            with _holding(module, own):
                yield plain(f"{name}.{getattr(module, 'parameter_name', 'weight')}"), module.get_delta_weight(NAME).detach()


def in_files(names: Iterable[str]) -> dict[str, str]:
    """{an adapter's tensor in the model: its name in peft's files}."""
    return {name: f"{PREFIX}{name.replace(f'.{NAME}', '')}" for name in names}


def write(trained: Mapping[str, Tensor], rank: int, base: str, path: Path) -> None:
    """What is trained, as peft has it in files. `base` is the name that they say for what it lies on."""
    weights = {file: trained[name].detach().cpu().contiguous() for name, file in in_files(trained).items()}
    save_file(weights, path / WEIGHTS, {"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted({name.split(".lora_")[0].rpartition(".")[2] for name in trained}),
        "base_model_name_or_path": base,
        "inference_mode": True,
    }
    _write(config, path)


def rename_base(path: Path, base: str) -> None:
    """Have the configuration in a directory say another name for what the adapter lies on."""
    _write({**read_json(path / CONFIG), "base_model_name_or_path": base}, path)


def _write(config: Mapping[str, Any], path: Path) -> None:
    (path / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read(path: Path, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `write` wrote of tensors such as these. UserError where the file is missing or damaged, or holds others."""
    file, wanted = path / WEIGHTS, in_files(like)
    try:
        there = load_file(file)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} is missing or damaged ({in_short(error)}). Restore it from a copy.") from error
    found = {name: there[key] for name, key in wanted.items() if key in there}
    other = there.keys() ^ set(wanted.values()) | {wanted[n] for n, t in found.items() if t.shape != like[n].shape}
    if other:
        raise UserError(f"{file} is no adapter of this model: {min(other)} does not fit it. Take the two of one run.")
    return found


def fold(model: Any, path: Path) -> Any:
    """The plain model that computes what this float32 one does with the adapter in a directory. It takes the place of both.

    Raises UserError where the adapter is not of this model.
    """
    rank, size = read_json(path / CONFIG).get("r"), (path / WEIGHTS).stat().st_size if (path / WEIGHTS).is_file() else 0
    if not isinstance(rank, int) or rank < 1 or size and rank > size // 4:  # before memory is taken for it
        raise UserError(f"{path / CONFIG} does not say the adapter's rank. Copy it again from where it was saved.")
    model = inject(model, rank)
    owned = {plain(n): p for n, p in model.named_parameters()}
    for place, change in changes(model, read(path, {n: p for n, p in model.named_parameters() if p.requires_grad})):
        owned[place].data.add_(change)
    for name, module in list(model.named_modules()):
        if getattr(module, "lora_A", None) and ".base_layer" not in name:
            owner, _, own = name.rpartition(".")
            setattr(model.get_submodule(owner), own, module.get_base_layer())
    del model.peft_config
    return model


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
