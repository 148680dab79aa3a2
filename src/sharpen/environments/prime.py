"""A taskset of verifiers (version 1): its prompts are asked, and its own rewards score what is said, without a harness.

`verifiers:NAME` is an installed module that exports a `Taskset`; which of its tasks an episode is, `index` or the seed says. A
taskset with tool servers or containers brings its own agent: run that against a served model instead (docs/environments.md).
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sharpen.core import Observation, UserError, Verdict

MOST = 10_000  # tasks of an endless taskset


def maker(name: str) -> Callable[[], Prime]:
    """What makes one of its tasks, which are read once. UserError where it is missing, or needs an agent of its own."""
    import verifiers.v1 as vf

    module_name = name.rpartition("/")[2].partition("@")[0].replace("-", "_")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(
            f"verifiers:{name}: there is no module {module_name}: {error}. Install the taskset's package."
        ) from error
    exported = [getattr(module, n, None) for n in getattr(module, "__all__", ())]
    classes = [c for c in exported if isinstance(c, type) and issubclass(c, vf.Taskset) and c is not vf.Taskset]
    if len(classes) != 1:
        raise UserError(f"verifiers:{name}: the module exports {len(classes)} tasksets, and one is needed.")
    from verifiers.v1.utils.generic import concrete_type

    config = concrete_type(classes[0], vf.TasksetConfig) or vf.TasksetConfig
    tasks = list(itertools.islice(iter(classes[0](config(id=name))), MOST))
    if not tasks:
        raise UserError(f"verifiers:{name} holds no task.")
    if tasks[0].NEEDS_CONTAINER or type(tasks[0]).toolsets(tasks[0].config):
        raise UserError(f"verifiers:{name} needs tools or a container of its own: run its agent against a served model.")
    return partial(Prime, tasks)


class Prime:
    """One task of a taskset."""

    def __init__(self, tasks: list[Any]) -> None:
        self.tasks, self.said, self.done = tasks, "", False

    def reset(self, task: Mapping[str, Any]) -> str:
        self.task = self.tasks[int(task.get("index", task.get("seed", 0))) % len(self.tasks)]
        self.said, self.done = "", False
        data = self.task.data
        return "\n\n".join(text for text in (data.system_prompt or "", data.prompt_text) if text)

    def step(self, action: str) -> Observation:
        self.said, self.done = action, True
        return Observation("", True)

    def reward(self) -> Verdict:
        """The sum of the taskset's weighted rewards. What it raises is its own fault: unscorable."""
        trace = traced(self.task, self.said)
        asyncio.run(self.task.score(trace))
        parts = {name: float(reward.value) for name, reward in trace.rewards.items() if reward is not None}
        value = min(max(sum(parts.values()), 0.0), 1.0)
        return Verdict("correct" if value == 1 else "wrong", value, parts, rule="verifiers")


def traced(task: Any, said: str) -> Any:
    """What verifiers' scorers are given: a conversation of two messages."""
    from verifiers.v1 import graph
    from verifiers.v1.configs.agent import AgentConfig
    from verifiers.v1.trace import AgentInfo, Trace, TraceTask
    from verifiers.v1.types import AssistantMessage, UserMessage

    about = TraceTask(type=type(task).__name__, data=task.data, key=task.key, hash=task.hash)
    nodes = [
        graph.MessageNode(parent=None, message=UserMessage(content=task.data.prompt_text), sampled=False),
        graph.MessageNode(parent=0, message=AssistantMessage(content=said), sampled=True),
    ]
    return Trace(task=about, agent=AgentInfo(config=AgentConfig()), nodes=nodes, is_completed=True, ok=True)
