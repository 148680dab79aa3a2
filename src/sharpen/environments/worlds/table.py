"""Questions on a table in SQLite (DataMind, arXiv 2509.25084; DeepAnalyze, arXiv 2510.16872): level n takes n steps.

DeepAnalyze's reward for data tasks is the mean of a judge and the share of code cells without an error; here the judge is the
right answer. `padded` is the released form for open research, whose term min(turns / 10, 1) pays for idling.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from sharpen.core import Verdict
from sharpen.environments.tools import Database

SHOPS, KINDS = ("north", "south", "east"), ("tea", "milk", "bread")


def made(task: Mapping[str, Any]) -> tuple[str, str, str, int]:
    """(script, question, the query that answers it, the answer)."""
    seed, level = int(task.get("seed", 0)), min(max(int(task.get("level", 1)), 1), 3)
    draw = random.Random(f"table {seed}")
    rows = [(shop, kind, draw.randint(1, 20)) for shop in SHOPS for kind in KINDS]
    script = "CREATE TABLE sales(shop, kind, n);" + "".join(f"INSERT INTO sales VALUES('{a}','{b}',{n});" for a, b, n in rows)
    shop, kind = draw.choice(SHOPS), draw.choice(KINDS)
    if level == 1:
        return (
            script,
            f"{kind} in {shop}?",
            f"SELECT n FROM sales WHERE shop='{shop}' AND kind='{kind}'",
            next(n for a, b, n in rows if (a, b) == (shop, kind)),
        )
    if level == 2:
        return script, f"All {kind}?", f"SELECT SUM(n) FROM sales WHERE kind='{kind}'", sum(n for _, b, n in rows if b == kind)
    most = max(sum(n for a, _, n in rows if a == each) for each in SHOPS)
    return script, "Most in one shop?", "SELECT MAX(s) FROM (SELECT SUM(n) AS s FROM sales GROUP BY shop)", most


class Table:
    """A tool: query. What is said last is the answer."""

    def reset(self, task: Mapping[str, Any]) -> str:
        script, question, _, self.right = made(task)
        self.base = Database({"sql": script})
        self.cells = self.fine = 0
        return f"Table sales(shop, kind, n). {question}"

    def query(self, sql: str) -> str:
        """Run SQL.

        sql  one statement
        """
        self.cells += 1
        shown = self.base.sql(sql)
        self.fine += 1
        return shown

    def reward(self, answer: str) -> Verdict:
        right = answer.strip().rstrip(".").split()[-1:] == [str(self.right)]
        clean = self.fine / self.cells if self.cells else 0.0
        parts = {"right": float(right), "clean": clean, "cells": float(self.cells)}
        return Verdict("correct" if right else "wrong", composite(float(right), clean), parts, rule="table")


def composite(judge: float, clean: float) -> float:
    """A data task: the mean of what a judge says and the share of cells without an error."""
    return (judge + clean) / 2


def padded(judge: float, clean: float, turns: int) -> float:
    """Open research as released: also a third for turns, which ten empty ones earn in full."""
    return (judge + clean + min(turns / 10, 1.0)) / 3


def solution(task: Mapping[str, Any]) -> list[str]:
    _, _, query, right = made(task)
    return [f'query(sql="{query}")', str(right)]
