"""When to stop: budgets, and functions of the rounds so far that give a reason to stop, or None.

A round is a mapping with `round` (its number), `answer` (the guard's), `accepted` (the answer was better) and `accuracy`
(on the validation split, 0 to 1, of the weights that the round ended with, whatever became of them).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sharpen.core import UserError, plural

SECONDS = {"s": 1, "m": 60, "h": 3600}
TOKENS = {"tokens": 1, "ktokens": 1_000, "mtokens": 1_000_000, "gtokens": 1_000_000_000}
UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("steps", "step"), "steps"),
    **{name.removesuffix(end): name for name in TOKENS for end in ("", "s", "ens")},
}
FORMS = "Write it as 600s, 10m, 2h, 40steps, 200ktokens or '10m loop'"


@dataclass(frozen=True)
class Budget:
    """How much a run may spend, in one unit.

    kind  "steps"         learning steps after warm-up (exactly reproducible)
          "tokens"        tokens of the responses in learning steps (exactly reproducible); the step that reaches it is the last
          "seconds"       wall time from the first step on, warm-up and the rounds' evaluations included; set-up, the first
                          measurement and the last are not
          "loop seconds"  wall time of the loop's own work (choose, roll out, verify, learn): what a comparison grants to each
    """

    kind: str
    amount: float

    def spent(self, used: float) -> float:
        """The share that is used up, at most 1."""
        return min(used / self.amount, 1.0)

    def __str__(self) -> str:
        return f"{self.amount:,.0f} {self.kind}"


def parse_budget(text: str) -> Budget:
    """A budget from text such as "600s", "1.5h", "40steps", "2Mtokens" or "10m loop"; UserError for anything else, 0 too."""
    match = re.fullmatch(r"([+-]?\d+(?:\.\d+)?)\s*([a-z]*)( +loop)?", text.strip().lower(), re.ASCII)
    if not match or len(text) > 40:
        raise UserError(f"budget {text[:40]!r} is not a number and a unit. {FORMS}.")
    number, word, loop = match.groups()
    if float(number) <= 0:
        raise UserError(f"budget {text!r} leaves nothing to spend: it must be above 0. {FORMS}.")
    if word not in SECONDS and word not in TOKENS and word != "steps":
        raise UserError(f"budget {text!r} {_hint(number, word)} {FORMS}.")
    if word in SECONDS:
        return Budget("loop seconds" if loop else "seconds", float(number) * SECONDS[word])
    if loop:
        raise UserError(f"budget {text!r}: only a time is the loop's own; {word} are counted in the loop anyway. {FORMS}.")
    if word == "steps":
        if "." in number:
            raise UserError(f"budget {text!r}: steps are whole. Did you mean {max(round(float(number)), 1)}steps?")
        return Budget("steps", int(number))
    return Budget("tokens", float(number) * TOKENS[word])


def _hint(number: str, word: str) -> str:
    if not word:
        return f"has no unit. Did you mean {number}steps, {number}s or {number}m?"
    close = [word] if word in UNITS else difflib.get_close_matches(word, UNITS, 1)
    known = f" Did you mean {number}{UNITS[close[0]]}?" if close else ""
    return f"has the unknown unit {word!r}.{known}"


def never(rounds: Sequence[Mapping[str, Any]]) -> str | None:
    """Go on until the budget is spent."""
    return None


def enough(rounds: Sequence[Mapping[str, Any]], most: int = 10) -> str | None:
    """Stop after `most` rounds; with 0 nothing is learnt at all."""
    done = len(rounds) - 1  # the first is what everything is compared with
    return f"{plural(done, 'round')} {'was' if done == 1 else 'were'} made" if done >= most else None


def plateau(rounds: Sequence[Mapping[str, Any]], patience: int = 10, min_gain: float = 0.005) -> str | None:
    """Stop when the best accepted accuracy of the last `patience` rounds is not `min_gain` above the best before them.

    Never within the first `patience` rounds. Rounds that were not shown to be better count as no gain.
    """
    if patience < 1:
        raise UserError(f"plateau needs a patience of at least 1 round, got {patience}")
    if len(rounds) <= patience:
        return None
    kept = [r["accuracy"] if r["accepted"] else float("-inf") for r in rounds]
    best, recent = max(kept[:-patience]), max(kept[-patience:])
    if recent == float("-inf"):
        return f"plateau: none of the last {patience} rounds was accepted"
    if recent - best >= min_gain:
        return None
    return f"plateau: the last {patience} rounds reached {recent:.1%}, not {min_gain:.1%} above the {best:.1%} before them"
