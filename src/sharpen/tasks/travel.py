"""Journeys to plan: offers, a budget and days (verify/journeys.py judges). Always solvable: each is drawn about a plan."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from sharpen.core import Arm, Task, TaskSource, UserError
from sharpen.hashing import derive, split_of

FAMILY = "journeys"
LEVELS = {1: 2, 2: 3, 3: 4}  # days
PLACES = "museum harbour castle market tower zoo palace bridge park theatre".split()
TRIES = 200


def journeys(noise: bool = True) -> TaskSource:
    """Endless, of two to four days; `noise`: every other question has lines that no plan needs."""

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        if arm.family != FAMILY or arm.level not in LEVELS:
            raise UserError(f"journeys has no {arm}; it has {', '.join(f'{FAMILY}/{level}' for level in LEVELS)}.")
        for attempt in range(TRIES):
            rng = Random(derive(seed, "journeys", split, arm.level, index, attempt))
            made = drawn(rng, arm.level, split, noise and index % 2 == 1)
            if split_of(made.prompt) == split:
                return made
        raise UserError(f"{arm}: {TRIES} draws brought no question of the {split} split")

    return TaskSource("journeys", tuple(Arm(FAMILY, level) for level in LEVELS), draw, languages=frozenset())


def drawn(rng: Random, level: int, split: str = "test", noise: bool = False) -> Task:
    """One of them: `data` has days, budget, offers and the plan that it was drawn about, its worked solution."""
    days = LEVELS[level]
    names = rng.sample(PLACES, days + 2)
    plan = [(name, rng.randint(2, 9)) for name in names[:days]]
    budget = sum(price for _, price in plan) + rng.randint(0, 3)
    offers: list[dict[str, Any]] = [
        {"name": n, "price": p, "days": sorted({d, rng.randint(1, days)})} for d, (n, p) in enumerate(plan, 1)
    ]
    offers += [{"name": name, "price": budget + rng.randint(1, 9), "days": [1]} for name in names[days:]]
    lines = [f"{o['name']}: price {o['price']}, open on day {' and '.join(map(str, o['days']))}" for o in offers]
    lines += [f"note: the {rng.choice(('river', 'hotel', 'station'))} is {rng.randint(1, 9)} km away" for _ in range(4 * noise)]
    rng.shuffle(lines)
    data = {"days": days, "budget": budget, "offers": offers, "noise": int(noise)}
    solution = "\n".join(f"{day} {name}" for day, (name, _) in enumerate(plan, 1))
    prompt = ({"role": "user", "content": question(lines, days, budget)},)
    return Task(prompt, None, FAMILY, level, split, "journey", data, solution=solution)


def question(lines: Sequence[str], days: int, budget: int) -> str:
    return (
        "Offers:\n"
        + "\n".join(lines)
        + f"\nPlan {days} days with one offer each, none twice, each on a day on which it is open, "
        f"for at most {budget} together. Write one line a day, such as: 1 museum."
    )


def scrubbed(task: Task) -> str:
    """The question with the lines that are offers only: what a scrubber leaves. All that a plan needs is among them."""
    names = {str(offer["name"]) for offer in task.data["offers"]}
    kept = [line for line in str(task.prompt[0]["content"]).splitlines() if line.partition(":")[0] in names]
    return question(kept, int(task.data["days"]), int(task.data["budget"]))
