"""A model from a directory, and what is to be known of it.

A directory is data of somebody else's: none of its code is run, none of its pickles is opened, nobody is asked anything on the
terminal, and whatever a library makes of a broken file becomes one sentence with the file and the cure.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from sharpen.core import UserError
from sharpen.models import embedded, rendering
from sharpen.models.gguf import located
from sharpen.models.templates import turn_end

BASE = "base.json"  # beside an adapter: what it lies on (base.py)
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.msgpack", "*.h5")
TEMPLATES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")  # where one may stand
BESIDE = ("optimizer.safetensors", "critic.safetensors", "head.safetensors")  # of a checkpoint, what is not the model
LONGEST = 300  # characters of a library's message that are worth reading


def load_model(path: Path) -> tuple[Any, Any]:
    """(model, tokenizer) of a local Hugging Face directory, a .gguf file or a name of `gguf.PACKAGES`, float32.

    Raises UserError where it is not one that loads.

    Nothing is downloaded, and no code of the directory is run.
    """
    path = Path(located(str(path)))
    model = load_weights(path)
    if (path / BASE).is_file():
        path = Path(model.config._name_or_path)  # the tokenizer is its base's, which is found whole by now
    return model, load_tokenizer(path)


def load_tokenizer(path: Path) -> Any:
    """That of a directory. UserError where it has none that loads, or a chat template that never ends."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # what a library makes of a broken file can be anything
        raise UserError(f"{path} has no tokenizer that loads: {in_short(error)}. {COPY_TOKENIZER}") from error
    if not embedded.is_own(tokenizer) and (fault := rendering.fault(*rendering.of(tokenizer))):
        file = next((f for f in TEMPLATES if (path / f).is_file()), TEMPLATES[-1])
        raise UserError(
            f"{path / file}: the chat template {fault}. Put the chat_template.jinja of the model that it was made from there."
        )
    return tokenizer


def refuse_stranger(tokenizer: Any, students: Any, directory: str, role: str) -> None:
    """UserError where a model that is to say how likely tokens are has other tokens than the student."""
    if tokenizer.get_vocab() != students.get_vocab():
        raise UserError(
            f"{directory} cannot be the {role}: its tokenizer is not the student's, so their probabilities are of "
            "different things. Take a model of the same family."
        )


COPY = "Copy the directory again from where the model came from."
COPY_TOKENIZER = "Copy tokenizer.json and tokenizer_config.json from the model that it was made from."


