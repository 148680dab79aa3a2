"""Keep a round, go on from it or go back; budgets and when to stop; the doctor.

acceptance.py judges a round (the ratchet and others), handover.py what goes on from stage to stage, control.py reads budgets
and stops, doctor.py names what goes wrong in silence, learnt.py with a learnt reward, adapting.py lets numbers follow the run,
baseline.py before the first step.

May import: nothing but the ground files.
"""

from sharpen.guard import adapting, baseline, control, doctor, handover
from sharpen.guard.acceptance import always, evidence, ratchet
from sharpen.guard.control import Budget, enough, never, parse_budget, plateau
from sharpen.guard.doctor import Diagnosis

__all__ = [
    "Budget",
    "Diagnosis",
    "adapting",
    "always",
    "baseline",
    "control",
    "doctor",
    "enough",
    "evidence",
    "handover",
    "never",
    "parse_budget",
    "plateau",
    "ratchet",
]
