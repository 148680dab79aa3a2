"""What is to be handed over and what not: worked solutions call with the question's own numbers; no two levels share one."""

import re

import pytest

from sharpen import tasks
from sharpen.core import SPLITS, UserError
from sharpen.environments import calls
from sharpen.environments.toolbox import Toolbox
from sharpen.hashing import split_of
from sharpen.verify import verify


def test_worked_solutions_call_where_it_helps_and_are_right():
    source, seen = tasks.handed_over(), {}
    for arm in source.arms:
        for split in SPLITS:
            task = source.draw(arm, split, 5, 0)
            *called, said = task.data["solution"]
            a, b = map(int, re.findall(r"\d+", task.prompt[-1]["content"]))
            assert verify(task, said).correct and split_of(task.prompt) == split and len(called) == task.data["calls"]
            longest = max(len(str(a)), len(str(b)))
            assert longest == arm.level + 2 or (arm.level == 1 and longest == 2)
            assert seen.setdefault(frozenset((a, b)), arm) == arm
            tools = Toolbox(["python"], task).tools
            made = [call for text in called for call in calls.read(text, tools)[0]]
            assert [dict(call.arguments) for call in made] == ([{"code": f"{a}*{b}"}] if arm.family == "products" else [])
            assert int(said) == (a * b if arm.family == "products" else max(a, b))
            assert calls.read(said, tools) == ([], "")


def test_levels_that_there_are_not_are_refused():
    with pytest.raises(UserError, match="levels 1 to 3"):
        tasks.handed_over(4)
