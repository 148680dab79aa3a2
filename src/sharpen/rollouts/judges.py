"""Verdicts that need a model: a `verify` function that is a generator, run by the same driver as rollouts are.

    def verify(task, response):
        turn = yield Ask(…, role="judge")
        return Verdict(…)

It asks roles in one batch for all rollouts of a step. One that raises, or whose role gives no answer, is unscorable.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from sharpen.core import GREEDY, Rollout, Sample, Speaker, Verdict
from sharpen.rollouts.driver import Going, Roles, perform
from sharpen.verify import Judges, join

LONGEST = 256  # tokens that a judge may write, where its Ask does not say


class RoleJudges:
    """What `verify.Judges` is for verdicts without a model: in a with statement, `begin` and `judge`."""

    def __init__(self, verify: Callable[..., Any], policy: Speaker, roles: Roles, seed: int) -> None:
        self.verify, self.policy, self.roles, self.seed = verify, policy, roles, seed

    def begin(self, number: int, rollout: Rollout) -> None:
        """A judge waits for the others, so that all are asked at once."""

    def judge(self, rollouts: Sequence[Rollout], groups: Sequence[int]) -> list[Sample]:
        """The rollouts with their verdicts, in order."""
        told = [rollout for rollout in rollouts if rollout.stop != "failed" and not isinstance(rollout.by, Verdict)]
        found: dict[str, Verdict] = {}

        def complete(i: int, this: Going, returned: Any) -> None:
            if isinstance(returned, Verdict):
                found[this.id] = returned
            else:
                why = (
                    str(returned) if isinstance(returned, Exception) else f"it returned {returned!r:.200}, which is no Verdict"
                )
                found[this.id] = Verdict("unscorable", None, feedback=why, rule="judged by a role")

        generators = [self.verify(rollout.task, rollout.judged) for rollout in told]
        ids = [f"{rollout.id}.verdict" for rollout in told]
        settings: dict[str, Any] = dict(seed=self.seed, max_tokens=LONGEST, sampling=GREEDY, roles=self.roles)
        perform(self.policy, generators, ids, complete, **settings)
        return join(rollouts, groups, lambda rollout: found[f"{rollout.id}.verdict"])

    def __enter__(self) -> RoleJudges:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held."""


def judging(verify: Callable[..., Any], policy: Speaker, roles: Roles, seed: int, deadline_s: float) -> Judges | RoleJudges:
    """Who judges: processes, or, where the verifier is a generator, roles."""
    inner = verify
    while isinstance(inner, functools.partial):
        inner = inner.func
    if inspect.isgeneratorfunction(inner):
        return RoleJudges(verify, policy, roles, seed)
    return Judges(verify, deadline_s=deadline_s)
