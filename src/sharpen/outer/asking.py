"""A way to ask a finished model as the candidate: temperature, nucleus, longest answer, system message. No weight changes.

"Systematic Optimization of Open Source Large Language Models for Mathematical Reasoning", arXiv 2509.07238: what is reported
beside accuracy is what a right answer costs, E[tokens] / accuracy. The paper's 100 % of success is automatic where the default
is in the grid and the same tasks judge both; so here other tasks report than those that chose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sharpen import loop, models, tasks
from sharpen.compare import paired
from sharpen.core import Arm, Task, TaskSource, UserError
from sharpen.outer.history import Failed
from sharpen.rollouts import single

LONGEST = 256


@dataclass(frozen=True)
class Model:
    """A loaded model and the streams on which ways to ask it are chosen and reported."""

    directory: Path
    policy: models.LocalPolicy
    tokenizer: Any
    streams: Mapping[str, Mapping[Arm, Sequence[Task]]]
    seed: int


@dataclass(frozen=True)
class Answered:
    """By arm (N,) the share of right answers to each task, NaN where none was judged; and tokens written an answer."""

    scores: Mapping[Arm, np.ndarray]
    tokens: float
    told: str

    @property
    def accuracy(self) -> float:
        return paired.value(self.scores)

    @property
    def cost(self) -> float:
        """Tokens for a right answer; infinite where there is none."""
        return self.tokens / self.accuracy if self.accuracy > 0 else float("inf")


def opened(directory: Path, source: TaskSource, n: int, seed: int, precision: str = "auto", device: str = "auto") -> Model:
    """Load it once. The two streams share no question."""
    model, tokenizer = models.load_model(directory)
    policy = models.LocalPolicy(model, tokenizer, precision, device=device)
    streams = {split: tasks.held_out(source, split, n, seed) for split in ("validation", "test")}
    return Model(directory, policy, tokenizer, streams, seed)


def answered(model: Model, settings: Sequence[str], split: str, samples: int = 1) -> Answered:
    """Its answers to a stream when it is asked so. Failed for settings that make no sense, and where nothing was judged."""
    try:
        told = loop.telling.of_directory(model.directory, model.tokenizer, settings)
    except UserError as error:
        raise Failed(str(error)) from error
    if not told.max_tokens:
        told = loop.telling.changed(told, [f"max_tokens={LONGEST}"])
    asked = samples if told.sampling.temperature > 0 else 1
    by_arm = loop.ask(model.policy, model.streams[split], told, single, asked, model.seed)
    scores = {}
    for arm, groups in by_arm.items():
        judged = [[float(s.verdict.correct) for s in group if s.verdict.reward is not None] for group in groups]
        scores[arm] = np.array([np.mean(one) if one else np.nan for one in judged])
    made = [s for groups in by_arm.values() for group in groups for s in group]
    if not made or all(np.isnan(s).all() for s in scores.values()):
        raise Failed("none of its answers could be judged")
    tokens = float(np.mean([s.rollout.sampled.sum() for s in made]))
    return Answered(scores, tokens, str(told))
