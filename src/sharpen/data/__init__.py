"""Samples to samples: which are learnt from, and in which form; and from failures to new tasks.

selection.py keeps and drops, pairs.py sets answers against each other, relabel.py tells them again with their verdict
(hindsight), corrections.py makes texts about mistakes, errors.py mistakes, edits.py texts with what somebody accepts of a
revision; lengths.py pays for length, trees.py learns from what a search tried; replay.py remembers earlier successes,
batching.py makes arrays of samples.

lessons.py says what reward models are taught, judgements.py what judges are, stepping.py makes turns of steps, blending.py
one reward of parts. growth.py makes new tasks of what failed, and screen.py refuses those that must not be trained on;
near.py finds duplicates, containment.py sets within sets, clusters.py what lies together (quotas.py: how much of each), and
measures.py says what a set is worth; curating.py keeps few and good answers. refining.py asks for tasks told anew;
experience.py, prompting.py and discovery.py learn in words: insights, the prompt itself, rules.

May import: verify, tasks.
"""

from sharpen.data import (
    batching,
    blending,
    clusters,
    containment,
    corrections,
    curating,
    discovery,
    edits,
    errors,
    experience,
    growth,
    judgements,
    lengths,
    lessons,
    measures,
    near,
    pairs,
    prompting,
    quotas,
    refining,
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
    "clusters",
    "containment",
    "curating",
    "discovery",
    "experience",
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
    "measures",
    "near",
    "one_pair",
    "paid",
    "pairs",
    "portions",
    "prompting",
    "quotas",
    "refining",
    "relabel",
    "replay",
    "right_beginnings",
    "screen",
    "soft_overlong",
    "stepping",
    "trees",
    "win_rate",
]
