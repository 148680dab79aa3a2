"""A model as one .gguf file, as llama.cpp, Ollama and LM Studio run it: weights, tokenizer and chat template.

1. Llama's layout (Mistral is written in it too), Qwen2 and Qwen3. Any other architecture is refused, as is whatever of these
   the file could not say: so no file is written that would answer differently.
2. llama.cpp turns the halves of Llama's queries and keys differently than transformers, so their rows are put in its order.
3. Vectors stay float32; it is matrices that get the type asked for.
Names and keys are those of llama.cpp's convert_hf_to_gguf.py, by way of the library gguf.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from sharpen.core import UserError
from sharpen.models.loading import end_ids, load_model

WRITTEN = {"llama": "LLAMA", "mistral": "LLAMA", "qwen2": "QWEN2", "qwen3": "QWEN3"}
TYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16"}
PROJECTIONS = ("q_proj", "k_proj")
# How text is cut before it is merged into tokens: the regular expressions of tokenizer.json, and llama.cpp's name for them.
LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CUTS = {f"{LETTERS}\\p{{N}}{{1,3}}{REST}": "llama-bpe", f"{LETTERS}\\p{{N}}{REST}": "qwen2"}


def write_gguf(directory: Path, out: Path, dtype: str = "f16") -> None:
    """Write the model of a directory as `out`, whole or not at all.

    dtype  of its matrices: one of TYPES
    Raises UserError where the library gguf is missing, for what a file cannot say, and where `out` cannot be written.
    """
    require()
    if dtype not in TYPES:
        raise UserError(f"--dtype {dtype}: there are {', '.join(TYPES)}.")
    model, tokenizer = load_model(directory)
    kind = check(model, directory)
    part = out.with_name(f"{out.name}.part")
    try:
        write(model, tokenizer, kind, part, dtype)
        part.rename(out)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or error}. Free space, or choose another place.") from error
    finally:
        part.unlink(missing_ok=True)


def require() -> None:
    """UserError with the command that installs the library."""
    if importlib.util.find_spec("gguf") is None:
        raise UserError("a .gguf file is written with the library gguf, which is not installed: pip install 'sharpen[gguf]'")


def check(model: Any, directory: Path) -> str:
    """The name of the architecture in WRITTEN. UserError where this model is none of them, or more than them."""
    config = model.config
    kind = config.model_type
    if kind not in WRITTEN:
        raise UserError(f"{directory} is a model of type {kind!r}, and as .gguf are written: {', '.join(WRITTEN)}.")
    rope = getattr(config, "rope_parameters", None) or {}
    odd = [f"rope of type {rope['rope_type']!r}"] if rope.get("rope_type", "default") != "default" else []
    odd += ["a sliding window"] if getattr(config, "sliding_window", None) and kind in ("mistral", "llama") else []
    odd += [f"activation {config.hidden_act!r}"] if config.hidden_act not in ("silu", "swish") else []
    odd += ["a bias in its MLP"] if getattr(config, "mlp_bias", False) else []
    if odd:
        raise UserError(f"{directory} has {' and '.join(odd)}, which is not written as .gguf here: take llama.cpp's converter.")
    return kind


def write(model: Any, tokenizer: Any, kind: str, path: Path, dtype: str) -> None:
    import gguf

    architecture = getattr(gguf.MODEL_ARCH, WRITTEN[kind])
    words = vocabulary(tokenizer, model.config.vocab_size)
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    try:
        describe(writer, model.config, dtype)
        for key, value in words.items():
            getattr(writer, key)(value)
        marks(writer, model, tokenizer)
        names = gguf.get_tensor_name_map(architecture, model.config.num_hidden_layers)
        for name, tensor in tensors(model):
            known = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if known is None:
                raise UserError(f"the tensor {name} has no name in a .gguf file, so this model is not written as one.")
            add(writer, known, tensor, dtype)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def tensors(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor, queries' and keys' rows in llama.cpp's order."""
    config = model.config
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    tied = bool(getattr(config, "tie_word_embeddings", False))
    for name, tensor in model.state_dict().items():
        projection = next((p for p in PROJECTIONS if f".{p}." in name), None)
        if projection and WRITTEN[config.model_type] == "LLAMA":
            tensor = turned(tensor, heads[projection])
        if not (tied and name == "lm_head.weight"):
            yield name, tensor


