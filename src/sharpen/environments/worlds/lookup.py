"""Questions that need a search and a sum: prices stand in documents, and a bill of two of them is asked for (level 2), or one
price (level 1), for which a calculator is a waste; level 3 is a sum of digits, which needs neither."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from sharpen.core import Verdict
from sharpen.environments.retrieval import Index
from sharpen.verify.maths import calculate

THINGS = ("drum", "clock", "kite", "lamp", "bell", "boat", "globe", "loom", "organ", "piano", "sieve", "torch")


def made(task: Mapping[str, Any]) -> tuple[list[str], str, list[str], int]:
    """(documents, question, the things that are asked for, the answer)."""
    draw, level = random.Random(f"lookup {task.get('seed', 0)}"), int(task.get("level", 2))
    prices = {thing: draw.randint(11, 99) for thing in THINGS}
    documents = [f"The {thing} costs {price}." for thing, price in prices.items()]
    if level >= 3:
        a, b = draw.randint(1, 9), draw.randint(1, 9)
        return documents, f"{a}+{b}", [], a + b
    chosen = draw.sample(THINGS, min(level, 2))
    if level == 1:
        return documents, f"What costs the {chosen[0]}?", chosen, prices[chosen[0]]
    n, m = draw.randint(12, 39), draw.randint(12, 39)
    return documents, f"{n} {chosen[0]} and {m} {chosen[1]}?", chosen, n * prices[chosen[0]] + m * prices[chosen[1]]


class Lookup:
    """Tools: search, calc."""

    def reset(self, task: Mapping[str, Any]) -> str:
        documents, question, self.things, self.right = made(task)
        self.index, self.level = Index(documents), int(task.get("level", 2))
        self.searched = self.computed = self.calls = 0
        return question

    def search(self, query: str) -> str:
        """Search the price list.

        query  words
        """
        self.calls += 1
        found = [self.index.texts[i] for i in self.index.search(query, 2)]
        self.searched += any(thing in text for text in found for thing in self.things)
        return " ".join(found) or "nothing"

    def calc(self, x: str) -> str:
        """Work out an expression.

        x  such as 17*23
        """
        self.calls += 1
        found = calculate(x[:200])
        if found is None:
            raise ValueError("this cannot be worked out")
        self.computed += found == str(self.right)
        return found

    def reward(self, answer: str) -> Verdict:
        right = answer.strip().rstrip(".").split()[-1:] == [str(self.right)]
        needed = {1: self.searched, 2: self.searched + self.computed, 3: 0}[min(self.level, 3)]
        dummy = max(self.calls - needed, 0)
        parts = {"searched": float(self.searched > 0), "computed": float(self.computed > 0), "calls": float(self.calls)}
        return Verdict("correct" if right else "wrong", float(right), {**parts, "dummy": float(dummy)}, rule="lookup")


def solution(task: Mapping[str, Any]) -> list[str]:
    documents, question, things, right = made(task)
    said = [f'search(query="{thing}")' for thing in things]
    if len(things) == 2:
        n, m = question.split()[0], question.split()[3]
        prices = [next(d.split()[-1].rstrip(".") for d in documents if f" {thing} " in d) for thing in things]
        said.append(f'calc(x="{n}*{prices[0]}+{m}*{prices[1]}")')
    return [*said, str(right)]
