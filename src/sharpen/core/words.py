"""How numbers of things are said."""

from __future__ import annotations


def plural(n: int, what: str) -> str:
    """1 step, 2 steps, 1,000 steps."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