def turned(rows: Tensor, heads: int) -> Tensor:
    """Rows (heads * E, …) of which transformers rotates i with i + E/2, so that neighbours are rotated with each other."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def add(writer: Any, name: str, tensor: Tensor, dtype: str) -> None:
    import gguf

    array = np.ascontiguousarray(tensor.detach().float().cpu().numpy())
    if array.ndim < 2 or dtype == "f32":
        writer.add_tensor(name, array)
    elif dtype == "f16":
        if np.abs(array).max() > np.finfo(np.float16).max:
            raise UserError(f"the tensor {name} has numbers that float16 cannot hold: take --dtype bf16.")
        writer.add_tensor(name, array.astype(np.float16))
    else:
        kind = gguf.GGMLQuantizationType.BF16
        writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)


def describe(writer: Any, config: Any, dtype: str) -> None:
    import gguf

    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    rope = getattr(config, "rope_parameters", None) or {}
    writer.add_name(str(getattr(config, "_name_or_path", "") or "model").rstrip("/").rpartition("/")[2])
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(float(rope.get("rope_theta", getattr(config, "rope_theta", 10000.0))))
    writer.add_rope_dimension_count(width)
    writer.add_vocab_size(config.vocab_size)
    file_type = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16"}[dtype]
    writer.add_file_type(getattr(gguf.LlamaFileType, file_type))


def vocabulary(tokenizer: Any, size: int) -> dict[str, Any]:
    """Tokens, their types, and how text becomes tokens, by the writer's method that takes it. UserError where it is no BPE."""
    import gguf

    made = json.loads(tokenizer.backend_tokenizer.to_str()) if getattr(tokenizer, "backend_tokenizer", None) else {}
    model = made.get("model", {})
    if model.get("type") != "BPE":
        raise UserError(f"its tokenizer is {model.get('type') or type(tokenizer).__name__}, and as .gguf are written: BPE.")
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    if not merges:  # a file without any is not read at all, and one with an empty list cuts whole words into characters
        raise UserError(
            "its tokenizer has whole words and merges nothing, as those of the embedded students: such a vocabulary cannot be "
            "said in a .gguf file. Export a directory, or take a model of your own."
        )
    added = {token["id"]: token for token in made.get("added_tokens", ())}
    tokens, types = [f"[PAD{i}]" for i in range(size)], [gguf.TokenType.UNUSED] * size
    spelt = bool(model.get("byte_fallback"))
    for token, i in {**model["vocab"], **{t["content"]: i for i, t in added.items()}}.items():
        if i >= size:
            raise UserError(f"token {token!r} has the id {i}, and the model has {size} of them.")
        byte = spelt and len(token) == 6 and token.startswith("<0x")
        tokens[i], types[i] = token, gguf.TokenType.BYTE if byte else gguf.TokenType.NORMAL
        if i in added:
            types[i] = gguf.TokenType.CONTROL if added[i]["special"] else gguf.TokenType.USER_DEFINED
    found: dict[str, Any] = {"add_token_list": tokens, "add_token_types": types}
    if spelt:  # SentencePiece's: what is merged first has the highest score
        rank = {left + right: float(-i) for i, (left, right) in reversed([*enumerate(merges)])}
        scores = [rank.get(token, -1e6 if t == gguf.TokenType.NORMAL else 0.0) for token, t in zip(tokens, types)]
        return found | {"add_tokenizer_model": "llama", "add_tokenizer_pre": "default", "add_token_scores": scores}
    found |= {"add_tokenizer_model": "gpt2", "add_tokenizer_pre": cut(made)}
    return found | {"add_token_merges": [" ".join(pair) for pair in merges]}


def cut(made: Mapping[str, Any]) -> str:
    """llama.cpp's name for the way in which a tokenizer cuts text. UserError where it has none."""
    how = made.get("pre_tokenizer") or {}
    parts = how.get("pretokenizers", [how])
    kinds = [part.get("type") for part in parts]
    if kinds == ["ByteLevel"] and parts[0].get("use_regex"):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and parts[0].get("individual_digits") and parts[1].get("use_regex"):
        return "smollm"
    pattern = parts[0].get("pattern", {}).get("Regex", "") if kinds == ["Split", "ByteLevel"] else ""
    if pattern not in CUTS:
        raise UserError(
            "its tokenizer cuts text in a way that has no name in llama.cpp that is known here: take its converter."
        )
    return CUTS[pattern]


def marks(writer: Any, model: Any, tokenizer: Any) -> None:
    """Special tokens, and the chat template."""
    ends = end_ids(model, tokenizer)
    writer.add_eos_token_id(tokenizer.eos_token_id if tokenizer.eos_token_id is not None else ends[0])
    writer.add_eot_token_id(ends[0])
    for name in ("bos", "unk", "pad"):
        if (i := getattr(tokenizer, f"{name}_token_id", None)) is not None:
            getattr(writer, f"add_{name}_token_id")(i)
    begun = tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
    writer.add_add_bos_token(tokenizer.bos_token_id is not None and begun)
    if isinstance(template := getattr(tokenizer, "chat_template", None), str):
        writer.add_chat_template(template)
