"""MaskSearch (arXiv 2505.20285): a passage with masked spans, a search tool over a small world of facts; level = masks.

ReSeek (arXiv 2510.00568) has the same world and one tool more: after each search the agent says whether what it found helps.
Right is all spans; the reward is token F1 against them, for recall alone is 1 for who copies a whole passage.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sharpen.core import Verdict
from sharpen.environments.retrieval import Index, words

PEOPLE = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ida", "Jan")
PLACES = ("Aarhus", "Bern", "Cork", "Delft", "Essen", "Faro", "Ghent", "Hull", "Izmir", "Jena")
THINGS = ("drum", "clock", "kite", "lamp", "bell", "boat", "globe", "loom", "organ", "piano")
SPLITS = 7919  # of seeds: worlds of other seeds share no facts but by chance


def world(seed: int) -> list[tuple[str, str, str]]:
    """Facts (who, what, object), two of each person."""
    draw = random.Random(f"world {seed % SPLITS}")
    places, things = draw.sample(PLACES, len(PEOPLE)), draw.sample(THINGS, len(PEOPLE))
    return [fact for who, p, t in zip(PEOPLE, places, things) for fact in ((who, "lives in", p), (who, "owns a", t))]


def told(fact: tuple[str, str, str]) -> str:
    return f"{fact[0]} {fact[1]} {fact[2]}."


def drawn(task: Mapping[str, Any]) -> tuple[str, list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """(passage with masks, the facts that are masked, all facts)."""
    seed, masks = int(task.get("seed", 0)), min(max(int(task.get("level", 1)), 1), 4)
    facts = world(seed)
    chosen = random.Random(f"masks {seed}").sample(facts, masks)
    return " ".join(f"{who} {what} [{i}]." for i, (who, what, _) in enumerate(chosen, 1)), chosen, facts


def f1(said: Sequence[str], gold: Sequence[str]) -> float:
    """Token F1, as for SQuAD: 2 * common / (said + gold)."""
    a, b = Counter(w for s in said for w in words(s)), Counter(w for g in gold for w in words(g))
    common = sum((a & b).values())
    return 2 * common / (sum(a.values()) + sum(b.values())) if common else 0.0


def judged_searches(pairs: Sequence[tuple[bool, bool]], right: bool, a: float = 0.1, b: float = 0.05) -> float:
    """ReSeek's pay for judgements: (said useful, was useful) of each search, after whether the answer was right."""
    pay = 0.0
    for said, useful in pairs:
        if said:
            pay += a if right else -b / 2 if useful else -b
        else:
            pay += -b if useful else 0.2 * a
    return pay


class Masked:
    """Tools: search, judge, answer."""

    def reset(self, task: Mapping[str, Any]) -> str:
        self.passage, self.chosen, facts = drawn(task)
        self.index = Index([told(fact) for fact in facts])
        self.found: list[bool] = []  # whether each search brought what one of the masks needs
        self.pairs: list[tuple[bool, bool]] = []
        self.said: list[str] = []
        self.done = False
        return f"{self.passage} What stands in the brackets?"

    def search(self, query: str) -> str:
        """Search the documents.

        query  words
        """
        found = [self.index.texts[i] for i in self.index.search(query, 3)]
        self.found.append(any(told(fact) in found for fact in self.chosen))
        return " ".join(found) or "nothing"

    def judge(self, useful: bool) -> str:
        """Say whether the last search helped.

        useful  whether it did
        """
        if len(self.found) <= len(self.pairs):
            raise ValueError("there is no search that was not judged")
        self.pairs.append((useful, self.found[len(self.pairs)]))
        return "noted"

    def answer(self, spans: list[str]) -> str:
        """Give what stands in the brackets, in order.

        spans  one text for each
        """
        self.said, self.done = list(spans), True
        return "taken"

    def reward(self) -> Verdict:
        gold = [o for _, _, o in self.chosen]
        right = [s.strip() for s in self.said] == gold
        value = f1(self.said, gold) if len(self.said) <= len(gold) else 0.0
        parts = {
            "f1": value,
            "judged": judged_searches(self.pairs, right) if self.said else 0.0,
            "searches": float(len(self.found)),
        }
        return Verdict("correct" if right else "wrong", value, parts, rule="spans")


def solution(task: Mapping[str, Any]) -> list[str]:
    _, chosen, _ = drawn(task)
    asked = [f'search(query="{who} {what}")' for who, what, _ in chosen]
    return [*asked, "answer(spans=[" + ", ".join(f'"{o}"' for _, _, o in chosen) + "])"]
