"""Mathematics: the answer found, spelled one way, read, worked out, and compared by type.

extraction.py finds the answer, endings.py where nothing marks it; notation.py, units.py, dates.py, words.py spell it one way;
tokens.py and expressions.py read it, arithmetic.py works it out, equality.py compares by type; mathverify.py asks Math-Verify
about the rest; maths.py puts them in order.

May import: nothing but the ground files.
"""

from sharpen.verify.maths import maths
from sharpen.verify.maths.arithmetic import calculate
from sharpen.verify.maths.endings import NUMBERS, equations, settled
from sharpen.verify.maths.equality import asks_percent
from sharpen.verify.maths.extraction import (
    Found,
    after_marker,
    extract,
    find,
    last_box,
    sentences,
    tagged,
    undecorated,
    without_thoughts,
)
from sharpen.verify.maths.maths import question
from sharpen.verify.maths.notation import tidy
from sharpen.verify.maths.units import HALF_DAY, time_asked, without_unit
from sharpen.verify.maths.words import numeral

__all__ = [
    "HALF_DAY",
    "numeral",
    "time_asked",
    "NUMBERS",
    "Found",
    "after_marker",
    "asks_percent",
    "calculate",
    "equations",
    "extract",
    "find",
    "last_box",
    "maths",
    "question",
    "sentences",
    "settled",
    "tagged",
    "tidy",
    "undecorated",
    "without_thoughts",
    "without_unit",
]
