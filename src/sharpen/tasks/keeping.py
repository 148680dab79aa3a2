"""Where the rows of a file are kept while a run draws from it, so that a million of them need little memory.

    Packed   in memory, a few hundred together, compressed. What happens to the file later does not matter
    OnDisk   where they are: the places of the lines of a large file, which is read again at each draw

Both give the bytes of row i, in JSON.
"""

from __future__ import annotations

import functools
import os
import weakref
import zlib
from array import array
from bisect import bisect_right
from pathlib import Path

from sharpen.core import UserError

BLOCK = 32 * 1024  # bytes compressed together: a draw unpacks so many
PART = 64 * 1024  # bytes read at once to find the end of a line


class Packed:
    """Rows of one line each. Add all of them, then read."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.starts: list[int] = []  # number of the first row of each block
        self.count = self.size = 0
        self.open: list[bytes] = []
        self.block = functools.lru_cache(maxsize=16)(self._block)

    def add(self, raw: bytes) -> None:
        self.open.append(raw)
        self.size += len(raw)
        if self.size >= BLOCK:
            self.close()

    def close(self) -> None:
        if self.open:
            self.blocks.append(zlib.compress(b"\n".join(self.open), 1))
            self.starts.append(self.count)
            self.count += len(self.open)
            self.open, self.size = [], 0

    def __getitem__(self, index: int) -> bytes:
        at = bisect_right(self.starts, index) - 1
        return self.block(at)[index - self.starts[at]]

    def _block(self, at: int) -> list[bytes]:
        return zlib.decompress(self.blocks[at]).split(b"\n")


class OnDisk:
    """Lines of a file that stays as it is. Raises UserError at the first draw after it was changed."""

    def __init__(self, path: Path) -> None:
        self.path, self.offsets = path, array("Q")
        self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # so that a file that takes its name later is not read instead
        weakref.finalize(self, os.close, self.file)
        self.state = self.looks()

    def looks(self) -> tuple[int, int]:
        found = os.fstat(self.file)
        return found.st_size, found.st_mtime_ns

    def __getitem__(self, index: int) -> bytes:
        if self.looks() != self.state:
            raise UserError(f"{self.path} was changed while it was in use. Put it back as it was, then resume the run.")
        raw, start = b"", self.offsets[index]
        while b"\n" not in raw and (more := os.pread(self.file, PART, start + len(raw))):
            raw += more
        return raw.partition(b"\n")[0]
