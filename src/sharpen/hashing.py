"""Everything that is decided by a hash: random seeds, ids, and which split a question belongs to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def derive(seed: int, *keys: str | int) -> int:
    """A 63-bit seed for one purpose, from the run's seed and any keys.

    Every random number in a run starts here, as derive(run seed, step, purpose, index), so there is no generator state to
    save, and neighbouring seeds share nothing. The same arguments give the same seed on every machine.
    """
    text = json.dumps([seed, *keys])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


# Made once: json.dumps makes one for every call, which for a million questions are seconds.
CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
READABLE = json.JSONEncoder(ensure_ascii=False)


def digest(value: Any) -> str:
    """Sixteen hex digits that identify a JSON value."""
    text = CANONICAL.encode(value)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def question_key(prompt: Sequence[Mapping[str, Any]]) -> str:
    """Hash of the question alone, blind to case and spacing: what must never be shared between splits."""
    only = prompt[0] if len(prompt) == 1 else {}
    if list(only) == ["role", "content"] and only["role"] == "user" and type(only["content"]) is str:
        written = f'[{{"role": "user", "content": {READABLE.encode(only["content"])}}}]'  # the same, in half the time
    else:
        written = READABLE.encode(list(prompt))
    return digest(" ".join(written.split()).lower())


def split_of(prompt: Sequence[Mapping[str, Any]], validation: float = 0.1, test: float = 0.1) -> str:
    """The split that a question belongs to, decided by its own hash.

    So no two splits can share a question, whatever the seeds, the runs or the number of draws.
    """
    return split_of_key(question_key(prompt), validation, test)


def split_of_key(key: str, validation: float = 0.1, test: float = 0.1) -> str:
    """The split of the question that has this `question_key`."""
    u = int(key, 16) / 16**16
    return "validation" if u < validation else "test" if u < validation + test else "train"
