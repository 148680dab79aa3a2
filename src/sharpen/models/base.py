"""What an adapter lies on: a reference to the base, written beside the adapter in place of the base itself.

    base.json    {"path": where the base was, "sums": {file: SHA-256}, "precision": as what it lay under the adapter}

1. A base of the run's own is RUN/base, and its path is "": it moves with the run. Any other one is where its user has it, or
   where he puts a copy of it, RUN/base: the hashes decide, not the place. No checkpoint needs its base to be verified.
2. Whoever loads the directory gets the plain model, the adapter folded in, bit for bit what was trained on a processor.
   Nothing is loaded on a base of which a byte is another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sharpen.core import UserError
from sharpen.models import adapters
from sharpen.models.loading import BASE as FILE
from sharpen.models.loading import BESIDE, load_weights, read_json

OWN = "base"
DEPTH = 3  # how far a checkpoint may lie below its run
READ = (  # of a model's directory, what loading reads
    *("config.json", "generation_config.json", "*.safetensors", "*.index.json", adapters.CONFIG, FILE),
    *("tokenizer*", "special_tokens*", "added_tokens*", "chat_template*", "vocab*", "merges*", "*.model"),
)


@dataclass(frozen=True)
class Base:
    """A base's directory, the SHA-256 of each of its files that is read, and the numbers that it was trained under, "fp32" or
    "bf16". `own`: it lies in the run."""

    path: Path
    sums: Mapping[str, str]
    precision: str
    own: bool = False

    @property
    def name(self) -> str:
        """What peft's configuration says of it; two runs alike say the same."""
        return OWN if self.own else str(self.path)

    @property
    def weights(self) -> dict[str, str]:
        """Of the files that numbers come from."""
        return {name: digest for name, digest in self.sums.items() if name.endswith(".safetensors") or name == "config.json"}


def summed(files: Iterable[Path]) -> dict[Path, str]:
    """SHA-256 of files, which may be large, in hexadecimal."""

    def one(path: Path) -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    listed = list(files)
    with ThreadPoolExecutor(4) as pool:  # hashing lets other threads run
        return dict(zip(listed, pool.map(one, listed), strict=True))


def files(path: Path) -> list[Path]:
    """What is read of a model's directory."""
    found = {file for pattern in READ for file in path.glob(pattern) if file.is_file()}
    return sorted(file for file in found if file.name not in BESIDE)


def of(path: Path, precision: str, own: bool = False, sums: Callable[[Iterable[Path]], Mapping[Path, str]] = summed) -> Base:
    """The base in a directory, as it is now. `sums` as `summed`."""
    found = sums(files(path))
    return Base(path, {file.name: found[file] for file in sorted(found)}, precision, own)


def write(base: Base, directory: Path) -> None:
    told = {"path": "" if base.own else str(base.path), "sums": dict(base.sums), "precision": base.precision}
    (directory / FILE).write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def told(directory: Path) -> Base:
    """The reference in a directory, unverified. UserError where it is none."""
    said: dict[str, Any] = read_json(directory / FILE)
    path, sums, precision = said.get("path"), said.get("sums"), said.get("precision")
    known = isinstance(path, str) and precision in ("fp32", "bf16") and isinstance(sums, dict)
    if not known or not sums or not all(isinstance(v, str) and Path(k).name == k for k, v in sums.items()):
        raise UserError(f"{directory / FILE} does not say what the adapter lies on. Copy it again from where it was saved.")
    return Base(Path(path or OWN), sums, str(precision), not path)


def found(directory: Path) -> Base:
    """The base of the adapter in a directory, once every byte of it is found to be what the adapter was trained on.

    Raises UserError where it is gone, or another one.
    """
    said = told(directory)
    run = next((parent for parent in directory.absolute().parents[:DEPTH] if (parent / "run.db").is_file()), None)
    near = [run / OWN] if run else []
    there = [path for path in (*near, *([] if said.own else [said.path])) if path.is_dir()]
    cure = f"Put that model back{f', or a copy of it into {run / OWN}' if run else ''}."
    if not there:
        where = run / OWN if said.own and run else said.path
        raise UserError(f"{directory} is an adapter, and the model that it lies on is gone from {where}. {cure}")
    for path in there:
        sums = {file.name: digest for file, digest in summed(files(path)).items()}
        if sums == said.sums:
            return Base(path, sums, said.precision, said.own)
    other = min(name for name in sums.keys() | said.sums.keys() if sums.get(name) != said.sums.get(name))
    what = "is gone" if other not in sums else "is new" if other not in said.sums else "has changed"
    raise UserError(f"{directory} is an adapter, and of the model that it lies on {there[-1] / other} {what}. {cure}")


def same(now: Base, directory: Path) -> None:
    """UserError where the adapter in a directory was trained on other weights than these."""
    if now.weights != (then := told(directory).weights):
        other = min(name for name in now.weights.keys() | then.keys() if now.weights.get(name) != then.get(name))
        raise UserError(
            f"{directory} is an adapter of another model than {now.path}: {other} differs. Put back the model that the run "
            "began with, or begin a new run."
        )


def folded(directory: Path, kind: Any = None) -> Any:
    """The plain causal LM, float32, that computes what the adapter in a directory does on its base.

    kind  as in `load_weights`
    """
    base = found(directory)
    model = load_weights(base.path, kind)
    learns = {id(p) for p in model.parameters() if p.requires_grad}
    if base.precision == "bf16":
        exact = (*(getattr(model, "_keep_in_fp32_modules_strict", None) or ()), "inv_freq")  # as `memory.halve`
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if tensor.is_floating_point() and not any(e in name for e in exact):
                    tensor.copy_(tensor.bfloat16())
    model = adapters.fold(model, directory)
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in learns)
    return model.eval()