def load_weights(path: Path, kind: Any = None) -> Any:
    """The causal LM of a directory, float32. Raises UserError, which names what is wrong, where a tensor is missing or has
    another shape than the configuration says, too.

    kind  its class, where that is known; else as its config.json says

    Of an adapter that says what it lies on, the model with the adapter folded in.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    if (path / BASE).is_file():
        from sharpen.models import base

        return base.folded(path, kind)
    check_files(path)
    try:
        with torch.device("meta"):
            outline = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path), trust_remote_code=False)
        wanted = sum(p.numel() for p in outline.parameters())
        held = sum(file.stat().st_size for file in path.glob("*.safetensors"))
        if wanted > held:  # before memory is taken for them: a number takes two bytes or more
            raise UserError(
                f"{path}: config.json describes {wanted:,} numbers, and its files hold {held:,} bytes: the two are not of "
                "one model, or the files are not whole. Copy the directory again."
            )
        model, told = (kind or AutoModelForCausalLM).from_pretrained(
            path,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are told, below
            **({} if kind else dict(trust_remote_code=False)),
        )
    except UserError:
        raise
    except Exception as error:  # as above
        raise UserError(f"{path} does not load as a causal language model: {in_short(error)}. {COPY}") from error
    if told["mismatched_keys"]:
        name, found, wanted = sorted(told["mismatched_keys"])[0]
        raise UserError(
            f"{path}: the tensor {name} has the shape {tuple(found)}, and config.json makes it {tuple(wanted)}: the two are "
            "not of one model. Copy both from where it was saved."
        )
    if told["missing_keys"]:
        missing = sorted(told["missing_keys"])
        raise UserError(
            f"{path}: its files lack {len(missing)} of the model's tensors, such as {missing[0]}, which would be random "
            "numbers. Copy the directory again; where it is one part of a model, save the whole with save_pretrained."
        )
    if told.get("conversion_errors") or told.get("error_msgs"):
        raise UserError(f"{path} does not load: {in_short([*told['conversion_errors'].values(), *told['error_msgs']][0])}")
    other = [name for name in told["unexpected_keys"] if "vision" in name or "visual" in name or "audio" in name]
    if other:
        raise UserError(
            f"{path}: its files hold more than text, such as {sorted(other)[0]}, which the language model alone would lose. "
            "Save the language model by itself, and name that directory."
        )
    return model.eval()


def holds_model(path: Path) -> bool:
    """Whether a directory looks like one that `load_model` takes."""
    return any((path / name).is_file() for name in ("config.json", BASE))


def check_files(path: Path) -> dict[str, Any]:
    """The configuration of a directory that may be loaded. Raises UserError: it is none, or needs code, pickles or a library
    for quantised weights."""
    if not (path / "config.json").is_file():
        if (path / "adapter_config.json").is_file():
            raise UserError(
                f"{path} holds an adapter, and no {BASE} that says what it lies on: merge it first (peft's merge_and_unload, "
                "then save_pretrained)."
            )
        if (path / "run.db").is_file():
            raise UserError(f"{path} is a run, not a model. Take its model out first: sharpen export {path} MODEL_DIR")
        why = "it holds no config.json" if path.is_dir() else "there is no such directory"
        raise UserError(f"{path} is not a model: {why}. Name a directory written by save_pretrained.")
    config = read_json(path / "config.json")
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):  # the last may say what ends an answer
        if (path / name).is_file() and read_json(path / name).get("auto_map"):
            raise UserError(
                f"{path / name} asks for the directory's own code (auto_map), and no code of a model's directory is ever run. "
                "Where transformers has this architecture itself, remove that entry."
            )
    check_architecture(path, config)
    quantised = config.get("quantization_config")
    if quantised:
        method = quantised.get("quant_method", "unknown") if isinstance(quantised, dict) else quantised
        raise UserError(
            f"{path} holds quantised weights ({method}), and what is trained are plain ones. Take the model that it was "
            "made from, or dequantise it and save it with save_pretrained, without quantization_config."
        )
    if "/" in str(config.get("_attn_implementation", "")) + str(config.get("attn_implementation", "")):
        raise UserError(f"{path / 'config.json'} names attention code to be downloaded, which is never run: remove that entry.")
    if not any(path.glob("*.safetensors")):
        pickles = sorted(file.name for kind in PICKLES for file in path.glob(kind))
        if pickles:
            raise UserError(
                f"{path} holds its weights as {pickles[0]}, which is code as much as data, and is never opened. Save the model "
                "with safetensors (save_pretrained does), and name that directory."
            )
        raise UserError(f"{path} holds no weights: there is no .safetensors file beside its config.json.")
    return config


def check_architecture(path: Path, config: dict[str, Any]) -> None:
    """Raise UserError where transformers has no causal language model of this kind."""
    from transformers import CONFIG_MAPPING, __version__
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as WRITERS

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise UserError(
            f"{path / 'config.json'} names the architecture {kind!r}, which transformers {__version__} does not have. Where "
            "a later version has it: pip install --upgrade transformers"
        )
    if config.get("is_encoder_decoder"):
        raise UserError(
            f"{path} is an encoder with a decoder ({kind}); what is trained here reads and writes one text. Take a GPT."
        )
    if kind not in WRITERS:
        rest = ", and its language model was not saved by itself" if {"vision_config", "audio_config"} & config.keys() else ""
        raise UserError(
            f"{path} is no causal language model: transformers has {kind} for other uses{rest}. Name a text model's directory."
        )


def read_json(file: Path) -> dict[str, Any]:
    """The object in a file. Raises UserError where it holds none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read: {in_short(error)}. Copy it again from where the model came from.") from error
    if not isinstance(found, dict):
        raise UserError(
            f"{file} holds a {type(found).__name__}, no object of settings. Copy it again from where the model came from."
        )
    return found


def where(device: str) -> str:
    """The device that is meant: with "auto" a GPU where there is one. UserError for one that is not there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device).cpu()  # `meta` holds no numbers
    except (RuntimeError, AssertionError, ImportError, NotImplementedError) as error:
        raise UserError(f"device={device} cannot be used here: {in_short(error)}. Take auto or cpu.") from error
    return device


def in_short(error: object) -> str:
    """The beginning of a library's message, on one line."""
    text = " ".join(str(error).split())
    return (f"{text} is not known" if isinstance(error, KeyError) else text or type(error).__name__)[:LONGEST].rstrip(". ")


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


def fast_bf16(device: str = "cpu") -> bool:
    """True where the processor (AMX, AVX512-BF16) or the GPU multiplies bfloat16 matrices in hardware."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
