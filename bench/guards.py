"""Policies of keeping, in simulated whole runs: python bench/guards.py"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial

import numpy as np

from sharpen import guard
from sharpen.core import Arm, Evaluation
from sharpen.guard.looks import half, sequential
from sharpen.recipe import asked_for, call


@dataclass(frozen=True)
class World:
    arms: int = 21
    tasks: int = 40
    rounds: int = 20
    changing: float = 0.1
    gain: float = 0.0
    harm: float = 0.0  # of arm 0, in a round between a quarter and a half of the run
    drift: float = 0.0  # fall of arm 0 in each round
    noise: float = 0.0  # share of verdicts that say the opposite
    wobble: float = 0.0  # sd of an arm's skill from round to round, around where it is


def logistic(x):
    return 1 / (1 + np.exp(-np.clip(x, -40, 40)))


def probit(p):
    """Phi^-1, by its logistic approximation."""
    return np.log(p / (1 - p)) / 1.702


def width(changing: float) -> float:
    """Spread of difficulty at which this share of tasks changes between two evaluations of arms of all skills."""
    z, skill = np.random.default_rng(0).normal(size=(1, 400)), np.linspace(0.1, 0.9, 17)[:, None]
    low, high = 0.0, 60.0
    for _ in range(40):
        mid = (low + high) / 2
        p = logistic(1.702 * (probit(skill) * np.sqrt(1 + mid * mid) + mid * z))
        low, high = (mid, high) if 2 * (p * (1 - p)).mean() > changing else (low, mid)
    return low


@dataclass
class Found:
    lost: float
    caught: int | None  # rounds from the harm until weights without it are gone on from
    flattery: float  # of the half that chose
    reported: float
    true: float  # of the exported best, beyond the start
    harmed: bool  # whether the export has the harm


def simulate(world: World, policy, seed: int, tau: float) -> Found:
    rng = np.random.default_rng(seed)
    arms = [Arm("a", i + 1) for i in range(world.arms)]
    skill = rng.uniform(0.1, 0.9, world.arms)
    z = rng.normal(size=(world.arms, world.tasks))
    when = int(rng.integers(world.rounds // 4, world.rounds // 2 + 1)) if world.harm else 0

    def look(skill):
        a = np.clip(skill + world.wobble * rng.normal(size=world.arms), 0.01, 0.99)[:, None]
        p = logistic(1.702 * (probit(a) * np.sqrt(1 + tau * tau) + tau * z))
        right = rng.random(p.shape) < p * (1 - 2 * world.noise) + world.noise
        return Evaluation({arm: tuple(row) for arm, row in zip(arms, right.tolist())})

    start, best = skill.copy(), (skill.copy(), look(skill), False)
    seen, settled = [best[1]], 1
    current, lost, since, caught, done, has = skill.copy(), 0, 0, None, False, False
    for t in range(1, world.rounds + 1):
        current = np.clip(current + world.gain, 0.02, 0.98)
        current[0] = max(current[0] - world.drift - world.gain * (world.drift + world.harm > 0), 0.02)
        if world.harm and t == when and not done:
            current[0], has, done = max(current[0] - world.harm, 0.02), True, True
        after = look(current)
        offered = dict(evaluations=seen, looks=t, progress=t / world.rounds, retained=[])
        said = call(policy, best[1], after, **offered).answer
        seen = seen[:settled] if said == "worse" else [*seen, after]
        settled = len(seen) if said == "better" else settled
        since += 1
        if said == "better":
            best, since = (current.copy(), after, has), 0
        elif said == "worse":
            lost, since = lost + since, 0
            if has and not best[2] and caught is None:
                caught = t - when + 1
            current, has = best[0].copy(), best[2]
    truth = float(best[0].mean())
    chosen, told = half(best[1], 0).accuracy, half(best[1], 1).accuracy
    noisy = truth * (1 - 2 * world.noise) + world.noise
    return Found(lost / world.rounds, caught, chosen - noisy, told - noisy, truth - float(start.mean()), best[2])


def table(worlds, policies, runs):
    for name, world in worlds.items():
        tau = width(world.changing)
        for pname, policy in policies.items():
            found = [simulate(world, policy, seed, tau) for seed in range(runs)]
            f = lambda g: float(np.mean([g(x) for x in found]))
            two = f(lambda x: x.caught is not None and x.caught <= 2) if world.harm else float("nan")
            ever = f(lambda x: x.caught is not None) if world.harm else float("nan")
            print(
                f"{name:20} {pname:12} lost {f(lambda x: x.lost):6.1%} any {f(lambda x: x.lost > 0):5.0%}  caught<=2 {two:5.0%} ever {ever:4.0%}"
                f"  flattery {100 * f(lambda x: x.flattery):+5.2f} reported {100 * f(lambda x: x.reported):+5.2f}"
                f"  true {100 * f(lambda x: x.true):+6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--runs", type=int, default=100)
    p.add_argument("--which", default="")
    p.add_argument("--only", default="")
    g = p.parse_args()
    policies = {"z0": partial(sequential, z=0.0), "z.5": partial(sequential, z=0.5), "z1": sequential}
    policies = {k: v for k, v in policies.items() if g.only in k}
    worlds = {f"gain {x:+g}": World(gain=x / 100) for x in (-2, -1, -0.5, 0, 0.5, 1, 2)}
    worlds |= {f"gain {x:+g} 30%": World(gain=x / 100, changing=0.3) for x in (0, 1)}
    worlds |= {
        f"harm5 n={n} c={c}": World(tasks=n, changing=c, harm=0.05, gain=0.005)
        for n, c in ((40, 0.1), (160, 0.1), (320, 0.1), (520, 0.1))
    }
    worlds |= {f"few{k} n={n}": World(arms=k, tasks=n, harm=0.05, gain=0.005) for k in (1, 5) for n in (300, 400)}
    worlds |= {
        "harm20 n=40": World(harm=0.2, gain=0.005),
        "drift1": World(drift=0.01, gain=0.005),
        "noisy": World(noise=0.1),
        "wobble2": World(wobble=0.02),
        "one arm": World(arms=1),
        "ten tasks": World(arms=1, tasks=10),
        "small -1": World(arms=16, tasks=6, rounds=4, gain=-0.01),
        "small +1": World(arms=16, tasks=6, rounds=4, gain=0.01),
        "small +5": World(arms=16, tasks=6, rounds=4, gain=0.05),
    }
    table({k: v for k, v in worlds.items() if g.which in k}, policies, g.runs)
