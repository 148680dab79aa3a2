"""Curricula that look at how alike tasks are to the student itself: which arm follows which, and what it learns first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from sharpen.core import Arm, Choices, Message, UserError
from sharpen.curriculum.attempts import Attempts
from sharpen.curriculum.common import History, dealt, in_order, spread, weighted

Embed = Callable[[Sequence[Sequence[Message]]], np.ndarray]

# ------------------------------------------------------------------------------------------------ which arm follows which


def dispersion(distance: np.ndarray) -> np.ndarray:
    """(A,) from 0 to 1: how far each arm is from the others on average, as a share of the farthest. The least is central."""
    mean = distance.sum(axis=1) / max(len(distance) - 1, 1)
    return mean / mean.max() if mean.max(initial=0.0) > 0 else mean


def designed(distance: np.ndarray) -> list[int]:
    """An order of arms, each as a number, from the middle outwards: Curriculum Designer (arXiv 2211.15470).

    First is the most central. Then both ends are filled at once: what is nearest to the present arm of those left goes to the
    last free place, what is farthest to the next one, and becomes the present arm. The first of equals is taken.
    """
    n = len(distance)
    order = [-1] * n
    order[0] = now = int(np.argmin(dispersion(distance)))
    left = [i for i in range(n) if i != now]
    start, end = 1, n - 1
    while left:
        near = min(left, key=lambda i: distance[now, i])
        left.remove(near)
        order[end] = near
        end -= 1
        if left:
            far = max(left, key=lambda i: (distance[now, i], -i))
            left.remove(far)
            order[start] = now = far
            start += 1
    return order


def promise(order: Sequence[int], distance: np.ndarray) -> float:
    """The designer's score of an order, higher being better: a central first arm, unlike ones next to each other, and what is
    like the present arm at the far end. Distances between 0 and 1."""
    n = len(order)
    total = 1 - float(dispersion(distance)[order[0]])
    for i in range(1, (n + 1) // 2):
        now = order[i - 1]
        total += 1 - float(distance[now, order[n - i]]) + float(distance[now, order[i]])
    return total


def designer(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    questions: int = 8,
    review: float = 0.1,
    *,
    attempts: Attempts,
    progress: float,
    embed: Embed,
    kept: dict[str, np.ndarray],
) -> Choices:
    """Arms one after another, in the order that `designed` makes of the distances between them.

    The distance of two arms is 1 - the cosine of the means of the student's hidden states on `questions` tasks of each, at the
    first step. Arms that have grown since come last. review: share of the prompts spread over all arms evenly.
    """
    if questions < 1:
        raise UserError(f"questions={questions}: this must be at least 1.")
    order = in_order(arms)
    if "designed" not in kept:
        kept["designed"] = np.array(designed(distances(order, attempts, embed, questions)), np.int64)
        kept["arms"] = names(order)
    then = [Arm.parse(name) for name in kept["arms"].tobytes().decode().split("\n")]
    walk = [then[i] for i in kept["designed"] if then[i] in order]
    walk += [arm for arm in order if arm not in walk]
    now = walk[min(int(progress * len(walk)), len(walk) - 1)]
    return spread(order, [float(arm == now) for arm in order], prompts, samples, rng, review)


def names(arms: Sequence[Arm]) -> np.ndarray:
    """Arms as bytes, to be kept beside what is kept by their numbers."""
    return np.frombuffer("\n".join(map(str, arms)).encode(), np.uint8).copy()


def distances(arms: Sequence[Arm], attempts: Attempts, embed: Embed, questions: int) -> np.ndarray:
    """(A, A) 1 - cosine, from 0 to 1, of what the student makes of the first tasks of each arm."""
    blocks = {arm: (first, size) for (arm, _, size), first in zip(attempts.blocks, attempts.starts, strict=False)}
    rows: list[np.ndarray | None] = []
    for arm in arms:
        first, size = blocks.get(arm, (0, 0))
        if not size:
            rows.append(None)
            continue
        states = embed([attempts.draw(int(first) + i).prompt for i in range(min(questions, size))])
        rows.append(states.mean(axis=0))
    width = next(len(row) for row in rows if row is not None)
    made = np.array([np.zeros(width) if row is None else row for row in rows], np.float64)
    made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
    return np.clip(1 - made @ made.T, 0.0, 1.0)


# ------------------------------------------------------------------------------------------- which tasks are learnt first


def by_angle(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    width: float = 0.13,
    step: float = 0.02,
    alpha: float = 2.0,
    beta: float = 0.5,
    *,
    attempts: Attempts,
    angles: Embed,
    kept: dict[str, np.ndarray],
) -> Choices:
    """GAIN-RL (arXiv 2506.02281): tasks whose tokens lie close together in the student's states first, and on as it succeeds.

    The pool is sorted once by the concentration of angles, `angles`, largest first. A step draws tasks with probability
    exp(-((rank - centre) / width)^2 / 2); then the centre moves by step * (tanh(alpha (accuracy - beta)) + tanh(alpha *
    concentration of what was tried)), never back. Ranks, width and step are shares of the pool: in the paper 1000 and 500 of
    some 7,500 tasks, the step once for each of its sets.
    """
    if not (width > 0 and step >= 0 and alpha > 0 and 0 <= beta <= 1):
        raise UserError(f"by_angle needs width > 0, step >= 0, alpha > 0 and a share beta: {width}, {step}, {alpha}, {beta}")
    if len(kept.get("angle", ())) != len(attempts):
        kept["angle"] = np.asarray(angles([attempts.draw(i).prompt for i in range(len(attempts))]), np.float64)
        kept.setdefault("centre", np.zeros(1))
        kept.setdefault("seen", np.array([attempts.taken], np.int64))
    new = attempts.taken - int(kept["seen"][0])
    if new > 0:
        last = np.array(attempts.recent[-new:])
        kept["centre"] = kept["centre"] + moved(attempts.latest[last].mean(), kept["angle"][last].mean(), step, alpha, beta)
        kept["seen"] = np.array([attempts.taken], np.int64)
    rank = np.empty(len(attempts))
    rank[np.argsort(-kept["angle"], kind="stable")] = np.arange(len(attempts)) / len(attempts)
    far = (rank - min(float(kept["centre"][0]), 1.0)) / width
    # Never nothing: where the centre has left the last rank behind, the hardest tasks stay.
    return dealt(attempts, weighted(np.exp(-0.5 * far**2) + 1e-30, prompts, rng), prompts * samples)


def moved(accuracy: float, angle: float, step: float, alpha: float, beta: float) -> float:
    """How far the centre goes on: 0 at accuracy = beta and no concentration, never back, at most 2 * step."""
    return float(np.clip(step * (math.tanh(alpha * (accuracy - beta)) + math.tanh(alpha * angle)), 0.0, 2 * step))
