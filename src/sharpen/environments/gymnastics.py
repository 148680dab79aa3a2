"""Gymnasium's environments as text: what is seen is written out, and one word is one action.

Actions of Discrete spaces have names where the environment has them (an enum `actions`, as MiniGrid's), else numbers; of Box
spaces, and of several choices, they are numbers with spaces between. MiniGrid's pictures are written as rows of letters, its
mission where it is new. An episode is won where the sum of its rewards is above 0, or at least the environment's
`reward_threshold`; `parts` has the sum.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import numpy as np

from sharpen.core import Observation, UserError, Verdict

MODULES = {"MiniGrid": "minigrid", "BabyAI": "minigrid", "ALE": "ale_py"}  # what registers ids that begin so
CELLS = {0: "?", 1: ".", 2: "#", 3: ".", 4: "D", 5: "K", 6: "O", 7: "B", 8: "G", 9: "~", 10: "@"}
COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
NUMBER = re.compile(r"-?\d*\.?\d+(?:e[+-]?\d+)?")
WORD = re.compile(rf"{NUMBER.pattern}|\w+")


def maker(id: str) -> Callable[[], Gymnastics]:
    """What makes one. UserError where the environment, or a package of its own, is missing."""
    import gymnasium

    if module := next((module for start, module in MODULES.items() if id.startswith(start)), None):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UserError(f"gymnasium:{id} needs the package {module}: pip install {module}") from error
    try:
        with gymnasium.make(id) as once:
            Gymnastics(once).known()
    except (gymnasium.error.Error, UserError) as error:
        raise UserError(f"gymnasium:{id}: {error}") from error
    return lambda: Gymnastics(gymnasium.make(id))


class Gymnastics:
    """One environment."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        named = getattr(inner.unwrapped, "actions", None)
        self.names = [each.name for each in named] if isinstance(named, type) and issubclass(named, Enum) else []
        self.total, self.done, self.mission = 0.0, False, ""

    def reset(self, task: Mapping[str, Any]) -> str:
        seen, _ = self.inner.reset(seed=int(task.get("seed", 0)))
        self.total, self.done, self.mission = 0.0, False, ""
        return f"{self.shown(seen)}\nActions: {self.known()}"

    def step(self, action: str) -> Observation:
        if self.done:
            raise ValueError("the episode is over")
        seen, reward, terminated, truncated, _ = self.inner.step(self.read(action))
        self.total += float(reward)
        self.done = bool(terminated or truncated)
        return Observation(self.shown(seen), self.done, {"return": self.total})

    def shown(self, seen: Any) -> str:
        """What is seen, without a mission that was told before."""
        if not isinstance(seen, dict) or "image" not in seen:
            return written(seen)
        before, self.mission = self.mission, str(seen.get("mission", ""))
        return written({**seen, "mission": ""} if self.mission == before else seen)

    def known(self) -> str:
        space = self.inner.action_space
        if self.names:
            return ", ".join(self.names[: getattr(space, "n", len(self.names))])
        if discrete(space):
            return f"0 to {space.n - 1}"
        low, high = bounds(space)
        kind = "whole number" if np.issubdtype(space.dtype, np.integer) else "number"
        within = f" from {low.min():g} to {high.max():g}" if np.isfinite([low.min(), high.max()]).all() else ""
        return f"{low.size} {kind}{'s' * (low.size != 1)}{within}"

    def read(self, text: str) -> Any:
        """The action that is written, the last one of several. ValueError, which the model is told, where there is none."""
        space, found = self.inner.action_space, WORD.findall(text.lower())
        if discrete(space):
            names = [name.lower() for name in self.names]
            numbers = [names.index(w) if w in names else int(w) for w in found if w in names or w.isdecimal()]
            if not numbers or not 0 <= numbers[-1] < space.n:
                raise ValueError(f"this names no action. There are: {self.known()}")
            return numbers[-1] + int(space.start)
        low, high = bounds(space)
        values = np.array([float(word) for word in found if NUMBER.fullmatch(word)])
        whole = np.issubdtype(space.dtype, np.integer)
        if values.size != low.size or not np.isfinite(values).all() or (whole and (values != np.round(values)).any()):
            raise ValueError(f"an action is {self.known()}")
        return np.clip(values.reshape(low.shape), low, high).astype(space.dtype)

    def reward(self) -> Verdict:
        """What is paid for every step that is needed, a threshold below 0, is won by who comes to the end, not by who stops."""
        wanted = getattr(self.inner.spec, "reward_threshold", None) or 0.0
        if wanted < 0:
            won = self.done and self.total >= wanted
            share = wanted / self.total if self.done and self.total < wanted else 0.0
        else:
            won = self.total >= wanted if wanted else self.total > 0
            share = min(max(self.total / (wanted or 1.0), 0.0), 1.0)
        return Verdict("correct" if won else "wrong", 1.0 if won else share, {"return": self.total}, rule="return")


def discrete(space: Any) -> bool:
    return hasattr(space, "n") and hasattr(space, "start")


def bounds(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest action of several numbers. UserError where an action is something else."""
    if hasattr(space, "low"):
        return space.low, space.high
    if hasattr(space, "nvec"):
        return np.zeros_like(space.nvec) + getattr(space, "start", 0), space.nvec - 1 + getattr(space, "start", 0)
    if hasattr(space, "n"):
        return np.zeros(space.shape), np.ones(space.shape)
    raise UserError(f"its actions are a {type(space).__name__}, which cannot be written as words or numbers")


def written(seen: Any) -> str:
    """An observation as text."""
    if isinstance(seen, dict) and "image" in seen:  # MiniGrid: (width, height, 3), the agent in the middle of the last row
        image = seen["image"]
        rows = [
            " ".join(
                "A" if (x, y) == (image.shape[0] // 2, image.shape[1] - 1) else cell(image[x, y]) for x in range(image.shape[0])
            )
            for y in range(image.shape[1])
        ]
        return "\n".join([*filter(None, [str(seen.get("mission", ""))]), *rows])
    if isinstance(seen, dict):
        return "\n".join(f"{key}: {written(value)}" for key, value in seen.items())
    if hasattr(seen, "tolist"):
        values = seen.tolist()
        return (
            " ".join(f"{v:.3g}" for v in values)
            if isinstance(values, list) and all(isinstance(v, float) for v in values)
            else str(values)
        )
    return str(seen)


def cell(code: Any) -> str:
    kind, colour, state = map(int, code)
    if kind == 4:
        return f"D{COLOURS[colour % 6][0]}{('o', 'c', 'l')[state % 3]}"
    return CELLS.get(kind, "?") + (COLOURS[colour % 6][0] if kind in (5, 6, 7) else "")
