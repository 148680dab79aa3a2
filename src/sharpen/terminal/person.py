"""A person as a role: what a model would be asked is shown in the terminal, and a line that they type is the answer."""

from __future__ import annotations

import contextlib
import io
import select
import sys
from collections.abc import Mapping, Sequence
from typing import Any

SECONDS = 300.0  # that a person has for a line


def person(messages: Sequence[Mapping[str, Any]]) -> str:
    """What somebody types, "" for nothing: `--role person=sharpen.terminal:person`. Where there is no terminal, or nobody types
    within SECONDS, it is nothing too: a run waits for nobody."""
    return asked(str(messages[-1]["content"]), "> ")


def asked(text: str, prompt: str, seconds: float = SECONDS) -> str:
    """A line from the terminal, without its end; "" at the end of the input or of the time."""
    print(f"\n{text}\n{prompt}", end="", file=sys.stderr, flush=True)
    if not sys.stdin or sys.stdin.closed:
        return ""
    try:
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
    except (OSError, ValueError):  # an input that cannot be waited for, such as a test's
        return ""
    return read_line().rstrip("\n") if ready else ""


def read_line() -> str:
    """A line of standard input, "" where it ends. Bytes in it that are no text become U+FFFD."""
    with contextlib.suppress(AttributeError, io.UnsupportedOperation):  # no stream of bytes, or one that has begun so
        sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
    return sys.stdin.readline()
