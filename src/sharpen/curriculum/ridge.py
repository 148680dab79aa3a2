"""Success of a task foretold without gradients and without forgetting: a recursive ridge regression, and a memory of errors.

Both look at the prompt alone (`value_model.features`), learn from each step's outcomes, and choose the tasks whose foretold
success is nearest to a target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.core import Arm, Choices, UserError
from sharpen.curriculum.attempts import Attempts
from sharpen.curriculum.common import History, allot, lowest
from sharpen.curriculum.value_model import WIDTH, features

Arrays = dict[str, np.ndarray]

# -------------------------------------------------------------------------------------------------- recursive ridge (AEF-OCL)


def solved(width: int, outputs: int, ridge: float) -> Arrays:
    """An analytic head that has seen nothing: R = 1 / ridge, W = 0."""
    return {"inverse": np.eye(width) / ridge, "head": np.zeros((width, outputs))}


def learn(state: Arrays, rows: np.ndarray, wanted: np.ndarray) -> None:
    """Take in rows X (n, width) with outputs Y (n, outputs): K = (I + X R X')^-1, R <- R - R X' K X R, W <- W + R X' (Y - X W).

    After any order and any batches of rows W is the ridge regression on all of them at once (ACIL, arXiv 2205.14922; AEF-OCL,
    arXiv 2405.17779, section 3), so nothing is forgotten.
    """
    inverse, head = state["inverse"], state["head"]
    gain = inverse @ rows.T @ np.linalg.inv(np.eye(len(rows)) + rows @ inverse @ rows.T)
    state["inverse"] = inverse - gain @ rows @ inverse
    state["head"] = head + state["inverse"] @ rows.T @ (wanted - rows @ head)


def balanced(state: Arrays, counts: np.ndarray, means: np.ndarray, squares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The head as it would be with as many rows of each class: those that the smaller ones lack are drawn from a normal
    distribution with the class's own mean and deviation, for this answer alone (AEF-OCL's pseudo-features).

    counts (C,), means and mean squares (C, width) of the rows so far, of the classes that the outputs are
    """
    copy, most = dict(state), int(counts.max())
    for c, count in enumerate(counts.astype(int)):
        if 1 < count < most:
            deviation = np.sqrt(np.maximum(squares[c] - means[c] ** 2, 0.0))
            rows = means[c] + deviation * rng.normal(size=(min(most - count, 256), len(means[c])))
            learn(copy, rows, np.tile(np.eye(len(counts))[c], (len(rows), 1)))
    return copy["head"]


def analytic(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    candidates: int = 4,
    target: float = 0.5,
    width: int = 256,
    ridge: float = 0.1,
    pseudo: bool = True,
    *,
    attempts: Attempts,
    kept: Arrays,
) -> Choices:
    """Of `candidates` times as many tasks, those whose foretold success is nearest to `target`: by an analytic head over
    `width` random features of the prompt, two outputs, right and wrong.

    Every task that was tried counts as one row of each outcome it had. `pseudo` balances the two outcomes.
    """
    if candidates < 1 or width < 1 or ridge <= 0:
        raise UserError(f"analytic needs candidates, width >= 1 and ridge > 0, got {candidates}, {width}, {ridge}")
    if not kept:
        kept.update(solved(width, 2, ridge), seen=np.zeros(1, np.int64), counts=np.zeros(2))
        kept.update(sums=np.zeros((2, width)), squares=np.zeros((2, width)))
    new = attempts.taken - int(kept["seen"][0])
    if new:
        numbers = attempts.recent[-new:]
        rows, rate = expanded(attempts, numbers, width), attempts.latest[numbers].astype(float)
        for c, chosen in enumerate((rate > 0, rate < 1)):
            if chosen.any():
                learn(kept, rows[chosen], np.tile(np.eye(2)[c], (int(chosen.sum()), 1)))
                kept["counts"][c] += chosen.sum()
                kept["sums"][c] += rows[chosen].sum(axis=0)
                kept["squares"][c] += (rows[chosen] ** 2).sum(axis=0)
        kept["seen"] = np.array([attempts.taken], np.int64)
    head, n = kept["head"], np.maximum(kept["counts"], 1)[:, None]
    if pseudo and kept["counts"].any():
        head = balanced(kept, kept["counts"], kept["sums"] / n, kept["squares"] / n, rng)
    listed = rng.choice(len(attempts), size=min(candidates * prompts, len(attempts)), replace=False)
    said = expanded(attempts, listed, width) @ head
    guess = np.clip(0.5 + (said[:, 0] - said[:, 1]) / 2, 0.0, 1.0)
    return _nearest(attempts, listed, np.abs(guess - target), prompts, samples)


def expanded(attempts: Attempts, numbers: Sequence[int] | np.ndarray, width: int) -> np.ndarray:
    """(n, width): a random layer, the same in every run, with what is below 0 cut off."""
    layer = np.random.default_rng(0).normal(size=(WIDTH, width)) / np.sqrt(WIDTH)
    rows = np.array([attempts.of(int(number), features) for number in numbers], np.float64).reshape(-1, WIDTH)
    return np.maximum(rows @ layer, 0.0) * np.sqrt(WIDTH)


def _nearest(attempts: Attempts, listed: np.ndarray, distance: np.ndarray, prompts: int, samples: int) -> Choices:
    chosen = lowest(distance, prompts)
    quota = allot(np.ones(len(chosen)), prompts * samples)
    return [(attempts.draw(int(listed[i])), int(n)) for i, n in zip(chosen, quota, strict=True)]


# ---------------------------------------------------------------------------------------------------- error memory (ReLoop2)


def compensated(
    keys: np.ndarray,
    outcomes: np.ndarray,
    bases: np.ndarray,
    query: np.ndarray,
    base: float,
    weight: float = 0.5,
    top: int = 8,
    heat: float = 0.1,
    gamma: float = 1.0,
) -> float:
    """A slow estimate, put right by the errors that were made on the most similar cases (ReLoop2, arXiv 2306.08808, section 3).

    keys (n, d) of length 1, outcomes and slow estimates of that time (n,); a is the softmax of the `top` similarities / heat.
    error = gamma * (a . outcomes - base) + (1 - gamma) * a . (outcomes - bases); the answer is base + weight * error, from
    0 to 1.
    gamma 1 is (1 - weight) * base + weight * nearest neighbours; nothing in the memory: base.
    """
    if not len(keys):
        return base
    near = keys @ query
    chosen = np.argsort(-near, kind="stable")[:top]
    odds = np.exp((near[chosen] - near[chosen].max()) / heat)
    a = odds / odds.sum()
    error = gamma * (a @ outcomes[chosen] - base) + (1 - gamma) * (a @ (outcomes[chosen] - bases[chosen]))
    return float(np.clip(base + weight * error, 0.0, 1.0))


def error_memory(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    candidates: int = 4,
    target: float = 0.5,
    size: int = 512,
    weight: float = 0.5,
    top: int = 8,
    heat: float = 0.1,
    gamma: float = 1.0,
    *,
    attempts: Attempts,
    kept: Arrays,
) -> Choices:
    """Of `candidates` times as many tasks, those whose foretold success is nearest to `target`. The slow estimate is the
    success rate of the arm over all tries so far; the memory has the last `size` tasks that were tried (`compensated`)."""
    if candidates < 1 or size < 1 or top < 1 or heat <= 0:
        raise UserError(f"error_memory needs candidates, size, top >= 1 and heat > 0, got {candidates}, {size}, {top}, {heat}")
    slow = by_arm(attempts)
    if not kept:
        kept.update(seen=np.zeros(1, np.int64), numbers=np.zeros(0, np.int64), outcomes=np.zeros(0), bases=np.zeros(0))
    if new := attempts.taken - int(kept["seen"][0]):
        numbers = np.array(attempts.recent[-new:], np.int64)
        added = {
            "numbers": numbers,
            "outcomes": attempts.latest[numbers].astype(float),
            "bases": slow[attempts.arm_of(numbers)],
        }
        kept.update({key: np.concatenate([kept[key], more])[-size:] for key, more in added.items()})
        kept["seen"] = np.array([attempts.taken], np.int64)
    listed = rng.choice(len(attempts), size=min(candidates * prompts, len(attempts)), replace=False)
    keys = np.array([attempts.of(int(n), features) for n in kept["numbers"]], np.float64).reshape(-1, WIDTH)
    queries = [attempts.of(int(n), features).astype(float) for n in listed]
    bases = slow[attempts.arm_of(listed)]
    how = (weight, top, heat, gamma)
    guess = [compensated(keys, kept["outcomes"], kept["bases"], q, float(b), *how) for q, b in zip(queries, bases, strict=True)]
    return _nearest(attempts, listed, np.abs(np.array(guess) - target), prompts, samples)


def by_arm(attempts: Attempts) -> np.ndarray:
    """The success rate of each block of the pool, 1/2 where nothing was tried."""
    blocks = len(attempts.arms)
    owner = np.repeat(np.arange(blocks), np.diff(attempts.starts))
    tries, right = (np.bincount(owner, a, blocks) for a in (attempts.tries, attempts.right))
    return np.where(tries > 0, right / np.maximum(tries, 1), 0.5)
