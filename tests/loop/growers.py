"""Growers that misbehave, and an honest one, as a user's own file would have them."""

from __future__ import annotations

from dataclasses import replace

from sharpen.core import Ask, GrowthGenerator, Task
from sharpen.data import growth
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.tasks import interpolated

MILLION = 10**6


def own(failed, text: str, answer: str, **more) -> Task:
    given = dict(family="own", level=1, verifier="number", parents=(failed[0].rollout.task.id,), operator="own") | more
    return Task(({"role": "user", "content": text},), answer, **given)


def honest(failed, arms, rng, *, source) -> GrowthGenerator:
    """Tasks between two levels that come whatever was measured; the student is not good enough for the procedural grower."""
    yield from ()
    parent = (failed[0].rollout.task.id,)
    return [interpolated("chain_sum", 1, 2, int(seed), parent) for seed in rng.integers(2**31, size=6)]


def cheat(failed, arms, rng, *, source) -> GrowthGenerator:
    """Validation and test questions under another name, among tasks that are fine."""
    yield from ()
    stolen = [source.draw(arms[0], split, i, 3) for split in ("validation", "test") for i in range(5)]
    parent = (failed[0].rollout.task.id,)
    named = [replace(task, split="train", family="own", parents=parent, operator="own") for task in stolen]
    return [*named, *stolen, own(failed, "How many is two and two?", "4")]


def wrong(failed, arms, rng) -> GrowthGenerator:
    """Answers that their own verifier refuses or cannot read, a verifier that does not exist, and one that is fine."""
    yield from ()
    bad = [own(failed, "How many is two and one?", "three"), own(failed, "How many is three and six?", "9", solution="8")]
    odd = [own(failed, "How many is one and one?", "2", verifier="oracle")]
    return [*bad, *odd, own(failed, "How many is two and two?", "4")]


def copies(failed, arms, rng) -> GrowthGenerator:
    yield from ()
    return [own(failed, "How many is two and two?", "4")] * 5


def many(failed, arms, rng) -> GrowthGenerator:
    yield from ()
    return [own(failed, "How many is two and two?", "4")] * MILLION


def raises(failed, arms, rng) -> GrowthGenerator:
    yield from ()
    raise RuntimeError("no task comes to mind")


def asks(failed, arms, rng) -> GrowthGenerator:
    answer = yield Ask(({"role": "user", "content": "a task, please"},))
    return [answer]


def returns_words(failed, arms, rng) -> GrowthGenerator:
    yield from ()
    return "How many is two and two?"


def returns_none(failed, arms, rng) -> GrowthGenerator:
    yield from ()
    return []


def no_generator(failed, arms, rng) -> list[Task]:
    return []


def wants_more(failed, arms, rng, *, judge) -> GrowthGenerator:
    yield from ()
    return []


def recipe(grower: str = "honest", tries: int = 0) -> Recipe:
    grow = globals().get(grower) or getattr(growth, grower)
    return replace(grpo.recipe(), grow=grow, grow_tries=tries)
