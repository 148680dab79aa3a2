"""Faults of an environment, looked for by acting on it: what does not repeat, what stays behind, what pays a cheat.

1. Two resets with the same task and seed show the same, in two processes.
2. A second reset of the same object, after it was acted on, shows what the first one did: no state stays between episodes.
3. No tool, called with the emptiest arguments that its schema allows, shows the task's answer.
4. Who repeats what the environment shows, or says nothing, is not right.
5. Somebody judges: the class has a `reward`, or the task a verifier.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sharpen.core import Act, Failed, Observation, Task, TaskSource
from sharpen.environments.hosted import Hosted, open_env
from sharpen.environments.loading import acts

STEPS = 4  # that a cheat makes
JUDGED = "environment"  # the verifier of a task that is its environment's to judge


def probe(spec: str, tasks: Sequence[Task], seconds: float = 30.0) -> list[str]:
    """What is wrong, a sentence each. UserError where the environment cannot be loaded."""
    found: list[str] = []
    for task in tasks:
        try:
            found += [said for said in look(spec, task, seconds) if said not in found]
        except Failed as failed:
            if (said := f"it fails: {failed}") not in found:
                found.append(said)
    return found


def look_at(spec: str, source: TaskSource, seed: int) -> list[str]:
    """The same of an environment that is not ours, on the first task for training, before a run begins."""
    arm = next((arm for arm in source.arms if source.size(arm, "train") != 0), None)
    if arm is None or not acts(spec):
        return []
    return [f"The environment {spec}: {said}." for said in probe(spec, [source.draw(arm, "train", 0, seed)])]


def look(spec: str, task: Task, seconds: float) -> list[str]:
    found = []
    one, other = open_env(spec, task), open_env(spec, task)
    first, again = reset(one, seconds), reset(other, seconds)
    if first.text != again.text:
        found.append(
            "a reset with the same task and seed shows something else each time: draw only from random.Random(task['seed'])"
        )
    shown = [(tool, seen.text) for tool, seen in cheats(one, seconds)]
    answer = str(task.answer or "").strip()
    for tool, text in shown:
        if len(answer) > 1 and answer in text and answer not in first.text:
            found.append(
                f"{tool or 'a step'} shows the answer: {answer!r} stands in what it says when it is called with nothing"
            )
    end = one.now(Act(one, shown[-1][1] if shown else first.text, seconds, kind="judge"))
    if end.verdict is None and task.verifier == JUDGED:
        found.append("nobody judges an episode: give the class a method reward(), or the tasks an answer and a verifier")
    if end.verdict and end.verdict.correct:
        found.append("a cheat that only calls tools with empty arguments, and repeats what they say, is paid in full")
    nothing = other.now(Act(other, "", seconds, kind="judge"))
    if nothing.verdict and nothing.verdict.correct:
        found.append("who does nothing at all is paid in full")
    if first.text == again.text and reset(one, seconds).text != first.text:
        found.append("an episode leaves something behind: after it, a reset shows something else. Build all state in reset()")
    return found


def reset(environment: Hosted, seconds: float) -> Observation:
    return environment.now(Act(environment, "", seconds, kind="reset"))


def cheats(environment: Hosted, seconds: float) -> list[tuple[str, Observation]]:
    """What each tool, or a few steps, show to somebody who knows nothing."""
    if environment.words:
        return [("", environment.now(Act(environment, word, seconds))) for word in ("", "help", "answer", "submit")[:STEPS]]
    found = []
    for tool in environment.tools:
        name, schema = tool["function"]["name"], tool["function"]["parameters"]
        given = {key: emptiest(schema["properties"][key]) for key in schema.get("required", ())}
        call = json.dumps({"name": name, "arguments": given})
        seen = environment.now(Act(environment, call, seconds))
        found.append((name, seen))
        if seen.done:
            break
    return found


def emptiest(schema: Mapping[str, Any]) -> Any:
    """The least that fits a schema."""
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return emptiest(schema["anyOf"][0])
    kinds = {"string": "", "integer": 0, "number": 0.0, "boolean": False, "array": [], "object": {}, "null": None}
    return kinds.get(str(schema.get("type")), "")
