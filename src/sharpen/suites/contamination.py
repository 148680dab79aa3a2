"""Were these questions trained on? A probe that compares how sure a model is on two ways to an answer.

"Detecting Data Contamination from Reinforcement Learning Post-training for Large Language Models" (Self-Critique): a greedy
answer; then, shown it, one that is to go another way; the cosine of the two sequences of token entropies, padded with zeros,
times the ratio of their lengths. A model whose entropy has collapsed on what it was trained on repeats itself. RL-MIA is the
question as a classification: of questions that were seen and others, the area under the curve.

The suite's axis takes training questions of a source for seen and its test questions for unseen, which is so of a model that
sharpen trained on that source, and a control of any other: there it says one half.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from sharpen import tasks
from sharpen.core import GREEDY, Ask, Measure, Task
from sharpen.suites.axis import Axis, Item, of

OTHER = "Solve it again by a different path: do not repeat the reasoning above."


def probed(task: Task) -> Generator[Any, Any, dict[str, float]]:
    """`similarity`, and the model's mean log-probability of its own answer, the weaker probe."""
    first = yield Ask(task.prompt, sampling=GREEDY)
    second = yield Ask(({"role": "user", "content": OTHER},), after=first, sampling=GREEDY)
    one, two = yield [Measure(task.prompt, first.text), Measure(task.prompt, second.text)]
    known = {"similarity": similarity(one.entropies, two.entropies), "certainty": math.exp(float(one.logprobs.mean()))}
    return known | {"entropy": float(one.entropies.mean())}


def similarity(one: np.ndarray, two: np.ndarray) -> float:
    """cos(padded one, padded two) * min(length) / max(length), from 0 to 1; 0 where one is empty or without any entropy."""
    longest, shortest = max(len(one), len(two)), min(len(one), len(two))
    if not shortest:
        return 0.0
    a, b = (np.pad(x.astype(float), (0, longest - len(x))) for x in (one, two))
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm * shortest / longest if norm else 0.0


def auc(seen: np.ndarray, unseen: np.ndarray) -> float:
    """How often a seen one stands above an unseen one, ties half. NaN where there are none of either."""
    if not len(seen) or not len(unseen):
        return math.nan
    return float(((seen[:, None] > unseen[None]) + 0.5 * (seen[:, None] == unseen[None])).mean())


def halves(n: int, seed: int) -> list[Task]:
    """Half from the training split, half from the test split, arm by arm."""
    source = tasks.arithmetic()
    each = max(math.ceil(n / 2 / len(source.arms)), 1)
    made = []
    for split in ("train", "test"):
        drawn = [task for own in tasks.held_out(source, split, each, seed).values() for task in own][: n // 2]
        made += [Task(t.prompt, t.answer, t.family, t.level, split, t.verifier, {**t.data, "split": split}) for t in drawn]
    return made


def membership(items: Sequence[Item]) -> dict[str, float]:
    """AUC of each probe for having been trained on; one half: it cannot tell."""
    probes = ("similarity", "certainty")
    found = {f"AUC of {p}": auc(of(items, p, split="train"), of(items, p, split="test")) for p in probes}
    entropies = (of(items, "entropy", split=split) for split in ("test", "train"))
    return found | {"AUC of low entropy": auc(*entropies)}


SAYS = "similar entropies on a second path: a sign of having been trained on"
AXES = (Axis("contamination", SAYS, halves, probed, membership, "similarity"),)
