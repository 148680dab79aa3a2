"""Tools beside a task that its verifier judges: several of tools.py as one environment, in this process and in the sandbox."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sharpen.core import Act, Observation, Ran, Run, Task, UserError, suggest
from sharpen.environments.schema import tools_of
from sharpen.environments.tools import TOOLS


class Toolbox:
    """The tools of these names, on what the task's data holds. UserError for a name that there is not."""

    words = False

    def __init__(self, names: Sequence[str], task: Task) -> None:
        for name in names:
            if name not in TOOLS:
                raise UserError(f"there is no tool {name!r}.{suggest(name, TOOLS)} There are: {', '.join(TOOLS)}.")
        self.task = task
        self.things: dict[str, Any] = {}
        self.tools: list[dict[str, Any]] = []
        for name in names:
            thing = TOOLS[name](task.data)
            offered = [tool for tool in tools_of(thing) if tool["function"]["name"] not in ("run", "ran", "text")]
            self.things |= {tool["function"]["name"]: thing for tool in offered}
            self.tools += offered

    def reset(self, action: str) -> Observation:
        return Observation("")

    def event(self, action: str, seconds: float) -> Act | Run:
        """What a call is: a program for the sandbox, or an action here."""
        call = json.loads(action)
        thing = self.things[call["name"]]
        if hasattr(thing, "run"):
            return thing.run(*call["arguments"].values(), seconds)
        return Act(self, action, seconds)

    def told(self, action: str, seen: Ran | Observation) -> Observation:
        """What the model is told of it."""
        if isinstance(seen, Observation):
            return seen
        self.things[json.loads(action)["name"]].ran(seen.status == "ok")
        if seen.status == "ok":
            return Observation(seen.stdout.strip() or "(nothing was printed)")
        return Observation(f"{seen.status}: {(seen.stderr or seen.stdout).strip()[-400:]}")

    def step(self, action: str) -> Observation:
        call: Any = json.loads(action)
        try:
            return Observation(getattr(self.things[call["name"]], call["name"])(**call["arguments"]))
        except ValueError as error:
            return Observation(f"error: {error}")

    def judge(self, action: str) -> Observation:
        return Observation(action)
