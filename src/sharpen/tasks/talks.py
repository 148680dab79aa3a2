"""Customers to talk with: each wants a flight, a role plays it, and what it wants is the answer.

Data: `wish`, what whoever plays the customer is told; `traits`, by name, which stand in the wish in words; `solution`, the
student's turns of somebody who asks for one thing after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sharpen import environments
from sharpen.core import SPLITS, Arm, Task, TaskSource
from sharpen.hashing import derive

FAMILY, LEVELS = "customers", (1, 2, 3)  # things to be found out
MANNERS: Mapping[str, str] = {
    "confusion": "You mix things up, and only see it when you are asked again.",
    "impatience": "You are in a hurry and annoyed by questions.",
    "incoherence": "You often speak of something else.",
    "skepticism": "You want to know first why you are asked.",
}
WISH = "You are a customer, and want a flight. {facts}. You are asked about it: say what is asked for, and no more. {manner}"


USERS: Sequence[Mapping[str, float]] = ({}, *({trait: 1.0} for trait in MANNERS))


def talks(users: Sequence[Mapping[str, float]] = USERS) -> TaskSource:
    """Endless; users: the traits of each kind of customer, which take turns."""

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        number = derive(seed, "customer", split, index) % 2**31
        number += SPLITS.index(split) - number % len(SPLITS)  # no two splits share one
        facts = environments.airline.wanted({"seed": number, "level": arm.level})
        traits = dict(users[number // len(SPLITS) % len(users)])
        told = ", ".join(f"{name}: {value}" for name, value in facts.items())
        manner = " ".join(MANNERS[name] for name, weight in traits.items() if weight)
        question = f"Customer {number}. Find out: {', '.join(facts)}. Ask for one thing at a time; then say all, with commas."
        answer = ", ".join(facts.values())
        said = [*(f"{name}?" for name in facts), answer]
        data = {"wish": WISH.format(facts=told, manner=manner).strip(), "traits": traits, "solution": said}
        prompt = ({"role": "user", "content": question},)
        return Task(prompt, answer, FAMILY, arm.level, split, "exact", data, "\n".join(said))

    return TaskSource("customers", tuple(Arm(FAMILY, level) for level in LEVELS), draw, languages=frozenset())
