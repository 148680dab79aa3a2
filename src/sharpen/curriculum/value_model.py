"""Prompt curriculum learning: a small model that guesses the success rate from the prompt alone, and picks by its guess."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

from sharpen.core import Arm, Choices, Task, UserError
from sharpen.curriculum.attempts import Attempts
from sharpen.curriculum.common import History, allot, lowest

WIDTH = 128  # features; the Gram matrix of a checkpoint is WIDTH * WIDTH numbers
WORD = re.compile(r"\w+|[^\w\s]")


def pcl(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    candidates: int = 4,
    target: float = 0.5,
    keep: float = 0.7,
    *,
    attempts: Attempts,
    kept: dict[str, np.ndarray],
) -> Choices:
    """PCL (arXiv 2510.01135): of `candidates` times as many tasks, those whose predicted success is nearest to `target`.

    The value model is a ridge regression of the observed success rate on hashed words of the prompt, its family and its
    level; what earlier steps showed counts `keep` times as much with every step. It learns from the last step before it
    chooses for this one, so it lags the policy by one step, as in the paper.
    """
    if candidates < 1 or not 0 < keep <= 1:
        raise UserError(f"pcl needs candidates >= 1 and 0 < keep <= 1, got {candidates}, {keep}")
    fit(kept, attempts, keep)
    numbers = rng.choice(len(attempts), size=min(candidates * prompts, len(attempts)), replace=False)
    guess = predict(kept, np.array([attempts.of(int(number), features) for number in numbers], np.float64))
    # Equal guesses, as before the first step, are taken in the random order of the candidates.
    nearest = lowest(np.abs(guess - target), prompts)
    quota = allot(np.ones(len(nearest)), prompts * samples)
    return [(attempts.draw(int(numbers[i])), int(n)) for i, n in zip(nearest, quota, strict=True)]


def features(task: Task) -> np.ndarray:
    """(WIDTH,) float32 of length 1: hashed words and numbers of the prompt, how long it is, its family and its level."""
    text = " ".join(str(message.get("content", "")) for message in task.prompt)
    words = {*WORD.findall(text), f"length {len(text) // 8}"}
    names = [f"family {task.family}", f"arm {task.arm}", ""]
    codes = np.array([zlib.crc32(name.encode("utf-8", "surrogatepass")) for name in (*names, *words)])
    # The family and the level say most, and hundreds of words must not drown them.
    weights = np.where(codes & 1 << 20, 1.0, -1.0) * np.where(np.arange(len(codes)) < len(names), 4.0, 1.0)
    found = np.bincount(codes % WIDTH, weights, WIDTH)
    return (found / np.sqrt(found @ found + 1e-9)).astype(np.float32)


def fit(kept: dict[str, np.ndarray], attempts: Attempts, keep: float) -> None:
    """Take in what was observed since the last call: `kept` holds the Gram matrix, the moments, and how much was seen."""
    if not kept:
        kept.update(gram=np.zeros((WIDTH, WIDTH)), moment=np.zeros(WIDTH), seen=np.zeros(1, np.int64))
    new = attempts.taken - int(kept["seen"][0])
    if not new:
        return
    numbers = attempts.recent[-new:]
    rows = np.array([attempts.of(number, features) for number in numbers], np.float64)
    kept["gram"] = keep * kept["gram"] + rows.T @ rows
    kept["moment"] = keep * kept["moment"] + rows.T @ (attempts.latest[numbers] - 0.5)
    kept["seen"] = np.array([attempts.taken], np.int64)


def predict(kept: dict[str, np.ndarray], rows: np.ndarray, ridge: float = 0.1) -> np.ndarray:
    """Success rates, 1/2 where nothing is known."""
    weights = np.linalg.solve(kept["gram"] + ridge * np.eye(WIDTH), kept["moment"])
    return np.clip(0.5 + rows @ weights, 0.0, 1.0)
