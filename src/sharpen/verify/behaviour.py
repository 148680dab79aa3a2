"""How an answer goes about it: words that show checking, turning back, sub-goals and trying cases. Monitors, not rewards."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from sharpen.core import Task, Verdict
from sharpen.verify import verdicts

LONGEST = 50_000  # characters that are looked at
# After the four behaviours that SimpleRL-Zoo (arXiv 2503.18892, section 3) has a model count; its words are ours.
BEHAVIOURS = {
    "verifying": re.compile(
        r"\b(?:let me (?:check|verify)|check(?:ing)?(?: this| that| my)?\b|verif(?:y|ying)|to confirm)", re.I
    ),
    "turning back": re.compile(
        r"\b(?:wait|hold on|actually|on second thought|that(?: is|'s) (?:wrong|not right)|let me (?:re|try again))", re.I
    ),
    "sub-goals": re.compile(r"\b(?:first(?:ly)?,|second(?:ly)?,|step \d|next, (?:we|I)|to (?:solve|do) this, (?:we|I))", re.I),
    "trying cases": re.compile(r"\b(?:case \d|try(?:ing)? (?:\w+ )?(?:=|each|all|every)|if (?:\w+) ?= ?\d|one by one)", re.I),
}


def shown(response: str) -> dict[str, float]:
    """Each behaviour, 1 where the answer shows it and 0 where not."""
    text = response[:LONGEST]
    return {name: float(bool(pattern.search(text))) for name, pattern in BEHAVIOURS.items()}


def watched(
    task: Task, response: str, form: float = 0.0, verifier: Callable[[Task, str], Verdict] = verdicts.verify
) -> Verdict:
    """The verifier's verdict, with the behaviours as parts: reward and outcome stay the verifier's.

    form  taken off the reward of an answer that cannot be read, as SimpleRL-Zoo's format reward does; 0 where it would keep a
          base model from exploring. Rewards stay at 0 or above, so it raises what can be read by as much
    """
    found = verifier(task, response)
    if found.reward is None:
        return found
    reward = float(found.reward)
    if form:
        reward = (reward + form * (found.outcome != "malformed")) / (1 + form)
    return replace(found, reward=reward, parts={**found.parts, **shown(response)})


OUTCOME_REWARDS = {"correct": 1.0, "wrong": 0.35, "malformed": 0.0}  # every other outcome: RAN_BADLY
RAN_BADLY = 0.2


def graded(task: Task, response: str, verifier: Callable[[Task, str], Verdict] = verdicts.verify) -> Verdict:
    """CodeRL's four rewards of a program (arXiv 2207.01780, equations 4 to 7): all tests passed 1, some failed -0.3, failed to
    run -0.6, no program that can be read -1, here (r + 1) / 2. The outcome stays the verifier's."""
    found = verifier(task, response)
    if found.reward is None:
        return found
    return replace(found, reward=OUTCOME_REWARDS.get(found.outcome, RAN_BADLY))
