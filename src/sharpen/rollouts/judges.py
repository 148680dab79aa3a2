"""Verdicts that need a model: a `verify` function that is a generator, run by the same driver as rollouts are.

    def verify(task, response):
        turn = yield Ask(…, role="judge")
        return Verdict(…)

It asks roles in one batch for all rollouts of a step. One that raises, or whose role gives no answer, is unscorable. What a
role said for a verdict is kept with the rollout, beside what roles said in it: so a judge can be looked at, and learn.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sharpen.core import GREEDY, Check, Rollout, Sample, Speaker, Turn, Verdict
from sharpen.recipe import asked_for
from sharpen.rollouts.driver import Going, Roles, conversations, perform
from sharpen.verify import Judges, join, verify

LONGEST = 256  # tokens that a judge may write, where its Ask does not say


class RoleJudges:
    """What `verify.Judges` is for verdicts without a model: in a with statement, `begin` and `judge`."""

    def __init__(
        self, verdict: Callable[..., Any], policy: Speaker, roles: Roles, seed: int, deadline_s: float = 120.0
    ) -> None:
        self.verify, self.policy, self.roles, self.seed = verdict, policy, roles, seed
        self.latest: list[Sample] = []  # what was judged last
        self.checking = Judges(verify, deadline_s=deadline_s)  # for `Check`

    def begin(self, number: int, rollout: Rollout) -> None:
        """A judge waits for the others, so that all are asked at once."""

    def judge(self, rollouts: Sequence[Rollout], groups: Sequence[int]) -> list[Sample]:
        """The rollouts with their verdicts, in order."""
        told = [rollout for rollout in rollouts if rollout.stop != "failed" and not isinstance(rollout.by, Verdict)]
        found: dict[str, Verdict] = {}
        said: dict[str, tuple[Turn, ...]] = {}

        def complete(i: int, this: Going, returned: Any) -> None:
            said[this.id] = tuple(conversations([turn for turn in this.turns if turn.author]))
            if isinstance(returned, Verdict):
                found[this.id] = returned
            else:
                why = (
                    str(returned) if isinstance(returned, Exception) else f"it returned {returned!r:.200}, which is no Verdict"
                )
                found[this.id] = Verdict("unscorable", None, feedback=why, rule="judged by a role")

        sees_turns = "turns" in asked_for(self.verify)
        generators = [self.verify(r.task, r.judged, **(dict(turns=r.turns) if sees_turns else {})) for r in told]
        ids = [f"{rollout.id}.verdict" for rollout in told]
        settings: dict[str, Any] = dict(
            seed=self.seed, max_tokens=LONGEST, sampling=GREEDY, roles=self.roles, checks=self.check
        )
        perform(self.policy, generators, ids, complete, **settings)
        kept = [replace(r, others=(*r.others, *said.get(f"{r.id}.verdict", ()))) for r in rollouts]
        self.latest = join(kept, groups, lambda rollout: found[f"{rollout.id}.verdict"])
        return self.latest

    def check(self, key: str, event: Check) -> Callable[[], Verdict]:
        """Begin what a `Check` asks for."""
        self.checking.submit(key, event.task, event.response)
        return partial(self.checked, key)

    def checked(self, key: str) -> Verdict:
        return self.checking.take(key)[0]

    def __enter__(self) -> RoleJudges:
        return self

    def __exit__(self, *error: object) -> None:
        self.checking.close()


def judging(verdict: Callable[..., Any], policy: Speaker, roles: Roles, seed: int, deadline_s: float) -> Judges | RoleJudges:
    """Who judges: processes, or, where the verifier is a generator, roles."""
    inner = verdict
    while isinstance(inner, functools.partial):
        inner = inner.func
    if inspect.isgeneratorfunction(inner):
        return RoleJudges(verdict, policy, roles, seed, deadline_s)
    return Judges(verdict, deadline_s=deadline_s)
