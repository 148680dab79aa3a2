"""Reading a torch.distributed.checkpoint: its index is a pickle, and a run's directory may be anybody's, so only the few
names that such an index is made of are let in."""

from __future__ import annotations

import pickle
import warnings
from enum import EnumMeta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed import checkpoint as dcp

from sharpen.core import UserError

LET_IN = {
    *(("torch.distributed.checkpoint.metadata", name) for name in ("Metadata", "TensorStorageMetadata", "TensorProperties")),
    *(("torch.distributed.checkpoint.metadata", name) for name in ("ChunkStorageMetadata", "MetadataIndex", "StorageMeta")),
    *(("torch.distributed.checkpoint.metadata", name) for name in ("_MEM_FORMAT_ENCODING", "BytesStorageMetadata")),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    ("torch.serialization", "_get_layout"),
    ("torch", "Size"),
    ("pathlib", "PosixPath"),
    *(("torch", name) for name in ("float32", "float64", "bfloat16", "float16", "int64", "int32", "bool", "uint8")),
}


class Index(pickle.Unpickler):
    """Loads nothing but what an index of tensors is made of."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("builtins", "getattr"):
            return member
        if (module, name) not in LET_IN:
            raise UserError(f"the checkpoint's index names {module}.{name}, which none has: it is not one, and is not read.")
        return super().find_class(module, name)


def member(kind: Any, name: Any) -> Any:
    """What Python 3.11.0 to 3.11.3 write for an Enum's member: `getattr` of its class and its name."""
    if not (isinstance(kind, EnumMeta) and name in kind.__members__):
        raise UserError("the checkpoint's index asks for an attribute, which none does: it is not one, and is not read.")
    return kind[name]


class Reader(dcp.FileSystemReader):
    """torch's, but for how the index is read. The tensors themselves are read without pickled code (`weights_only`)."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Any:
        with (Path(self.path) / ".metadata").open("rb") as file:
            found = Index(file).load()
        if getattr(found, "storage_meta", None) is None:
            found.storage_meta = dcp.metadata.StorageMeta()
        found.storage_meta.load_id = self.load_id
        return found


def read(path: Path) -> dict[str, Tensor]:
    """All tensors, whole. UserError where it is damaged."""
    try:
        about = Reader(str(path)).read_metadata().state_dict_metadata
        found = {name: torch.empty(m.size, dtype=m.properties.dtype) for name, m in about.items()}
        with warnings.catch_warnings(action="ignore"):  # it says that there is no group of processes, which is meant
            dcp.load(found, storage_reader=Reader(str(path)), no_dist=True)
    except (
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        AttributeError,
        pickle.UnpicklingError,
        dcp.CheckpointException,
    ) as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is missing or damaged ({said}). Restore it from a copy of the run.") from error
    return found
