"""Something that a rollout acts on, and sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sharpen.core.rollouts import Turn
    from sharpen.core.verdicts import Verdict

LONGEST = 2000  # characters of a tool's or an environment's words that come back; the middle is left out


def shortened(text: str, longest: int = LONGEST) -> str:
    """Beginning and end of a text that is too long, and between them how much was left out."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"


class Environment(Protocol):
    """Something that is acted on. It belongs to one rollout, which made it, and holds that rollout's state.

    Beside `step` it may have `reset` and `judge`, which an `Act` of that kind calls in the same way; and `begin(act)`, which
    starts any of them elsewhere and returns a Future of the observation, so that none of them takes a thread here.
    """

    def step(self, action: str) -> Observation:
        """What comes of an action. An action that makes no sense is an observation too, not an error."""


@dataclass(frozen=True)
class Act:
    """An action on an environment, which has that many seconds. kind: the method that it calls, "step", "reset" or "judge"."""

    environment: Environment
    action: str
    seconds: float = 30.0
    longest: int = LONGEST
    kind: str = "step"


@dataclass(frozen=True)
class Observation:
    """What an environment shows.

    done     the episode is over: no further step makes sense
    parts    the reward's components, by name, as far as it decides them
    verdict  on the whole episode, where it was asked to judge and can
    """

    text: str
    done: bool = False
    parts: Mapping[str, float] = field(default_factory=dict)
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Ended:
    """What a rollout may return instead of its turns alone: with them what an environment says of the episode.

    by  its verdict; or its last state, a text that the verifier judges in the place of the last turn
    """

    turns: Turn | tuple[Turn, ...]
    by: Verdict | str
