"""A model measured over several attempts: what stands between them, who gives it, and how each attempt is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sharpen import models, rollouts, verify
from sharpen.core import Role, RolloutGenerator, Sample, UserError
from sharpen.models import roles as casting
from sharpen.rollouts import feedback as feedbacks
from sharpen.verify import turns

SPEAKERS = {"critic": "critic", "checklist": "judge", "person": "person"}  # of the feedback that somebody else gives
AT_HAND = {"person": "sharpen.terminal:person"}


def asked(attempts: int, feedback: str) -> tuple[Callable[..., RolloutGenerator], Callable[..., Any]]:
    """(how a task is asked, how it is judged). Raises UserError for an unknown feedback, and for less than two attempts."""
    if attempts < 2:
        raise UserError(f"attempts={attempts}: take two or more; one is what is measured without --attempts.")
    rollout = partial(rollouts.retry, feedback=feedbacks.named(feedback), attempts=attempts)
    return rollout, partial(verify.each_turn, kinds=feedbacks.KINDS.get(feedback, "a"), credited=False)


def speakers(feedback: str, given: Sequence[str], student: models.LocalPolicy) -> dict[str, Any]:
    """Who stands behind the role that this feedback asks: as `--role NAME=WHO` says, else the model itself. Raises UserError
    for a role that nobody asks, and for who cannot be reached."""
    name = SPEAKERS.get(feedback)
    roles = casting.named([Role(name, bound=AT_HAND.get(name, "student"))] if name else [], given)
    casting.reach(roles)

    def like(path: Path) -> models.LocalPolicy:
        return models.LocalPolicy(*models.load_model(path))

    return casting.bind(roles, student, like)


def episodes(made: Sequence[Sample]) -> list[turns.Episode]:
    """The attempts of each answer that could be judged."""
    found = []
    for sample in made:
        spans = [*sample.rollout.spans, *(s for other in sample.rollout.others for s in other.spans)]
        tokens = {s.turn: s.stop - s.start for s in spans if not s.author}
        one = turns.episode(sample.verdict.parts, sample.rollout.turns, [tokens[n] for n in sorted(tokens)])
        found += [one] if one else []
    return found
