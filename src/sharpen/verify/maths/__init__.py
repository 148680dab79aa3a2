"""Mathematics: the answer found, spelled one way, read, worked out, and compared by type.

extraction.py finds the answer; notation.py and units.py spell it one way; tokens.py and expressions.py read it, arithmetic.py
works it out, equality.py compares by type; mathverify.py asks Math-Verify about the rest; maths.py puts them in order.

May import: nothing but the ground files.
"""

from sharpen.verify.maths import maths
from sharpen.verify.maths.arithmetic import calculate
from sharpen.verify.maths.extraction import NUMBERS, extract
from sharpen.verify.maths.notation import tidy

__all__ = ["NUMBERS", "calculate", "extract", "maths", "tidy"]
