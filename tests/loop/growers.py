"""Growers that misbehave, and an honest one, as a user's own file would have them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sharpen.core import Ask, GrowthGenerator, Refused, Repair, Role, Task, Weakness
from sharpen.data import growth, label, noisy, propose
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


def mends(failed, arms, rng, *, seen) -> GrowthGenerator:
    """Mends one label, drops another, names a weakness, leaves a label in dispute; and repairs what is none of the run's."""
    yield from ()
    tasks = list(dict.fromkeys(s.rollout.task for s in failed if not s.rollout.task.operator))
    weak = Weakness("chain_sum/1", "skill", len(failed), len(seen), 0.1, 0.9, tuple(failed[:2]))
    claimed = own(failed, "How many is two and three?", "6")
    foreign = replace(tasks[0], answer="12345")
    repairs = [Repair(tasks[0], "999"), Repair(tasks[1]), Repair(foreign, "1"), Repair(tasks[2], tasks[2].answer)]
    return [weak, Refused("label in dispute", "claimed 6, found 5", claimed), *repairs]


def no_generator(failed, arms, rng) -> list[Task]:
    return []


def wants_more(failed, arms, rng, *, judge) -> GrowthGenerator:
    yield from ()
    return []


def recipe(grower: str = "honest", tries: int = 0) -> Recipe:
    if grower == "written":
        loop = partial(growth.closed_loop, propose=propose.rewrite, label=(label.by_judge,))
        return replace(grpo.recipe(), grow=loop, grow_tries=tries, roles=(Role("proposer"), Role("judge")))
    grow = globals().get(grower) or getattr(growth, grower)
    return replace(grpo.recipe(), grow=grow, grow_tries=tries)


wrong_teacher, right_judge = noisy.Teacher(wrong=0.5, seed=1), noisy.Judge()  # for --role NAME=growers:…
