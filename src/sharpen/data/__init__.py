"""Samples to samples: which are learnt from, and in which form; and from failures to new tasks.

selection.py keeps and drops, pairs.py sets answers against each other, relabel.py tells them again with their verdict
(hindsight), corrections.py makes texts about mistakes, errors.py mistakes, edits.py texts with what somebody accepts of a
revision; lengths.py pays for length, trees.py learns from what a search tried; replay.py remembers earlier successes,
batching.py makes arrays of samples.

lessons.py says what reward models are taught, judgements.py what judges are, stepping.py makes turns of steps, blending.py one
reward of parts. growth.py makes new tasks of what failed, and screen.py refuses those that must not be trained on.

May import: verify, tasks.
"""

from sharpen.data import (
    batching,
    blending,
    corrections,
    edits,
    errors,
    growth,
    judgements,
    lengths,
    lessons,
    pairs,
    relabel,
    replay,
    screen,
    stepping,
    trees,
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
    "corrections",
    "edits",
    "errors",
    "gate",
    "growth",
    "higher_reward",
    "keep_all",
    "keep_correct",
    "judgements",
    "lengths",
    "lessons",
    "make_batch",
    "mask_inputs",
    "one_pair",
    "paid",
    "pairs",
    "portions",
    "relabel",
    "replay",
    "right_beginnings",
    "screen",
    "soft_overlong",
    "stepping",
    "trees",
    "win_rate",
]
