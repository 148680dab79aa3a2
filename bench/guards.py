"""Policies of keeping, in simulated whole runs in which the true skill is known: python bench/guards.py

A run is 20 rounds of arms whose tasks are of many difficulties, so that a share `changing` of them comes out otherwise from one
evaluation to the next although nothing is different. Every arm gains the same in each round. In some worlds one arm loses five
points at once, or one point in each round. What a guard takes back is as it was.

    lost        share of the steps that were taken back
    caught      of the runs with a harm, those in which it was taken back within two rounds
    ever        the same, whenever
    chosen, reported  how much the exported weights' own figures on validation flatter them, in points: on the half that a guard
                may choose by, and on the other one
    gain        true skill of what is exported, less that at the start, in points
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpen import guard
from sharpen.core import Arm, Evaluation
from sharpen.recipe import call


@dataclass(frozen=True)
class World:
    """gain, harm, drift are shares. harm: of the first arm, between a quarter and a half of the run; drift: of the first
    arm, in each round. An arm that is harmed gains nothing else. noise: share of verdicts that say the opposite. wobble:
    standard deviation of each arm's true skill from round to round, around where it is."""

    arms: int = 21
    tasks: int = 40
    rounds: int = 20
    changing: float = 0.1
    gain: float = 0.0
    harm: float = 0.0
    drift: float = 0.0
    noise: float = 0.0
    wobble: float = 0.0


@dataclass(frozen=True)
class Found:
    lost: float
    caught: float  # rounds from the harm until weights without it are gone on from; inf: never
    chosen: float
    reported: float
    gain: float


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -40, 40)))


def chances(skill: np.ndarray, hardness: np.ndarray, width: float) -> np.ndarray:
    """(arms, tasks) of success, from (arms,) mean chances and tasks whose difficulty has this width: a probit, by its logistic
    approximation."""
    place = np.log(skill / (1 - skill)) / 1.702
    return logistic(1.702 * (place[:, None] * np.sqrt(1 + width**2) + width * hardness))


def width(changing: float) -> float:
    """Of difficulties at which that share of tasks changes, over arms of all skills."""
    hardness, skill = np.random.default_rng(0).normal(size=(1, 400)), np.linspace(0.1, 0.9, 17)
    low, high = 0.0, 60.0
    for _ in range(40):
        middle = (low + high) / 2
        p = chances(skill, hardness, middle)
        low, high = (middle, high) if 2 * (p * (1 - p)).mean() > changing else (low, middle)
    return low


def simulate(world: World, policy: Callable[..., Any], seed: int, spread: float) -> Found:
    """One run under one guard."""
    rng = np.random.default_rng(seed)
    arms = [Arm("arm", i) for i in range(world.arms)]
    skill, hardness = rng.uniform(0.1, 0.9, world.arms), rng.normal(size=(world.arms, world.tasks))
    when = int(rng.integers(world.rounds // 4, world.rounds // 2 + 1))

    def look(skill: np.ndarray) -> Evaluation:
        p = chances(np.clip(skill + world.wobble * rng.normal(size=world.arms), 0.01, 0.99), hardness, spread)
        right = rng.random(p.shape) < p * (1 - 2 * world.noise) + world.noise
        return Evaluation(dict(zip(arms, map(tuple, right.tolist()), strict=True)))

    best, best_seen, best_harmed = skill, look(skill), False
    seen, settled, since, lost, caught, harmed = [best_seen], 1, 0, 0, float("inf"), False
    start = float(skill.mean())
    for number in range(1, world.rounds + 1):
        moved = np.full(world.arms, world.gain)
        if world.harm or world.drift:
            moved[0] = -world.drift - (world.harm if number == when else 0.0)
        harmed = harmed or bool(world.harm) and number == when
        skill = np.clip(skill + moved, 0.02, 0.98)
        after = look(skill)
        offered = dict(evaluations=seen, looks=number, progress=number / world.rounds, retained=[])
        answer, since = call(policy, best_seen, after, **offered).answer, since + 1
        seen = seen[:settled] if answer == "worse" else [*seen, after]
        if answer == "better":
            best, best_seen, best_harmed, since, settled = skill, after, harmed, 0, len(seen)
        elif answer == "worse":
            caught = number - when + 1 if harmed and not best_harmed else caught
            lost, since, skill, harmed = lost + since, 0, best, best_harmed
    truth = float(best.mean())
    shown = truth * (1 - 2 * world.noise) + world.noise
    halves = (guard.half(best_seen, which).accuracy - shown for which in (0, 1))
    return Found(lost / world.rounds, caught, *halves, truth - start)


WORLDS: Mapping[str, World] = {
    **{f"{points:+g} a round": World(gain=points / 100) for points in (-2, -1, -0.5, 0, 0.5, 1, 2)},
    **{f"{points:+g} a round, 30 % change": World(gain=points / 100, changing=0.3) for points in (0, 1)},
    "0 a round, a tenth of verdicts wrong": World(noise=0.1),
    "0 a round, arms wobble by 2": World(wobble=0.02),
    "0 a round, one arm of 10 tasks": World(arms=1, tasks=10),
    "0 a round, 16 arms of 6, 4 rounds": World(arms=16, tasks=6, rounds=4),
    "+1 a round, 16 arms of 6, 4 rounds": World(arms=16, tasks=6, rounds=4, gain=0.01),
    "+4 a round, 17 arms of 5, 6 rounds, arms wobble by 15": World(
        arms=17, tasks=5, rounds=6, gain=0.04, wobble=0.15, changing=0.3
    ),
    "+2 a round, arms wobble by 10": World(gain=0.02, wobble=0.1),
    **{f"an arm of {n} -5 at once": World(tasks=n, harm=0.05, gain=0.005) for n in (40, 160, 520)},
    "1 arm of 380 -5 at once": World(arms=1, tasks=380, harm=0.05),
    "an arm of 40 -20 at once": World(harm=0.2, gain=0.005),
    "an arm of 40 -40 at once, arms wobble by 5": World(harm=0.4, gain=0.005, wobble=0.05),
    "an arm of 160 -1 a round": World(tasks=160, drift=0.01, gain=0.005),
}
POLICIES = {"always": guard.always, "ratchet": guard.ratchet, "evidence": guard.evidence, "sequential": guard.sequential}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--worlds", default="", help="only those whose name has this in it")
    parser.add_argument("--guards", nargs="+", default=list(POLICIES), choices=list(POLICIES))
    given = parser.parse_args()
    print(
        "| world | guard | lost | caught | ever | chosen | reported | gain |\n|---|---|---:|---:|---:|---:|---:|---:|",
        flush=True,
    )
    for name, world in WORLDS.items():
        for policy in given.guards if given.worlds in name else ():
            spread = width(world.changing)
            found = [simulate(world, POLICIES[policy], seed, spread) for seed in range(given.runs)]
            within = [100 * float(np.mean([f.caught <= rounds for f in found])) for rounds in (2, 10**9)]
            shares = [f"{share:.0f} %" if world.harm else "" for share in within]
            points = [
                f"{100 * float(np.mean([getattr(f, field) for f in found])):+.1f}" for field in ("chosen", "reported", "gain")
            ]
            lost = f"{100 * float(np.mean([f.lost for f in found])):.1f} %"
            print(f"| {' | '.join([name, policy, lost, *shares, *points])} |", flush=True)


if __name__ == "__main__":
    main()
