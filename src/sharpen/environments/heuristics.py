"""Heuristics for planning that a model writes as programs (arXiv 2503.18809): the search runs in the sandbox with the program,
and the plans that it prints are checked here, outside of it. So a program can lie about nothing but its own failure.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from sharpen.core import Ran, Run, Task, Verdict, VerdictGenerator
from sharpen.environments.worlds import planning

SECONDS = 10.0
ASKED = """Write a Python function h(state, goal) -> number for blocks world: a guess of the moves that are still needed.
state[i] is what block i + 1 stands on, 0 is the table, and so is goal. For example: {start} to {goal}."""
FENCE = re.compile(r"```(?:python)?\n(.*?)(?:```|\Z)", re.DOTALL)


def heuristic(task: Task, response: str) -> VerdictGenerator:
    """The share of the task's problems that greedy best-first search solves with this heuristic; correct: all of them."""
    found = FENCE.findall(response)
    code = found[-1] if found else response
    if "def h(" not in code:
        return Verdict("malformed", 0.0, feedback="There is no function h.", rule="heuristic")
    problems = [planning.problem(int(seed), task.level) for seed in task.data["problems"]]
    ran: Ran = yield Run(program(code, problems), seconds=SECONDS, longest=100_000)
    if ran.status != "ok":
        outcome = {"crash": "wrong", "malformed": "malformed"}.get(ran.status, ran.status)
        return Verdict(outcome, 0.0, feedback=ran.stderr[-300:], rule="heuristic")
    solved = sum(valid(plan, problem) for plan, problem in zip(plans(ran.stdout, len(problems)), problems, strict=True))
    value = solved / len(problems)
    return Verdict("correct" if value == 1 else "wrong", value, {"solved": float(solved)}, rule="heuristic")


def program(code: str, problems: list[tuple[planning.State, planning.State]]) -> str:
    """The search, with the model's function in it, printing a plan for each problem."""
    source = inspect.getsource(planning).partition("class Planning")[0]
    ask = f"import json\nfor start, goal in {problems!r}:\n    print(json.dumps(gbfs(start, goal, h)[0]))\n"
    return f"{source}\n{code}\n{ask}"


def plans(printed: str, n: int) -> list[Any]:
    """The last n lines, as JSON; None for what is none."""
    lines = printed.splitlines()[-n:]
    found: list[Any] = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except (ValueError, RecursionError):
            found.append(None)
    return [None] * (n - len(found)) + found


def valid(plan: Any, problem: tuple[planning.State, planning.State]) -> bool:
    if not isinstance(plan, list) or not all(
        isinstance(s, list) and len(s) == 2 and all(type(v) is int for v in s) for s in plan
    ):
        return False
    return planning.check(*problem, [(block, to) for block, to in plan]) == "valid"


def asked(seed: int, level: int) -> tuple[str, Mapping[str, Any]]:
    """(question, task data)."""
    start, goal = planning.problem(seed, level)
    return ASKED.format(start=start, goal=goal), {"problems": [seed + i for i in range(4)]}
