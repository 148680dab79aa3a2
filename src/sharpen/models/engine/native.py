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
from functools import cache
from pathlib import Path

from sharpen.hashing import digest
from sharpen.terminal import places

HERE = Path(__file__).parent
SOURCES = (HERE / "decode_step.c", HERE / "train_step.c")
HEADER = HERE / "vectors.h"
FLAGS = ("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC")
PATIENCE = 60.0  # seconds that the compiler may take

POINTER, INTEGER, NUMBER = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
SIGNATURES = {
    "panel": ((), INTEGER),
    "lanes": ((), INTEGER),
    "scratch": ((POINTER, INTEGER), INTEGER),
    "pack": ((INTEGER, INTEGER, POINTER, POINTER), None),
    "step": ((POINTER, POINTER, POINTER, INTEGER, POINTER, POINTER, INTEGER, INTEGER), None),
    "draw": ((INTEGER, INTEGER, POINTER, NUMBER, *[POINTER] * 4, INTEGER, INTEGER), None),
    "parallel": ((), INTEGER),
    "norm_forward": ((INTEGER, INTEGER, POINTER, POINTER, NUMBER, POINTER, POINTER, INTEGER), None),
    "norm_backward": ((INTEGER, INTEGER, *[POINTER] * 6, INTEGER), None),
    "gate_forward": ((INTEGER, POINTER, POINTER, POINTER, INTEGER), None),
    "gate_backward": ((INTEGER, *[POINTER] * 5, INTEGER), None),
    "rotate": ((INTEGER, INTEGER, INTEGER, POINTER, POINTER, POINTER, ctypes.c_float, POINTER, INTEGER), None),
    "attention_scratch": ((POINTER,), INTEGER),
    "attention": ((POINTER, POINTER, ctypes.c_int, POINTER, INTEGER, INTEGER), None),
}


@cache
def library() -> ctypes.CDLL | None:
    """The compiled functions, or None where there is no C compiler that makes them."""
    configured = shlex.split(sysconfig.get_config_var("CC") or "")[:1]
    compiler = next((found for name in (*configured, "cc", "gcc", "clang") if (found := shutil.which(name))), None)
    try:
        library = ctypes.CDLL(str(_built(compiler))) if compiler else None
    except (OSError, RuntimeError, subprocess.SubprocessError):  # no home, no room, no permission: the other path works too
        library = None
    if library:
        for name, (arguments, result) in SIGNATURES.items():
            getattr(library, name).argtypes, getattr(library, name).restype = arguments, result
    return library


def _built(compiler: str) -> Path:
    """The shared library in the user's cache, made if it is not there.

    Raises OSError and subprocess.SubprocessError where it cannot be made.
    """
    place = places.cache_directory()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What `native` stands for: a home directory may be shared by machines with other processors.
    asked = [compiler, "-march=native", "-dM", "-E", "-x", "c", os.devnull]
    target = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    texts = [path.read_text(encoding="utf-8") for path in (HEADER, *SOURCES)]
    path = place / f"native-{digest([*texts, FLAGS, target])}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=place) as folder:
            made = Path(folder) / path.name
            # GCC's OpenMP is the one that torch has loaded; another beside it would fight with it for the cores.
            threads = () if "__clang__" in target else ("-fopenmp",)
            command = [compiler, *FLAGS, *threads, *map(str, SOURCES), "-o", str(made), "-lm"]
            subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
            made.rename(path)
    return path
