"""A conversation with a simulated user whom a role plays; what the user says carries no loss.

Whoever stands behind the role: a model with the wish in its system message; one that is steered (`models.steering.write` makes
a directory of it, `--role user=DIR`); or `customer`, a script.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sharpen.core import Ask, Message, RolloutGenerator, Task, Turn
from sharpen.rollouts.acting import SHOWN, ask, worked
from sharpen.rollouts.asking import after_system

FACT = re.compile(r"\b(\w+): (\w+)")


def talking(task: Task, turns: int = 6, role: str = "user", system: str = "", shown: bool = False) -> RolloutGenerator:
    """The student asks, the user answers, until the student says something that is no question, or after `turns` turns: that
    is judged. The user alone knows the task's `wish`; a task without one has no user, and is answered at once.

    shown  the task's worked solution is said as if the student had said it
    """
    said = worked(task) if shown else []
    turn: Turn = yield ask(after_system(task.prompt, system), said, 0)
    talk: list[Message] = [
        {"role": "system", "content": str(task.data.get("wish", ""))}
    ]  # as the user has it: a script keeps nothing
    for number in range(1, turns):
        if "wish" not in task.data or "?" not in turn.text:
            break
        talk.append({"role": "user", "content": turn.text})
        heard = yield Ask(tuple(talk), role=role)
        talk.append({"role": "assistant", "content": heard.text})
        turn = yield ask(({"role": "user", "content": heard.text, SHOWN: True},), said, number, after=turn)
    return turn


def customer(messages: Sequence[Mapping[str, Any]]) -> str:
    """A scripted user: says the facts of its wish whose names it is asked for. It has no traits."""
    facts = FACT.findall(str(messages[0]["content"]))
    asked = str(messages[-1]["content"]).casefold()
    return ", ".join(value for name, value in facts if name in asked) or "I do not know."
