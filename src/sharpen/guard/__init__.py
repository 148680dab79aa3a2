"""Keep a round or go back; budgets and when to stop; the doctor.

acceptance.py decides on a round (the ratchet), handover.py what goes on from stage to stage, control.py reads budgets and
stops, doctor.py names what goes wrong in silence.

May import: nothing but the ground files.
"""

from sharpen.guard import control, doctor, handover
from sharpen.guard.acceptance import always, ratchet
from sharpen.guard.control import Budget, never, parse_budget, plateau
from sharpen.guard.doctor import Diagnosis

__all__ = ["Budget", "Diagnosis", "always", "control", "doctor", "handover", "never", "parse_budget", "plateau", "ratchet"]
