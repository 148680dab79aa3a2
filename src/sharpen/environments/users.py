"""Simulated users that are scripted: what they want, and four traits that make it hard to help them.

    patience      questions after which they leave
    confusion     chance that the first answer about something is wrong; who asks whether it is right is told
    skepticism    chance that they ask for a confirmation before they answer
    incoherence   chance that they say something beside the point instead

Source of the traits: tau-Trait (arXiv 2510.04491). The facts of a task do not depend on its traits, and chances are drawn for
each fact by itself, so a run with traits differs from one without in nothing else. models/steering.py makes a model play such a
user by activation steering.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ASIDES = ("My dog is called Rex.", "It rains here.", "I like trains.")


@dataclass(frozen=True)
class Traits:
    patience: int = 20
    confusion: float = 0.0
    skepticism: float = 0.0
    incoherence: float = 0.0


class User:
    """Somebody who wants something: facts by name, and for each what else could be said. `left`: has gone."""

    def __init__(self, facts: Mapping[str, str], others: Mapping[str, Sequence[str]], traits: Traits, seed: int) -> None:
        self.facts, self.traits, self.left, self.asked = dict(facts), traits, False, 0
        self.said: dict[str, str] = {}
        self.doubted: set[str] = set()
        self.chances: dict[str, tuple[float, float, float]] = {}
        self.wrong: dict[str, str] = {}
        for name in sorted(facts):
            draw = random.Random(f"user {seed} {name}")
            self.chances[name] = (draw.random(), draw.random(), draw.random())
            rest = [each for each in others.get(name, ()) if each != facts[name]]
            self.wrong[name] = draw.choice(rest) if rest else facts[name]

    def ask(self, name: str) -> str:
        """What they answer when they are asked for a fact."""
        if not self.patient():
            return "I have had enough."
        if name not in self.facts:
            return "I do not know."
        confused, skeptical, incoherent = self.chances[name]
        if name not in self.doubted and skeptical < self.traits.skepticism:
            self.doubted.add(name)
            return "Why do you want to know?"
        if name not in self.said and incoherent < self.traits.incoherence:
            self.said[name] = ""
            return ASIDES[int(incoherent * 1e6) % len(ASIDES)]
        value = self.wrong[name] if name not in self.said and confused < self.traits.confusion else self.facts[name]
        self.said[name] = value
        return value

    def confirm(self, name: str, value: str) -> str:
        """What they say when they are asked whether something is right."""
        if not self.patient():
            return "I have had enough."
        return "yes" if self.facts.get(name) == value else f"no, {self.facts.get(name, 'I do not know')}"

    def patient(self) -> bool:
        self.asked += 1
        self.left = self.left or self.asked > self.traits.patience
        return not self.left


def expected_success(slots: int, confusion: float) -> float:
    """Of an agent that never asks again: (1 - q)^m, so that q = 0.2 costs 48.8 points of three slots."""
    return (1 - confusion) ** slots
