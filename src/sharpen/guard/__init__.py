"""Keep a round, go on from it or go back; budgets and when to stop; the doctor.

acceptance.py judges a round (the ratchet and others), looks.py with all rounds before it in view (falls.py), percentiles.py by
every part of the arms; changes.py is what changed between two rounds; handover.py what goes on from stage to stage; control.py
reads budgets and stops, prediction.py stops by where the curve will end, adapting.py lets numbers follow the run; doctor.py
names what goes wrong in silence, learnt.py with a learnt reward, monitors.py what drifts, baseline.py before the first step;
forgetting.py measures what one task does to those before it, hacking.py compares curves that should go together,
refinement.py reads a schedule off gradient norms.

May import: nothing but the ground files.
"""

from sharpen.guard import adapting, baseline, control, doctor, forgetting, hacking, handover, monitors, prediction, refinement
from sharpen.guard.acceptance import always, evidence, ratchet
from sharpen.guard.control import Budget, enough, never, parse_budget, plateau
from sharpen.guard.doctor import Diagnosis
from sharpen.guard.looks import exhausted, half, needed, reported, sequential, visible
from sharpen.guard.percentiles import percentiles
from sharpen.guard.prediction import predicted

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
    "exhausted",
    "forgetting",
    "hacking",
    "half",
    "handover",
    "monitors",
    "needed",
    "never",
    "parse_budget",
    "percentiles",
    "plateau",
    "predicted",
    "prediction",
    "ratchet",
    "refinement",
    "reported",
    "sequential",
    "visible",
]
