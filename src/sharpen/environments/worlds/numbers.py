"""Sums that are hard to do in one's head and easy with a calculator, and easy ones for which calling it is a waste.

Level 1 adds two digits, which needs no tool; level n > 1 multiplies two numbers of n digits.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from sharpen.core import Task, Verdict
from sharpen.verify import final_answer, read_number
from sharpen.verify.maths import calculate


def question(task: Mapping[str, Any]) -> tuple[str, int]:
    draw, level = random.Random(int(task.get("seed", 0))), int(task.get("level", 2))
    if level == 1:
        a, b = draw.randint(1, 9), draw.randint(1, 9)
        return f"{a}+{b}", a + b
    a, b = (draw.randint(10 ** (level - 1), 10**level - 1) for _ in range(2))
    return f"{a}*{b}", a * b


class Numbers:
    """What is said last, without a call, is the answer: to the task, where it has one, or to the question of its seed."""

    def reset(self, task: Mapping[str, Any]) -> str:
        self.needed = float(int(task.get("level", 2)) > 1)
        asked, right = question(task) if "answer" not in task else ("", task["answer"])
        self.asked, self.right = asked, str(right)
        self.calls = 0
        return f"{self.asked}=" if self.asked else ""

    def calc(self, x: str) -> str:
        """Work out an expression.

        x  such as 17*23
        """
        self.calls += 1
        found = calculate(x[:200])
        if found is None:
            raise ValueError("this cannot be worked out")
        return found

    def reward(self, answer: str) -> Verdict:
        nobody = Task((), self.right, "numbers", 1, verifier="number")
        said, right = read_number(final_answer(nobody, answer, "number")[0], False), read_number(self.right, False)
        parts = {"calls": float(self.calls), "dummy": max(self.calls - self.needed, 0.0)}
        outcome = "malformed" if said is None else "correct" if said == right else "wrong"
        return Verdict(outcome, float(outcome == "correct"), parts, rule="number")


def solution(task: Mapping[str, Any]) -> list[str]:
    asked, right = question(task)
    return [str(right)] if int(task.get("level", 2)) == 1 else [f'calc(x="{asked}")', str(right)]
