"""How things fail: by the user's mistake, by the doctor's word, by a number."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class UserError(Exception):
    """A mistake that the user can mend: what, why and the cure. The command line prints it and exits 2."""


class FatalDiagnosis(Exception):
    """The doctor stopped the run: what he found, the evidence, the cure. The command line exits 3."""


class Interrupted(Exception):
    """The user asked to stop, and what a policy was at was given up: no weight has changed."""


class NotFinite(ValueError):
    """A number that a step needs is NaN or infinite; nothing has changed yet. `rows` of the batch hold it, () if unknown."""

    def __init__(self, message: str, rows: Sequence[int] = ()):
        super().__init__(message)
        self.rows = tuple(int(row) for row in rows)


def suggest(name: str, known: Iterable[str]) -> str:
    """' Did you mean …?' for the closest known name, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
