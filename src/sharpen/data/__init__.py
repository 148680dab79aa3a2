"""Samples to samples: which are learnt from, and in which form; and from failures to new tasks.

selection.py keeps and drops, pairs.py sets answers against each other, relabel.py tells them again with their verdict
(hindsight), principles.py under principles, refusing.py not at all; corrections.py makes texts about mistakes, errors.py
mistakes, edits.py texts with what somebody accepts of a revision; balance.py weighs exploring and choosing, consuming.py
mixes in real data; lengths.py pays for length, easing.py weighs what misleads less at first, vocabulary.py hides rare words,
trees.py learns from what a search tried; replay.py remembers earlier successes, rehearsal.py those of the stages before,
shuffling.py deals verdicts anew, as a control; batching.py makes arrays of samples.

lessons.py says what reward models are taught, judgements.py what judges are, stepping.py makes turns of steps, blending.py
one reward of parts. growth.py makes new tasks of what failed: diagnose.py names it, propose.py writes (writing.py, worth.py:
how many for what), label.py checks labels, repair.py mends those of training tasks, graphs.py asks along the facts of what was
read, fidelity.py measures twins, noisy.py has teachers with known error rates; screen.py refuses what must not be trained on;
near.py finds duplicates, containment.py sets within sets, clusters.py what lies together (quotas.py: how much of each), and
measures.py says what a set is worth; curating.py keeps few and good answers. refining.py asks for tasks told anew;
experience.py, prompting.py and discovery.py learn in words: insights, the prompt itself, rules. hints.py says what may be shown
of a task and when, routing.py who learns how, weak.py what is learnt of supervisors that err.

May import: verify, tasks.
"""

from sharpen.data import (
    balance,
    batching,
    blending,
    clusters,
    consuming,
    containment,
    corrections,
    curating,
    diagnose,
    discovery,
    easing,
    edits,
    errors,
    experience,
    fidelity,
    graphs,
    growth,
    hints,
    judgements,
    label,
    lengths,
    lessons,
    measures,
    near,
    noisy,
    pairs,
    principles,
    prompting,
    propose,
    quotas,
    refining,
    refusing,
    rehearsal,
    relabel,
    repair,
    replay,
    routing,
    screen,
    stepping,
    trees,
    vocabulary,
    weak,
    worth,
    writing,
)
from sharpen.data.batching import make_batch, portions
from sharpen.data.replay import Memory
from sharpen.data.selection import (
    finished,
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
from sharpen.data.shuffling import shuffled

__all__ = [
    "Memory",
    "balance",
    "batching",
    "blending",
    "clusters",
    "consuming",
    "corrections",
    "diagnose",
    "edits",
    "errors",
    "clusters",
    "containment",
    "curating",
    "discovery",
    "easing",
    "experience",
    "fidelity",
    "finished",
    "gate",
    "graphs",
    "growth",
    "higher_reward",
    "hints",
    "keep_all",
    "keep_correct",
    "judgements",
    "label",
    "lengths",
    "lessons",
    "make_batch",
    "mask_inputs",
    "measures",
    "near",
    "noisy",
    "one_pair",
    "paid",
    "pairs",
    "principles",
    "portions",
    "prompting",
    "propose",
    "quotas",
    "refining",
    "refusing",
    "rehearsal",
    "relabel",
    "repair",
    "replay",
    "right_beginnings",
    "routing",
    "screen",
    "soft_overlong",
    "shuffled",
    "stepping",
    "trees",
    "weak",
    "vocabulary",
    "win_rate",
    "worth",
    "writing",
]
