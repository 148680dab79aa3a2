"""CTF-Dojo (arXiv 2508.18370), harmless: a flag lies in files behind a chain of encodings, and its SHA-256 is all that is kept.

`forge` makes a task and admits it only if the reference solution obtains the flag and an agent that does nothing does not, and
if the flag's text stands in no file. Level n has n encodings.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import random
from collections.abc import Callable, Mapping
from typing import Any

WAYS: Mapping[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "base64": (lambda t: base64.b64encode(t.encode()).decode(), lambda t: base64.b64decode(t.encode(), validate=True).decode()),
    "hex": (lambda t: t.encode().hex(), lambda t: bytes.fromhex(t).decode()),
    "rot13": (lambda t: codecs.encode(t, "rot13"), lambda t: codecs.encode(t, "rot13")),
    "reversed": (lambda t: t[::-1], lambda t: t[::-1]),
}
SALT = "sharpen"


def sealed(flag: str) -> str:
    return hashlib.sha256(f"{flag}{SALT}".encode()).hexdigest()


def forge(seed: int, level: int) -> tuple[dict[str, str], str, list[str]]:
    """(files, sealed flag, the ways in the order in which they are undone). RuntimeError where the task is not admitted."""
    draw = random.Random(f"flag {seed}")
    flag = "flag{" + "".join(draw.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(8)) + "}"
    chain: list[str] = []
    text = flag
    for _ in range(level):
        way = draw.choice([w for w in WAYS if not chain or w != chain[-1] or w in ("base64", "hex")])
        text, chain = WAYS[way][0](text), [*chain, way]
    files = {"note.txt": f"kept as {', then '.join(chain)}", "secret.txt": text, "readme.txt": "nothing here"}
    found = text
    for way in reversed(chain):
        found = WAYS[way][1](found)
    if sealed(found) != sealed(flag) or any(flag in content for content in files.values()):
        raise RuntimeError("the reference does not obtain the flag, or the flag lies open")
    return files, sealed(flag), chain[::-1]


class Flags:
    """Tools: list, read, decode, submit."""

    def reset(self, task: Mapping[str, Any]) -> str:
        self.files, self.sealed, _ = forge(int(task.get("seed", 0)), max(int(task.get("level", 1)), 1))
        self.found, self.done = False, False
        return "Find the flag."

    def list(self) -> str:
        """The names of the files."""
        return ", ".join(sorted(self.files))

    def read(self, name: str) -> str:
        """Read a file.

        name  of it
        """
        if name not in self.files:
            raise ValueError(f"there is no file {name!r}")
        return self.files[name]

    def decode(self, text: str, way: str) -> str:
        """Undo an encoding.

        text  what is encoded
        way   base64, hex, rot13 or reversed
        """
        if way not in WAYS:
            raise ValueError(f"there is no way {way!r}")
        return WAYS[way][1](text[:2000])

    def submit(self, flag: str) -> str:
        """Hand in the flag.

        flag  all of it
        """
        self.found = sealed(flag.strip()) == self.sealed
        self.done = self.found
        return "right" if self.found else "wrong"

    def reward(self) -> float:
        return float(self.found)


def solution(task: Mapping[str, Any]) -> list[str]:
    files, _, chain = forge(int(task.get("seed", 0)), max(int(task.get("level", 1)), 1))
    said, text = ['read(name="note.txt")', 'read(name="secret.txt")'], files["secret.txt"]
    for way in chain:
        said.append(f'decode(text="{text}", way="{way}")')
        text = WAYS[way][1](text)
    return [*said, f'submit(flag="{text}")']
