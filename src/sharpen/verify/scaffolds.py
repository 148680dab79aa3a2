"""Rewards by criteria: what of them an answer meets, points taken off for what it should not do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sharpen.core import Task, UserError, Verdict
from sharpen.verify import rewards, verdicts

VERSION = "1"


def points(items: Sequence[Mapping[str, Any]], met: Sequence[float]) -> float:
    """Points of the criteria that are met, those below 0 among them, over the sum of those above 0; not clipped at 0. Source:
    RuscaRL's release. UserError where none is above 0."""
    weights = [float(item.get("weight", 1)) for item in items]
    total = sum(w for w in weights if w > 0)
    if total <= 0:
        raise UserError("no criterion of this rubric is worth anything. Give one of them a weight above 0.")
    return sum(w * m for w, m in zip(weights, met, strict=True)) / total


def by_criteria(task: Task, response: str, share: float = 0.5) -> Verdict:
    """The verdict by the verifier that the task names; its reward is `share` of the points of the task's criteria, and the
    rest of the answer's own. Criteria are the task's `rubric` (`verify.rubric`), else the steps of its worked solution; a task
    with neither has the verdict alone. Parts: "criteria", the points.
    """
    if not 0 <= share <= 1:
        raise UserError(f"share={share}: this is a share of the reward, from 0 to 1.")
    found = verdicts.verify(task, response)
    items = criteria(task)
    if found.reward is None or not items:
        return found
    named = [{**item, "name": f"{i}", "weight": 1} for i, item in enumerate(items)]
    ticked = rewards.rubric(replace(task, data={**task.data, "rubric": named}), response)
    if ticked.reward is None:
        return ticked
    worth = points(items, [ticked.parts.get(f"{i}", 0.0) for i in range(len(items))])
    reward = share * worth + (1 - share) * found.reward
    parts = {**found.parts, "criteria": worth}
    return replace(found, reward=reward, parts=parts, rule=f"{found.rule}, criteria", version=f"{found.version}; {VERSION}")


def criteria(task: Task) -> list[Mapping[str, Any]]:
    """The items of the task's own rubric (`verify.rubric`); where it has none, one for each different step of the worked
    solution, which the answer has to contain."""
    own = task.data.get("rubric")
    return list(own) if own else [{"kind": "contains", "value": step} for step in dict.fromkeys(steps(task))]


def steps(task: Task) -> list[str]:
    """The steps of the worked solution before its answer, split at white space."""
    return (task.solution or "").partition("<answer>")[0].split()


def untagged(task: Task, response: str) -> Verdict:
    """The verdict by the verifier that the task names, on what comes behind the tags that a response begins with,
    <tags>…</tags>. Tags that are never closed are no answer."""
    text = response.lstrip()
    if text.startswith("<tags>"):
        _, closed, rest = text.partition("</tags>")
        text = rest if closed else ""
    return verdicts.verify(task, text if response.lstrip().startswith("<tags>") else response)
