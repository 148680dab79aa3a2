"""Figures as they are set."""

from __future__ import annotations


def points(value: float, digits: int = 1) -> str:
    """A difference of shares in percentage points: 0.123 -> '+12.3', with a true minus sign, and 0 unsigned."""
    text = f"{100 * value:+.{digits}f}"
    return text.replace("-", "\u2212") if float(text) else text[1:]
