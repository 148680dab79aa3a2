"""Plans of a journey, held against its constraints: an offer a day, open on that day, none twice, within a budget.

What a plan fails is a function of the plan and the task, so that the feedback on it can always be made again.
Source: "Can We Rely on LLM Agents to Draft Long-Horizon Plans?", arXiv 2408.06318, for the kind of task; the rules are ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sharpen.core import Task, Verdict

CONSTRAINTS = ("form", "budget", "open", "once")
LINE = re.compile(r"\W*(\d{1,3})\W+(\w{1,40})\W*")
ASKED = "Plan: {said}."


def faults(task: Task, text: str) -> list[str]:
    """The constraints that a plan fails; "form" alone where it is none."""
    found = text.lower().replace("<answer>", "\n").replace("</answer>", "\n").splitlines()
    lines = [m.groups() for line in found if (m := LINE.fullmatch(line))]
    offers = {offer["name"]: offer for offer in task.data["offers"]}
    if [int(day) for day, _ in lines] != list(range(1, task.data["days"] + 1)) or any(n not in offers for _, n in lines):
        return ["form"]
    failed = []
    if sum(offers[name]["price"] for _, name in lines) > task.data["budget"]:
        failed.append("budget")
    if any(int(day) not in offers[name]["days"] for day, name in lines):
        failed.append("open")
    if len({name for _, name in lines}) < len(lines):
        failed.append("once")
    return failed


def feedback(failed: Sequence[str]) -> str:
    """The faults in words."""
    return f"fails {', '.join(failed)}" if failed else "passes all"


def journey(task: Task, response: str) -> Verdict:
    """Right where it keeps all constraints; the reward is the share that it keeps, below 1 otherwise."""
    failed = faults(task, response)
    outcome = "malformed" if failed == ["form"] else "wrong" if failed else "correct"
    kept = 0.0 if outcome == "malformed" else 1 - len(failed) / len(CONSTRAINTS)
    parts = {name: float(name not in failed) for name in CONSTRAINTS[1:]}
    return Verdict(outcome, kept, parts, feedback(failed), "journey")
