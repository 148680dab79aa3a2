"""A model from a directory, and what is to be known of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from sharpen.core import UserError


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


def end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Ids that end a turn. Raises UserError where neither the tokenizer nor the generation settings name one."""
    settings = getattr(model.generation_config, "eos_token_id", None)
    listed = [settings] if isinstance(settings, int) else list(settings or [])
    found = dict.fromkeys(i for i in [tokenizer.eos_token_id, *listed] if i is not None)
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
