"""Tools inside an answer: the model writes a call between two marks, what comes of it is put behind, and it goes on.

    … <calc>17 * 23</calc> <output>391</output> … <python>print(2 ** 10)</python> <output>1024</output> …

What a tool says is context and carries no loss. Source of the form: ToRA, arXiv 2309.17452, section 2; R1-Code-Interpreter,
arXiv 2505.21668.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sharpen.core import Act, Ask, Observation, Ran, RolloutGenerator, Run, Task
from sharpen.rollouts.rollout import with_system
from sharpen.verify.maths import calculate

PYTHON, CALCULATOR = "python", "calc"


class Calculator:
    """An environment that works out an expression exactly, such as 17 * (3 + 1/4). What is none, or costs too much, it says."""

    def step(self, action: str) -> Observation:
        return Observation(calculate(action) or "error: this cannot be worked out")


def with_tools(task: Task, system: str = "", tools: Sequence[str] = (CALCULATOR, PYTHON), calls: int = 4) -> RolloutGenerator:
    """One answer in which the model may call tools, at most `calls` times; then it answers without."""
    calculator = Calculator()
    ends = tuple(f"</{name}>" for name in tools)
    turn = yield Ask(with_system(task, system), stop=ends)
    for left in reversed(range(calls)):
        called = [name for name in tools if turn.stop == "stop" and f"<{name}>" in turn.text]
        if not called:
            break
        name = max(called, key=lambda n: turn.text.rfind(f"<{n}>"))
        said: Any = turn.text.rpartition(f"<{name}>")[2]
        found = yield Run(said) if name == PYTHON else Act(calculator, said)
        turn = yield Ask((), after=turn, insert=f"<output>{shown(found)}</output>", stop=ends if left else ())
    return turn


def shown(found: Ran | Observation) -> str:
    """What the model is told of a call."""
    if isinstance(found, Observation):
        return found.text
    return found.stdout.strip() if found.status == "ok" else f"{found.status}: {(found.stderr or found.stdout).strip()[-200:]}"
