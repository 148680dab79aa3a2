"""For the checks of recipes that hold weights: a weight, a gradient, and a student that is nothing but weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from sharpen.core import Batch, Passage, Rollout, Sample, Tableau, Task, Verdict
from sharpen.recipe import call

if TYPE_CHECKING:
    from torch import Tensor


def held(tableau: Tableau, weight: Any, gradient: Any, past: Mapping[str, Any], name: str = "w") -> np.ndarray:
    """The gradient of a weight after `hold`."""
    import torch

    made = {f"{kind}:{name}": torch.as_tensor(np.asarray(v, np.float32)) for kind, v in past.items()}
    parameter = torch.tensor(np.asarray(weight, np.float32), requires_grad=True)
    parameter.grad = torch.tensor(np.asarray(gradient, np.float32))
    assert tableau.hold is not None
    with torch.no_grad():
        tableau.hold({name: parameter}, made)
    return parameter.grad.numpy()


def keeper(tableau: Tableau) -> Callable[[Passage], Mapping[str, Any]]:
    """What a tableau keeps of stages, of one that keeps something."""
    assert tableau.keep is not None
    return tableau.keep


def passage(
    weight: Any, directions: Sequence[Any], past: Mapping[str, Tensor] | None = None, stage: int = 1, name: str = "w"
) -> Passage:
    """To a stage, of a student with one weight whose likelihood rises in these directions, one for each answer."""
    import torch

    trained = {name: torch.tensor(np.asarray(weight, np.float32))}
    left = iter(directions)

    def direction(batch: Batch, tableau: Tableau) -> list[Tensor]:
        return [torch.tensor(np.asarray(next(left), np.float32))]

    policy = SimpleNamespace(trained=trained, direction=direction)
    return Passage(policy, stage, [answer() for _ in directions], past or {}, 0)


def played(select: Callable[..., list[Sample]], steps: int, **knobs: Any) -> list[list[int]]:
    """Which of four old answers, by number, are replayed beside two new ones, step after step.

    The old ones have likelihoods of 0, -1, -2, -3; the even ones are of one arm, the odd ones of another, and the latter's
    questions lie where the new ones do.
    """

    def sample(i: int, family: str) -> Sample:
        task = Task(({"role": "user", "content": family},), "1", family, 1)
        tokens, sampled = np.arange(3, dtype=np.int32), np.array([False, True, True])
        said = Rollout(task, tokens, sampled, np.zeros(3, np.float32), ("1",), "end", 0, i, f"{family}{i}")
        return Sample(said, Verdict("correct", 1.0), i)

    old, new = [sample(i, ("far", "near")[i % 2]) for i in range(4)], [sample(i, "new") for i in range(2)]
    place = {"far": [1.0, 0.0], "near": [0.0, 1.0], "new": [0.0, 1.0]}
    offered: dict[str, Any] = {
        "earlier": old,
        "notes": {},
        "likelihood": lambda listed: np.array([-float(s.rollout.seed) for s in listed]),
        "embed": lambda listed: np.array([place[messages[0]["content"]] for messages in listed]),
    }
    found = []
    for step in range(steps):
        offered["rng"] = np.random.default_rng(step)
        chosen = call(partial(getattr(select, "func", select), **knobs), new, **offered)
        found.append([s.rollout.seed for s in chosen if s.group < 0])
    return found


def answer() -> Batch:
    """One answer of two tokens."""
    one, row = np.ones(1), np.ones((1, 2))
    return Batch(row.astype(np.int64), row, -row, one, np.zeros(1, np.int64), one, np.full(1, 2))
