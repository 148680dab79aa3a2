"""Samples to samples: which are learnt from, and in which form; and from failures to new tasks.

selection.py keeps and drops, pairs.py sets answers against each other, relabel.py tells them again with their verdict
(hindsight), replay.py remembers earlier successes, batching.py makes arrays of them.

growth.py makes new tasks of what failed: diagnose.py (with clusters.py) names it, propose.py writes (writing.py, worth.py: how
many for what), label.py checks labels, repair.py mends those of training tasks, fidelity.py measures twins; screen.py refuses
what must not be trained on. noisy.py has teachers and judges with known error rates, to try all of this without a model.

May import: verify, tasks.
"""

from sharpen.data import (
    batching,
    clusters,
    diagnose,
    fidelity,
    growth,
    label,
    noisy,
    pairs,
    propose,
    relabel,
    repair,
    replay,
    screen,
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
    "clusters",
    "diagnose",
    "fidelity",
    "gate",
    "growth",
    "higher_reward",
    "keep_all",
    "keep_correct",
    "label",
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
    "win_rate",
    "worth",
    "writing",
]
