"""Episodes: the model acts on an environment, or calls tools, until it is done; what it is shown carries no loss.

1. The environment is reset with the task's data; what it shows stands behind the task's prompt.
2. What the model says is read as calls of tools (environments/calls.py), or, where the environment takes words, as it is. A
   call that is wrong is answered with what is wrong. A turn that calls nothing ends the episode: it is the answer.
3. After `turns` turns, or when the environment says so, it is over, and the environment judges (`core.Ended`). One that does
   not judge gives its last state, or the model's last words, to the task's verifier.
4. What fails on our side, a hang, a crash, garbage, is raised as `Failed`: the rollout is unscorable, never wrong.

What the environment says comes in the model's own template, as a message of the role "tool"; marks of the template in it are
broken up, so that it cannot end a turn (`models.templates`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any

from sharpen import environments
from sharpen.core import Act, Ask, Ended, Message, Observation, RolloutGenerator, Task, Turn, UserError, Verdict
from sharpen.environments import calls
from sharpen.rollouts.asking import after_system
from sharpen.verify import right_response

SHOWN = "observed"  # a message's mark: an environment wrote it, so nothing in it is a mark of the template's
CALLED = "call"  # the part of a verdict that counts calls


def acting(
    task: Task,
    env: str = "numbers",
    turns: int = 10,
    seconds: float = 30.0,
    system: str = "",
    told: bool = True,
    shown: bool = False,
    held_out: str = "",
) -> RolloutGenerator:
    """An episode in the environment that the SPEC `env` names, each of whose steps has `seconds`.

    shown  the task's worked solution, a list of what to say in `data`, is acted out as if the model had said it
    held_out  the environment of tasks that are not for training, such as the same without what helps; "": the same
    """
    env = held_out or env if task.split != "train" else env
    return (yield from episode(task, environments.open_env(env, task), turns, seconds, system, shown, told))


def remembering(
    task: Task,
    env: str = "numbers",
    turns: int = 10,
    seconds: float = 30.0,
    system: str = "",
    told: bool = True,
    k: int = 2,
    shown: bool = False,
    *,
    recall: Callable[[str, int], list[str]],
) -> RolloutGenerator:
    """`acting`, and before it stands what the student did in k earlier episodes that were like this one and went well."""
    before = partial(remembered, recall, k)
    return (yield from episode(task, environments.open_env(env, task), turns, seconds, system, shown, told, before))


def remembered(recall: Callable[[str, int], list[str]], k: int, first: str) -> str:
    found = environments.told(recall(first, k))
    return f"{found}\n\n{first}" if found else first


def with_toolbox(
    task: Task,
    tools: str = "calculator,python",
    turns: int = 5,
    seconds: float = 10.0,
    system: str = "",
    told: bool = True,
    shown: bool = False,
) -> RolloutGenerator:
    """The task's question with tools at hand, by name with commas between them (`environments.TOOLS`). What is said last,
    without a call, is the answer, and the task's verifier judges it."""
    box = environments.Toolbox([name.strip() for name in tools.split(",") if name.strip()], task)
    return (yield from episode(task, box, turns, seconds, system, shown, told))


def episode(
    task: Task,
    environment: Any,
    turns: int = 10,
    seconds: float = 30.0,
    system: str = "",
    shown: bool = False,
    told: bool = True,
    before: Callable[[str], str] | None = None,
) -> Generator[Any, Any, Ended]:
    """An episode in an environment at hand: anything with `reset`, `step`, `judge`, and the lists `tools` and `words`.

    told  whether the model is told which tools there are; one that was trained on them knows
    before  what is shown first in the place of what the environment shows
    """
    first: Observation = yield Act(environment, "", seconds, kind="reset")
    words = before(first.text) if before else first.text
    said = worked(task) if shown else []
    tools = tuple(environment.tools) if told else ()
    turn: Turn = yield ask(opening(task, words, system), said, 0, tools=tools)
    done, counts = first.done, {CALLED: 0.0, "mistakes": 0.0}
    for number in range(1, turns + 1):
        if done:
            break
        heard = yield from heard_of(environment, turn.text, seconds, counts)
        if heard is None:
            break
        messages, done = heard
        if done or number == turns or (shown and number == len(said)):
            break
        turn = yield ask(tuple(messages), said, number, after=turn)
    end: Observation = yield Act(environment, turn.text, seconds, kind="judge")
    return Ended(turn, judged(end, counts))


def worked(task: Task) -> list[str]:
    """What to say turn by turn; a solution in one piece is said in one. UserError where there is none."""
    said = task.data.get("solution") or task.solution or right_response(task)
    if not said:
        raise UserError(
            f"task {task.id} of {task.arm} has no worked solution, so its episode cannot be shown. Give its line a `solution`, "
            "a list of what is said turn by turn, or show none: --set warmup_steps=0."
        )
    return [said] if isinstance(said, str) else list(said)


def ask(messages: tuple[Message, ...], said: Sequence[str], number: int, **more: Any) -> Ask:
    """The model's next turn; one of the worked solution, as far as there is one."""
    return Ask(messages, answer=said[number] if number < len(said) else None, **more)


def heard_of(
    environment: Any, text: str, seconds: float, counts: dict[str, float]
) -> Generator[Any, Any, tuple[list[Message], bool] | None]:
    """(what the environment says of a turn, whether it is over); None for a turn that does nothing."""
    if environment.words:
        seen: Observation = yield Act(environment, text, seconds)
        counts[CALLED] += 1
        return [{"role": "user", "content": seen.text, SHOWN: True}], seen.done
    wanted, wrong = calls.read(text, environment.tools)
    if wrong:
        counts["mistakes"] += 1
        return [result("", f"error: {wrong}")], False
    if not wanted:
        return None
    messages, done = [], False
    for call in wanted:
        if wrong := calls.mistake(call, environment.tools):
            counts["mistakes"] += 1
            messages.append(result(call.name, f"error: {wrong}"))
            continue
        counts[CALLED] += 1
        action = json.dumps({"name": call.name, "arguments": dict(call.arguments)})
        seen = yield environment.event(action, seconds) if hasattr(environment, "event") else Act(environment, action, seconds)
        if hasattr(environment, "told"):
            seen = environment.told(action, seen)
        messages.append(result(call.name, seen.text))
        done = done or seen.done
        if done:
            break
    return messages, done


def result(name: str, text: str) -> Message:
    return {"role": "tool", "name": name, "content": text, SHOWN: True}


def opening(task: Task, shown: str, system: str) -> tuple[Message, ...]:
    """The task's prompt, and behind it what the environment shows first; that alone where the task has no words of its own."""
    own = () if task.data.get("silent") else task.prompt
    if not shown:
        return after_system(own, system)
    if own and own[-1]["role"] == "user" and isinstance(own[-1]["content"], str):
        joined = {**own[-1], "content": f"{own[-1]['content']}\n\n{shown}", SHOWN: True}
        return after_system((*own[:-1], joined), system)
    return after_system((*own, {"role": "user", "content": shown, SHOWN: True}), system)


def judged(end: Observation, counts: Mapping[str, float]) -> Verdict | str:
    """The environment's verdict, with the numbers of calls and of mistakes in them as parts; or what a verifier judges."""
    if end.verdict is None:
        return end.text
    found = end.verdict
    parts = {**counts, **end.parts, **found.parts}
    return Verdict(found.outcome, found.reward, parts, found.feedback, found.rule, found.version, found.isolation, found.credit)
