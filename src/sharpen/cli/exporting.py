"""`sharpen export`: the model out of a run, as others load it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sharpen.cli import listing
from sharpen.cli.commands import RunDir

MODEL_FILES = (  # of a checkpoint, what transformers loads; the optimizer stays behind
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.index.json",
    "tokenizer*",
    "special_tokens*",
    "chat_template*",
    "asking.json",
)
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "asking.json")


def export(
    directory: RunDir,
    model_dir: Annotated[Path, typer.Argument(metavar="MODEL_DIR", help="New directory for the model, or a new .gguf file.")],
    dtype: Annotated[str | None, typer.Option(help="Of a .gguf file's matrices: f32, f16 or bf16. [default: f16]")] = None,
    adapter: Annotated[bool, typer.Option("--adapter", help="Of a run with lora: the adapter alone, as peft has it.")] = False,
) -> None:
    """Copy the last accepted model out of a run, or out of a directory into a .gguf file.

    Weights, configuration and tokenizer, as transformers and vLLM load them; or one file, as llama.cpp does. Adapters are
    merged into the model that they lie on.
    """
    from sharpen.core import UserError
    from sharpen.models import adapters, base, holds_model
    from sharpen.store import Store

    packed = model_dir.suffix == ".gguf"
    if model_dir.exists() and (packed or not model_dir.is_dir() or any(model_dir.iterdir())):
        raise UserError(
            f"{model_dir} is not empty, and nothing there is overwritten. Name a new {'file' * packed or 'directory'}."
        )
    if dtype and not packed:
        raise UserError(f"--dtype {dtype} is for a .gguf file: name one, such as {model_dir}.gguf.")
    if adapter and packed:
        raise UserError(
            f"--adapter is a directory, and {model_dir.name} is a file with the whole model. Leave one of them out."
        )
    if packed and holds_model(directory):
        return listing.export_gguf(directory, model_dir, dtype)
    with Store.open(directory, write=False) as store:
        commit = store.last_commit()
        if commit is None or commit.accepted is None:
            raise UserError(f"{directory} has no accepted model yet. Go on with it: sharpen resume {directory}")
        source = store.verified(commit.accepted)
        if packed:
            return listing.export_gguf(source, model_dir, dtype)
        adapted = (source / base.FILE).is_file()
        if adapter and not adapted:
            raise UserError(f"{directory} has no adapter: it trains whole weights. Leave --adapter out.")
        with whole(model_dir) as part:
            if adapter:
                beneath = replace(base.found(source), own=False)
                copy(source, part, ADAPTER_FILES)
                base.write(beneath, part)
                adapters.rename_base(part, str(beneath.path))
            elif adapted:
                merge(source, part)
            else:
                copy(source, part, MODEL_FILES)
    print(
        f"The {'adapter' if adapter else 'model'} is in {model_dir}: {', '.join(sorted(f.name for f in model_dir.iterdir()))}"
    )
    if adapter:
        print(f"It lies on {beneath.path}, which has to stay as it is.")


@contextmanager
def whole(place: Path) -> Iterator[Path]:
    """A directory that has its name once it is whole. UserError where it cannot be written."""
    from sharpen.core import UserError

    part = place.with_name(f"{place.name}.part")
    try:
        part.mkdir(parents=True)
        yield part
        part.rename(place)
    except OSError as error:
        raise UserError(
            f"{place} cannot be written: {error.strerror or error}. Free space, or choose another place."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def copy(source: Path, out: Path, patterns: tuple[str, ...]) -> None:
    for file in (file for pattern in patterns for file in sorted(source.glob(pattern)) if file.name != "optimizer.safetensors"):
        shutil.copyfile(file, out / file.name)


def merge(source: Path, out: Path) -> None:
    """The plain model that an adapter and its base are, in float32 as a run's checkpoints of whole weights."""
    from sharpen.models import end_ids, load_model, saving

    model, tokenizer = load_model(source)
    saving.write_model(model, saving.weights(model, {}), out, end_ids(model, tokenizer))
    tokenizer.save_pretrained(out)
    copy(source, out, ("asking.json",))
