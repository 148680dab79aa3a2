"""What an outer loop chooses: numbers and words by name, each with a range, and their places in a cube of side 1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sharpen.core import UserError
from sharpen.outer import prompts

# Where no range is given: (low, high, logarithmic, whole). Three octaves about what the methods of the folder take.
RANGES: Mapping[str, tuple[float, float, bool, bool]] = {
    "lr": (3e-5, 3e-3, True, False),
    "warmup_lr": (3e-4, 1e-2, True, False),
    "lr_end": (0.0, 1.0, False, False),
    "temperature": (0.4, 1.4, False, False),
    "top_p": (0.8, 1.0, False, False),
    "min_p": (0.0, 0.2, False, False),
    "top_k": (0, 64, False, True),
    "samples": (2, 16, True, True),
    "prompts": (8, 64, True, True),
    "passes": (1, 4, False, True),
    "minibatches": (1, 4, False, True),
    "round_steps": (5, 40, True, True),
    "replay": (0, 64, False, True),
    "max_tokens": (16, 256, True, True),
    "extrapolation": (0.0, 0.5, False, False),
    "average": (0.0, 0.99, False, False),
}
ECCENTRIC = "eccentric"  # as what to choose `system` from: the messages of prompts.py
DIGITS = 4  # significant ones of a proposed number: a recipe file is to be read


@dataclass(frozen=True)
class Knob:
    """One setting: a number from low to high, or one of `options`.

    log    equal steps of the cube are equal factors of the number
    whole  the number is one
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    whole: bool = False
    options: tuple[str, ...] = ()

    def value(self, place: float) -> str:
        """The setting's text at a place from 0 to 1."""
        if self.options:
            return self.options[min(int(place * len(self.options)), len(self.options) - 1)]
        if self.log:
            found = math.exp(math.log(self.low) + place * (math.log(self.high) - math.log(self.low)))
        else:
            found = self.low + place * (self.high - self.low)
        return str(int(round(found))) if self.whole else f"{min(max(float(f'{found:.{DIGITS}g}'), self.low), self.high):g}"

    def place(self, text: str) -> float:
        """Where a setting's text stands, from 0 to 1; a number outside the range at its end. Raises ValueError for no value."""
        if self.options:
            return (self.options.index(text) + 0.5) / len(self.options)
        number = min(max(float(text), self.low), self.high)
        if self.log:
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)


Space = Sequence[Knob]
Values = Mapping[str, str]  # by name, as `--set` has it


def read(text: str) -> tuple[Knob, ...]:
    """`lr,temperature=0.5..1.2,guard=ratchet|evidence` as knobs; `log` after a range makes it logarithmic: `x=1..100log`;
    `system=eccentric` is a choice among the messages of prompts.py.

    Raises UserError for a name without a known range and none given, an empty range, and a name that stands twice.
    """
    found = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, said = part.partition("=")
        found.append(_given(name.strip(), said.strip()) if equals else _known(name))
    if not found:
        raise UserError("--over is empty: name what is to be tuned, such as --over lr,temperature.")
    if twice := [k.name for i, k in enumerate(found) if k.name in {other.name for other in found[:i]}]:
        raise UserError(f"--over has {twice[0]} twice. Leave one out.")
    return tuple(found)


def _known(name: str) -> Knob:
    if name not in RANGES:
        raise UserError(
            f"--over {name}: give it a range, {name}=LOW..HIGH, or what to choose from, {name}=A|B.{_of_system(name)}"
        )
    low, high, log, whole = RANGES[name]
    return Knob(name, low, high, log, whole)


def _given(name: str, said: str) -> Knob:
    if "|" in said:
        options = tuple(o.strip() for o in said.split("|"))
        if len(set(options)) < 2 or not all(options):
            raise UserError(f"--over {name}={said}: two or more different values are needed, such as {name}=A|B.")
        return Knob(name, options=options)
    if said == ECCENTRIC and name == "system":
        return Knob(name, options=prompts.eccentric())
    low, high = _ends(name, said)
    known = RANGES.get(name, (0, 0, False, all("." not in n and "e" not in n for n in (low, high))))
    log = said.endswith("log") or (known[2] and float(low) > 0)
    if log and float(low) <= 0:
        raise UserError(f"--over {name}={said}: a logarithmic range begins above 0.")
    return Knob(name, float(low), float(high), log, bool(known[3]))


def _ends(name: str, said: str) -> tuple[str, str]:
    """LOW and HIGH of a range as they were written. UserError for what is none, and where LOW is not below HIGH."""
    low, dots, high = said.removesuffix("log").partition("..")
    try:
        if not dots or not all(math.isfinite(float(end)) for end in (low, high)):
            raise ValueError
    except ValueError:
        raise UserError(f"--over {name}={said}: write a range as LOW..HIGH, or choices as A|B.{_of_system(name)}") from None
    if float(low) == float(high):
        raise UserError(f"--over {name}={said} is one value: there is nothing to choose. Set it: --set {name}={low}")
    if float(low) > float(high):
        raise UserError(f"--over {name}={said}: LOW < HIGH is needed, and {low} is above {high}. Did you mean {high}..{low}?")
    return low, high


def _of_system(name: str) -> str:
    return f" system={ECCENTRIC} chooses among {len(prompts.eccentric())} messages that ship." if name == "system" else ""


def values(space: Space, point: Sequence[float] | np.ndarray) -> dict[str, str]:
    """The settings at a point of the cube."""
    return {knob.name: knob.value(float(x)) for knob, x in zip(space, point, strict=True)}


def point(space: Space, given: Values) -> np.ndarray:
    """(K,) where settings stand in the cube; those that are not given in its middle."""
    return np.array([knob.place(given[knob.name]) if knob.name in given else 0.5 for knob in space])


def within(space: Space, given: Mapping[str, object]) -> dict[str, str] | None:
    """Settings that somebody wrote, moved into their ranges; None where one is missing or no value of its knob."""
    try:
        texts = {knob.name: str(given[knob.name]) for knob in space}
        places = point(space, texts)
    except (KeyError, ValueError):
        return None
    return values(space, places) if np.isfinite(places).all() else None
