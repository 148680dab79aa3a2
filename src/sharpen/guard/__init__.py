"""Keep a round, go on from it or go back; budgets and when to stop; the doctor.

acceptance.py judges a round (the ratchet and others), percentiles.py by every part of the arms, handover.py what goes on from
stage to stage, control.py reads budgets and stops, doctor.py names what goes wrong in silence, learnt.py with a learnt reward,
baseline.py before the first step. forgetting.py measures what one task after another does to those before it.

May import: nothing but the ground files.
"""

from sharpen.guard import baseline, control, doctor, forgetting, handover
from sharpen.guard.acceptance import always, evidence, ratchet
from sharpen.guard.control import Budget, enough, never, parse_budget, plateau
from sharpen.guard.doctor import Diagnosis
from sharpen.guard.percentiles import percentiles

__all__ = [
    "Budget",
    "Diagnosis",
    "always",
    "baseline",
    "control",
    "doctor",
    "enough",
    "evidence",
    "forgetting",
    "handover",
    "never",
    "parse_budget",
    "percentiles",
    "plateau",
    "ratchet",
]
