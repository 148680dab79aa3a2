"""Samples to samples: which are learnt from, and in which form; and from failures to new tasks.

selection.py keeps and drops, pairs.py sets answers against each other, relabel.py tells them again with their verdict
(hindsight), corrections.py makes texts about mistakes, errors.py mistakes, edits.py texts with what somebody accepts of a
revision; lengths.py pays for length, trees.py learns from what a search tried; replay.py remembers earlier successes,
batching.py makes arrays of samples.

lessons.py says what reward models are taught, judgements.py what judges are, stepping.py makes turns of steps, blending.py one
reward of parts. growth.py makes new tasks of what failed: diagnose.py (with clusters.py) names it, propose.py writes
(writing.py, worth.py: how many for what), label.py checks labels, repair.py mends those of training tasks, fidelity.py
measures twins; screen.py refuses what must not be trained on. noisy.py has teachers and judges with known error rates, to try
all of this without a model.

May import: verify, tasks.
"""

from sharpen.data import (
    batching,
    blending,
    clusters,
    corrections,
    diagnose,
    edits,
    errors,
    fidelity,
    growth,
    judgements,
    label,
    lengths,
    lessons,
    noisy,
    pairs,
    propose,
    relabel,
    repair,
    replay,
    screen,
    stepping,
    trees,
    worth,
    writing,
)
from sharpen.data.batching import make_batch, portions
from sharpen.data.replay import Memory
from sharpen.data.selection import (
    gate,
    higher_reward,
    keep_all,
    keep_correct,
    mask_inputs,
    one_pair,
    paid,
    right_beginnings,
    soft_overlong,
    win_rate,
)

__all__ = [
    "Memory",
    "batching",
    "blending",
    "clusters",
    "corrections",
    "diagnose",
    "edits",
    "errors",
    "fidelity",
    "gate",
    "growth",
    "higher_reward",
    "keep_all",
    "keep_correct",
    "judgements",
    "label",
    "lengths",
    "lessons",
    "make_batch",
    "mask_inputs",
    "noisy",
    "one_pair",
    "paid",
    "pairs",
    "portions",
    "propose",
    "relabel",
    "repair",
    "replay",
    "right_beginnings",
    "screen",
    "soft_overlong",
    "stepping",
    "trees",
    "win_rate",
    "worth",
    "writing",
]
