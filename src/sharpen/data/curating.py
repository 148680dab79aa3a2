"""Which of the right answers are worth learning from: functions from judged samples to fewer samples.

diverse     few, and as different as can be, of tasks that are not yet mastered (DED)
balanced    the best by quality, diversity and complexity together (QDC)
uncontained none whose steps another one has too (R2D2)
consistent  those that do in like places what the others do (data quality in imitation learning)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.core import Sample, UserError
from sharpen.data import measures
from sharpen.data.selection import keep_correct

KEEP_AT_LEAST = 1


def words(sample: Sample) -> list[str]:
    return " ".join(sample.rollout.turns).split()


def distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein distance in words: how many are put in, taken out, or changed."""
    row = np.arange(len(b) + 1)
    place = np.arange(len(b) + 1)
    for i, word in enumerate(a, 1):
        change = row[:-1] + np.array([word != other for other in b], np.int64)
        best = np.minimum(np.append(i, change), np.append(i, row[1:] + 1))
        row = np.minimum.accumulate(best - place) + place  # put in: one more for each place further on
    return int(row[-1])


def apart(distances: np.ndarray, most: int) -> list[int]:
    """Numbers of at most `most` items, greedily: the pair farthest apart, then whichever is farthest from all chosen. Copies of
    one that is chosen are never taken. distances (n, n)"""
    n = len(distances)
    if n <= 1 or most <= 1:
        return list(range(min(n, most, 1)))
    first, second = np.unravel_index(int(np.argmax(distances)), distances.shape)
    chosen = [int(first), int(second)] if distances[first, second] > 0 else [0]
    while len(chosen) < min(most, n):
        nearest = distances[:, chosen].min(axis=1)
        if nearest.max() <= 0:
            break
        chosen.append(int(np.argmax(nearest)))
    return chosen


def by_task(samples: Sequence[Sample]) -> list[list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.rollout.task.id, []).append(sample)
    return list(found.values())


def between(samples: Sequence[Sample]) -> np.ndarray:
    """(n, n) distances of the answers, in words."""
    said = [words(sample) for sample in samples]
    found = np.zeros((len(said), len(said)))
    for i in range(len(said)):
        for j in range(i):
            found[i, j] = found[j, i] = distance(said[i], said[j])
    return found


def diverse(samples: Sequence[Sample], most: int = 2, mastered: float = 1.0) -> list[Sample]:
    """Of each task that is solved in less than `mastered` of its rollouts, right answers that differ most, at most `most`.

    Source: DED, arXiv 2508.09883: questions that the student solves are dropped, and of several right traces the diverse ones
    kept, by Levenshtein distance. Which rule it has is not public: greedy max-min is ours. mastered above 1 drops none.
    """
    if most < 1:
        raise UserError(f"most={most}: keep at least one answer of each task.")
    kept = []
    for group in by_task(samples):
        scored = [s for s in group if s.verdict.reward is not None]
        right = keep_correct(group)
        if right and len(right) / len(scored) < mastered:
            kept += [right[i] for i in apart(between(right), most)]
    return kept


def balanced(
    samples: Sequence[Sample], share: float = 0.5, quality: float = 1.0, diversity: float = 1.0, complexity: float = 1.0
) -> list[Sample]:
    """Of all right answers of the step, the share that is best by three weighted marks, each from 0 to 1.

    quality     the task's success rate: an answer that all agree on is surely right
    diversity   distance from the nearest answer that is better, by shingles: what says the same again has 0
    complexity  length among the step's answers, by rank

    Chosen one after the other, so that a copy counts as one once the first is in. What to measure is our choice; that each of
    the three is needed, and that they trade with each other, is the survey's: arXiv 2412.02980.
    """
    if not 0 < share <= 1 or min(quality, diversity, complexity) < 0 or quality + diversity + complexity <= 0:
        raise UserError(f"balanced needs 0 < share <= 1 and weights of at least 0, one above: got {share}")
    right = keep_correct(samples)
    if not right:
        return []
    rate = {}
    for group in by_task(samples):
        scored = [s for s in group if s.verdict.reward is not None]
        rate[group[0].rollout.task.id] = sum(s.verdict.correct for s in group) / max(len(scored), 1)
    sure = np.array([rate[s.rollout.task.id] for s in right])
    long = np.argsort(np.argsort([s.rollout.n_sampled for s in right], kind="stable")) / max(len(right) - 1, 1)
    rows = measures.embed([" ".join(s.rollout.turns) for s in right])
    marks, nearest = quality * sure + complexity * long, np.full(len(right), -1.0)
    chosen: list[int] = []
    for _ in range(max(round(share * len(right)), KEEP_AT_LEAST)):
        score = marks + diversity * (1 - np.maximum(nearest, 0))
        score[chosen] = -np.inf
        chosen.append(int(np.argmax(score)))
        nearest = np.maximum(nearest, rows @ rows[chosen[-1]])
    return [right[i] for i in sorted(chosen)]


