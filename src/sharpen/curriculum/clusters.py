"""Curricula that look at where tasks lie: some of every cluster, and more of those that are still wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sharpen.core import Arm, Choices, Message, UserError
from sharpen.curriculum.attempts import Attempts
from sharpen.curriculum.common import History, dealt, lowest
from sharpen.data import clusters as found_by
from sharpen.data import quotas

Embed = Callable[[Sequence[Sequence[Message]]], np.ndarray]
LABELS, NUMBERS = "cluster_labels", "cluster_tasks"


def clustered(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    clusters: int = 16,
    most: int = 0,
    strength: float = 1.0,
    looked_at: int = 2048,
    *,
    attempts: Attempts,
    embed: Embed,
    kept: dict[str, np.ndarray],
) -> Choices:
    """DnC: k-means on the questions once, then quotas of each cluster, reweighted by what is still wrong in it.

    At the first step `looked_at` tasks of the pool are drawn and embedded; only these are practised, the least visited of each
    cluster first, and nothing that has grown. clusters=0 finds how many there are, up to `most`, by repeatability (PPP).
    strength=0 takes as many of each.
    """
    if clusters < 0 or looked_at < 1 or (clusters == 0) != (most > 0):
        raise UserError(
            f"clusters={clusters}, most={most}: name a number of clusters, or 0 and the most that there may be (most=32)."
        )
    if LABELS not in kept:
        numbers = np.sort(rng.permutation(len(attempts))[:looked_at])
        rows = quotas.centred(embed([attempts.draw(int(i)).prompt for i in numbers]))
        made = found_by.k_means(rows, min(clusters, len(rows)), rng) if clusters else quotas.separated(rows, most, rng)
        kept[LABELS] = np.asarray(made, np.int64)
        kept[NUMBERS] = numbers.astype(np.int64)
    labels, numbers = kept[LABELS], kept[NUMBERS]
    k = int(labels.max()) + 1
    rate = attempts.latest[numbers].astype(np.float64)
    wanted = quotas.quotas(quotas.reweighted(labels, rate, k, strength), prompts)
    return dealt(
        attempts, numbers[of_each(labels, wanted, attempts.visits[numbers] + rng.random(len(numbers)))], prompts * samples
    )


def of_each(labels: np.ndarray, wanted: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Places of the `wanted[k]` smallest keys of each cluster k; of one that has fewer, all, and the others make up for it."""
    chosen = [np.flatnonzero(labels == k)[lowest(keys[labels == k], int(n))] for k, n in enumerate(wanted)]
    found = np.concatenate(chosen)
    short = int(wanted.sum()) - len(found)
    rest = np.setdiff1d(np.arange(len(labels)), found)
    return np.concatenate([found, rest[lowest(keys[rest], short)]]) if short else found


def fitting(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    delta: float = 0.5,
    hard: float = 0.5,
    shares: Mapping[str, float] | None = None,
    *,
    attempts: Attempts,
    progress: float,
) -> Choices:
    """TAPIR: families in set shares, and of each more and more of the tasks that the student cannot do and the teacher can.

    The model fitting difficulty of a task is 1 - its latest success rate where it has a worked solution that is right, which is
    what a teacher's answer is here; tasks above `delta` are hard, those that were not tried are neither. Their share rises from
    `hard` to 1 with the budget. shares: of each family; None: all alike.
    """
    if not (0 <= delta < 1 and 0 <= hard <= 1):
        raise UserError(f"fitting needs 0 <= delta < 1 and 0 <= hard <= 1, got delta={delta}, hard={hard}")
    family = np.array([arm.family for arm in attempts.arms])[attempts.arm_of(np.arange(len(attempts)))]
    names = sorted(set(family))
    wanted = quotas.quotas([(shares or {}).get(name, 1.0) for name in names], prompts)
    missing = 1 - np.nan_to_num(attempts.latest, nan=1 - delta)
    chosen = []
    for name, n in zip(names, wanted.tolist()):
        own = np.flatnonzero(family == name)
        few = round((hard + (1 - hard) * progress) * n)
        difficult = own[missing[own] > delta]
        first = difficult[lowest(attempts.visits[difficult] + rng.random(len(difficult)), few)]
        rest = np.setdiff1d(own, difficult)
        rest = rest if len(rest) else np.setdiff1d(own, first)
        chosen += [first, rest[lowest(attempts.visits[rest] + rng.random(len(rest)), n - len(first))]]
    return dealt(attempts, np.concatenate(chosen), prompts * samples)
