"""Keep a round, go on from it or go back; budgets and when to stop; the doctor.

acceptance.py judges a round (the ratchet and others), looks.py with all rounds before it in view, by falls.py; percentiles.py by every part of the arms, handover.py what goes on from
stage to stage, control.py reads budgets and stops, prediction.py
stops by where the curve will end, doctor.py names what goes wrong in silence, learnt.py with a learnt reward,
baseline.py before the first step. forgetting.py measures what one task after another does to those before it.

May import: nothing but the ground files.
"""

from sharpen.guard import baseline, control, doctor, forgetting, handover, prediction
from sharpen.guard.acceptance import always, evidence, ratchet
from sharpen.guard.control import Budget, enough, never, parse_budget, plateau
from sharpen.guard.doctor import Diagnosis
from sharpen.guard.looks import exhausted, half, needed, reported, sequential, visible
from sharpen.guard.percentiles import percentiles
from sharpen.guard.prediction import predicted

__all__ = [
    "Budget",
    "Diagnosis",
    "always",
    "baseline",
    "control",
    "doctor",
    "enough",
    "evidence",
    "exhausted",
    "forgetting",
    "half",
    "handover",
    "needed",
    "never",
    "parse_budget",
    "percentiles",
    "plateau",
    "predicted",
    "prediction",
    "ratchet",
    "reported",
    "sequential",
    "visible",
]
