"""How hard tasks are for a model: by what it solves, with intervals; and where they lie for it, by its hidden states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sharpen import estimate, models
from sharpen.core import Arm, Ask, Task
from sharpen.loop import evaluation, telling
from sharpen.rollouts import asking, single


def difficulty(
    model_dir: Path, listed: Sequence[Task], samples: int = 4, seed: int = 0, progress: Any = None
) -> tuple[dict[str, Any], np.ndarray]:
    """(figures, (N, D) embeddings of the questions, rows of length 1) of a model in a directory, asked as it was trained.

    Figures: samples; rate with ci95, the mean share of right answers; never, sometimes and always, how many tasks came out so;
    and the same of each arm. What is solved sometimes can teach. Several answers are drawn at temperature 1; one is greedy.
    Raises UserError as `evaluate_model` does.
    """
    told = telling.measured(model_dir, (), samples, None, None)
    model, tokenizer = models.load_model(model_dir)
    told = telling.suited(told, tokenizer)
    answering = models.LocalPolicy(model, tokenizer)
    stream: dict[Arm, list[Task]] = {}
    for task in listed:
        stream.setdefault(task.arm, []).append(task)
    asked = [asking.told(Ask(task.prompt), task, told) for task in listed]
    models.probe(answering, str(model_dir), asked, told.max_tokens)
    by_arm = evaluation.ask(answering, stream, told, single, samples, seed, progress)
    groups = [group for arm in stream for group in by_arm[arm]]
    figures = {"samples": samples, **rates(groups), "arms": {str(arm): rates(by_arm[arm]) for arm in sorted(stream)}}
    return figures, models.embed(answering, asked)


def rates(groups: evaluation.Groups) -> Mapping[str, Any]:
    """What the answers to these tasks come to. Intervals count tasks, as those of `evaluation.estimates`."""
    judged = [[s.verdict.correct for s in group if s.verdict.reward is not None] for group in groups]
    shares = [sum(group) / len(group) for group in judged if group]
    found = estimate.share(sum(shares), len(shares))
    return {
        "rate": found.value if found else None,
        "ci95": [found.low, found.high] if found else None,
        "n": len(shares),
        "never": shares.count(0.0),
        "sometimes": sum(0 < share < 1 for share in shares),
        "always": shares.count(1.0),
    }
