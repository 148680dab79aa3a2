"""A model from a directory, and what is to be known of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from sharpen.core import UserError
from sharpen.models.templates import turn_end


def load_model(path: Path) -> tuple[Any, Any]:
    """(model, tokenizer) of a local Hugging Face directory, float32. Raises UserError where it is not one that loads.

    Nothing is downloaded, and no code of the directory is run.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not (path / "config.json").is_file():
        raise UserError(f"{path} is not a model: it holds no config.json. Name a directory written by save_pretrained.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"{path} does not load as a causal language model: {error}") from error
    return model.eval(), tokenizer


def broken(model: Any) -> str:
    """Which tensors of a model hold a number that is not finite, and the cure, in words."""
    bad = [name for name, tensor in model.state_dict().items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if not bad:
        return "Its weights are finite, and what it computes is not: try precision fp32, or check its config.json."
    more = f" and {len(bad) - 1} more tensors" if len(bad) > 1 else ""
    return f"NaN or infinity is in {bad[0]}{more}: the weights are damaged, or training diverged. Take an earlier checkpoint."


def end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Ids that end a turn, first the one with which the chat template ends it: a forced answer ends with that.

    Raises UserError where neither template nor tokenizer nor the generation settings name one.
    """
    settings = getattr(model.generation_config, "eos_token_id", None)
    listed = [settings] if isinstance(settings, int) else list(settings or [])
    found = dict.fromkeys(i for i in [turn_end(tokenizer), tokenizer.eos_token_id, *listed] if i is not None)
    if not found:
        raise UserError("the tokenizer names no end-of-turn token: set eos_token in its tokenizer_config.json")
    return list(found)


def where(device: str) -> str:
    """The device that is meant: with "auto" a GPU where there is one."""
    return device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def fast_bf16(device: str = "cpu") -> bool:
    """True where the processor (AMX, AVX512-BF16) or the GPU multiplies bfloat16 matrices in hardware."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