def uncontained(samples: Sequence[Sample], least: float = 1.0) -> list[Sample]:
    """Right answers, but none of whose steps a share of `least` or more are those of a longer one to the same task.

    Narrowed down as in R2D2 (arXiv 2312.13427): same task; a number of steps that can be contained; then the steps themselves.
    A step is a line, or a word where there is one line. Of equal answers the first stays. above 1: all right answers stay.
    """
    kept = []
    for group in by_task(keep_correct(samples)):
        steps = [frozenset(split(sample)) for sample in group]
        order = sorted(range(len(group)), key=lambda i: (-len(steps[i]), i))
        stay: list[int] = []
        for i in order:
            able = [j for j in stay if len(steps[j]) >= least * len(steps[i])]
            if not any(len(steps[i] & steps[j]) >= least * len(steps[i]) for j in able):
                stay.append(i)
        kept += [group[i] for i in sorted(stay)]
    return kept


def split(sample: Sample) -> list[str]:
    lines = [" ".join(line.split()) for line in "\n".join(sample.rollout.turns).splitlines() if line.strip()]
    return lines if len(lines) > 1 else words(sample)


def consistent(samples: Sequence[Sample], share: float = 0.5) -> list[Sample]:
    """Of the right answers to each task the share that is most like the others: little action divergence, easy to imitate.

    An answer's divergence is its mean distance in words from the other right answers to the task. One or two answers are kept
    as they are: between two nothing says which is odd. Source: arXiv 2306.02437, sections 3 and 4. share=1 keeps all.
    """
    if not 0 < share <= 1:
        raise UserError(f"share={share}: this is a share, above 0 and at most 1.")
    kept = []
    for group in by_task(keep_correct(samples)):
        keep = len(group) if len(group) <= 2 else max(round(share * len(group)), KEEP_AT_LEAST)
        order = np.argsort(between(group).sum(axis=1), kind="stable")[:keep]
        kept += [group[i] for i in sorted(order.tolist())]
    return kept


def likeliest(samples: Sequence[Sample], mean: bool = False, *, logprobs: Sequence[np.ndarray]) -> list[Sample]:
    """Of each prompt's answers the one that the student itself finds likeliest, right or wrong, the first of equals.

    mean  by the mean log-probability of its tokens, not the sum, which prefers short answers. An answer of no tokens is left
    out. Source: SFT-sharpening, arXiv 2412.01951, section 3.1.
    """
    found: dict[int, tuple[float, Sample]] = {}
    for s, row in zip(samples, logprobs, strict=True):
        own = row[s.rollout.sampled]
        if s.verdict.reward is None or not len(own):
            continue
        score = float(own.mean() if mean else own.sum())
        if s.group not in found or score > found[s.group][0]:
            found[s.group] = score, s
    return [s for _, s in found.values()]


def liked(samples: Sequence[Sample], part: str = "learnt") -> list[Sample]:
    """Of each prompt's right answers the one that a reward model likes best, the first of equals: rejection sampling as in
    Qwen2.5-Math (arXiv 2409.12122, section 3.2). Where no model has said anything, the first right answer."""
    best: dict[int, Sample] = {}
    for s in samples:
        if s.verdict.correct:
            held = best.setdefault(s.group, s)
            if s.verdict.parts.get(part, 0.0) > held.verdict.parts.get(part, 0.0):
                best[s.group] = s
    return list(best.values())
