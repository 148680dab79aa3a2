"""Keep a round, go on from it or go back; budgets and when to stop; the doctor.

acceptance.py judges a round (the ratchet and others), handover.py what goes on from stage to stage, control.py reads budgets
and stops, doctor.py names what goes wrong in silence, learnt.py with a learnt reward, monitors.py what drifts, baseline.py
before the first step; hacking.py compares curves that should go together.

May import: nothing but the ground files.
"""

from sharpen.guard import baseline, control, doctor, hacking, handover, monitors
from sharpen.guard.acceptance import always, evidence, ratchet
from sharpen.guard.control import Budget, never, parse_budget, plateau
from sharpen.guard.doctor import Diagnosis

__all__ = [
    "Budget",
    "Diagnosis",
    "always",
    "baseline",
    "control",
    "doctor",
    "evidence",
    "hacking",
    "handover",
    "monitors",
    "never",
    "parse_budget",
    "plateau",
    "ratchet",
]
