"""Something that a rollout acts on, and sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

LONGEST = 2000  # characters of a tool's or an environment's words that come back; the middle is left out


class Environment(Protocol):
    """Something that is acted on. It belongs to one rollout, which made it, and holds that rollout's state."""

    def step(self, action: str) -> Observation:
        """What comes of an action. An action that makes no sense is an observation too, not an error."""


@dataclass(frozen=True)
class Act:
    """An action on an environment, which has that many seconds."""

    environment: Environment
    action: str
    seconds: float = 30.0
    longest: int = LONGEST


@dataclass(frozen=True)
class Observation:
    """What an environment shows. `parts` are the reward's components, by name, as far as it decides them."""

    text: str
    done: bool = False
    parts: Mapping[str, float] = field(default_factory=dict)
