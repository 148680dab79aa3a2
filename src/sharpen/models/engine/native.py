"""The functions in C beside this file, compiled once for a machine and kept in the user's cache directory.

A small model's step consists of hundreds of operations of microseconds each, and reads the same numbers again for each of them;
in C they are a few calls (decode_step.py, train_step.py). Where there is no compiler, `library` returns None
and everything takes torch's own operations.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sharpen.hashing import digest
from sharpen.terminal import places

HERE = Path(__file__).parent
SOURCES = (HERE / "decode_step.c", HERE / "train_step.c")
HEADERS = (HERE / "vectors.h", HERE / "stretch.h", HERE / "kinds.h", HERE / "products.h")
FLAGS = ("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC")
PATIENCE = 60.0  # seconds that the compiler may take

POINTER, INTEGER, NUMBER = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
SIGNATURES = {
    "panel": ((), INTEGER),
    "lanes": ((), INTEGER),
    "scratch": ((POINTER, INTEGER), INTEGER),
    "pack": ((INTEGER, INTEGER, POINTER, POINTER), None),
    "pack_half": ((INTEGER, INTEGER, POINTER, POINTER), None),
    "halves": ((), INTEGER),
    "step": ((POINTER, POINTER, POINTER, INTEGER, POINTER, POINTER, INTEGER, INTEGER, INTEGER), None),
    "draw": ((INTEGER, INTEGER, POINTER, NUMBER, *[POINTER] * 4, INTEGER, INTEGER), None),
    "parallel": ((), INTEGER),
    "norm_forward": ((INTEGER, INTEGER, POINTER, POINTER, NUMBER, POINTER, POINTER, INTEGER), None),
    "norm_backward": ((INTEGER, INTEGER, *[POINTER] * 6, INTEGER), None),
    "gate_forward": ((INTEGER, POINTER, POINTER, POINTER, INTEGER), None),
    "gate_backward": ((INTEGER, *[POINTER] * 5, INTEGER), None),
    "rotate": ((INTEGER, INTEGER, INTEGER, POINTER, POINTER, POINTER, ctypes.c_float, POINTER, INTEGER), None),
    "attention_scratch": ((POINTER,), INTEGER),
    "attention": ((POINTER, POINTER, ctypes.c_int, POINTER, INTEGER, INTEGER), None),
    "multiply": ((*[INTEGER] * 3, POINTER, INTEGER, POINTER, INTEGER, POINTER, INTEGER, POINTER, POINTER, INTEGER), None),
    "output_scratch": ((POINTER, INTEGER, INTEGER), INTEGER),
    "output_back_scratch": ((POINTER, INTEGER), INTEGER),
    "output_forward": ((*[POINTER] * 5, INTEGER), None),
    "output_backward": ((*[POINTER] * 6, INTEGER), None),
}

for _name in ("norm_forward", "norm_backward", "gate_forward", "gate_backward", "rotate", "attention"):
    SIGNATURES[f"{_name}_half"] = SIGNATURES[_name]


class _Wish(threading.local):
    """What this thread wants of the functions: one may generate while another learns."""

    unwanted = False


_wish = _Wish()
_seen: dict[str, Calls] | None = None


def library() -> ctypes.CDLL | None:
    """The compiled functions, or None where there is no C compiler that makes them, or they are `left_out`."""
    found = None if _wish.unwanted else _library()
    return found if found is None or _seen is None else _Observed(found, _seen)  # type: ignore[return-value]


@contextmanager
def left_out(unwanted: bool = True) -> Iterator[None]:
    """Inside, everything in this thread takes torch's own operations, if they are unwanted."""
    before, _wish.unwanted = _wish.unwanted, _wish.unwanted or unwanted
    try:
        yield
    finally:
        _wish.unwanted = before


@dataclass
class Calls:
    """Of one function: how often it was called, its seconds, and what it had to do, where that is known: operations of its
    products, and numbers that it reads and writes."""

    calls: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    numbers: float = 0.0


@contextmanager
def observed(seen: dict[str, Calls]) -> Iterator[None]:
    """Inside, every call is timed and added up in `seen`, by the function's name."""
    global _seen
    before, _seen = _seen, seen
    try:
        yield
    finally:
        _seen = before


# Numbers that a function reads and writes, from its arguments.
MOVED: dict[str, Callable[..., float]] = {
    "norm_forward": lambda rows, n, *_: 2 * rows * n,
    "norm_backward": lambda rows, n, *_: 3 * rows * n,
    "gate_forward": lambda count, *_: 3 * count,
    "gate_backward": lambda count, *_: 5 * count,
    "rotate": lambda tokens, heads, head, *_: 2 * tokens * heads * head,
    "draw": lambda rows, vocabulary, *_: rows * vocabulary,
    "pack": lambda n, k, *_: 2 * n * k,
}
FLOPS: dict[str, Callable[..., float]] = {}  # the same of products; who calls them says it


class _Observed:
    """The library, every function timed."""

    def __init__(self, functions: ctypes.CDLL, seen: dict[str, Calls]):
        self._functions, self._calls = functions, seen

    def __getattr__(self, name: str) -> Any:
        function, kind = getattr(self._functions, name), name.removesuffix("_half")

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            result = function(*arguments)
            if kind in MOVED or kind in FLOPS:
                calls = self._calls.setdefault(name, Calls())
                calls.calls, calls.seconds = calls.calls + 1, calls.seconds + time.perf_counter() - began
                calls.numbers += MOVED[kind](*arguments) if kind in MOVED else 0
                calls.flops += FLOPS[kind](*arguments) if kind in FLOPS else 0
            return result

        return timed


def _library() -> ctypes.CDLL | None:
    return _made()[0]


def missing() -> str:
    """Why there are no compiled functions, in words; "" where there are."""
    return _made()[1]


@cache
def _made() -> tuple[ctypes.CDLL | None, str]:
    configured = shlex.split(sysconfig.get_config_var("CC") or "")[:1]
    compiler = next((found for name in (*configured, "cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if not compiler:
        return None, "there is no C compiler"
    try:
        library = ctypes.CDLL(str(_built(compiler)))
    except (OSError, subprocess.SubprocessError) as error:  # no home, no room, no permission, a broken compiler
        said = getattr(error, "stderr", None) or b""
        lines = (said if isinstance(said, str) else said.decode("utf-8", "replace")).strip().splitlines()
        return None, f"{compiler} fails ({lines[0] if lines else error})"
    for name, (arguments, result) in SIGNATURES.items():
        getattr(library, name).argtypes, getattr(library, name).restype = arguments, result
    return library, ""


def signature() -> str:
    """Another one for other functions."""
    return digest([*_texts(), FLAGS])


def _texts() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in (*HEADERS, *SOURCES)]


def _built(compiler: str) -> Path:
    """The shared library in the user's cache, made if it is not there.

    Raises OSError and subprocess.SubprocessError where it cannot be made.
    """
    kept = places.cache_directory()
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What `native` stands for: a home directory may be shared by machines with other processors.
    asked = [compiler, "-march=native", "-dM", "-E", "-x", "c", os.devnull]
    target = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    path = kept / f"native-{digest([*_texts(), FLAGS, target])}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=kept) as folder:
            made = Path(folder) / path.name
            # GCC's OpenMP is the one that torch has loaded; another beside it would fight with it for the cores.
            threads = () if "__clang__" in target else ("-fopenmp",)
            command = [compiler, *FLAGS, *threads, *map(str, SOURCES), "-o", str(made), "-lm"]
            subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
            made.rename(path)
    return path
