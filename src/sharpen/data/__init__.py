"""Samples to samples: which are learnt from, and in which form; and from failures to new tasks.

selection.py keeps and drops, pairs.py sets answers against each other, relabel.py tells them again with their verdict
(hindsight), replay.py remembers earlier successes, batching.py makes arrays of them.

growth.py makes new tasks of what failed, and screen.py refuses those that must not be trained on; near.py finds duplicates,
containment.py sets within sets, and measures.py says what a set is worth.

May import: verify, tasks.
"""

from sharpen.data import batching, containment, growth, measures, near, pairs, relabel, replay, screen
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
    "containment",
    "gate",
    "growth",
    "higher_reward",
    "keep_all",
    "keep_correct",
    "make_batch",
    "mask_inputs",
    "measures",
    "near",
    "one_pair",
    "paid",
    "pairs",
    "portions",
    "relabel",
    "replay",
    "right_beginnings",
    "screen",
    "soft_overlong",
    "win_rate",
]
