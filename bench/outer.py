"""Outer loops on the bandit, where a run takes milliseconds: is choosing better than as many random trials?

    python bench/outer.py --seeds 20 --trials 20

1. `tune`: five numbers of a curriculum and of how a step's rollouts are shared out are chosen by 20 trials, each of which is
   --runs noisy runs; what the winner is worth is the mean over runs with other seeds.
2. `evolve`: the same numbers changed one or two at a time in an archive, each trial held against the root's run of its seed,
   with as many runs; the control draws every member anew. The last choice is `archive.chosen`'s in both.

What is reported is the mean success rate of all arms at the end, and its standard error over searches.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import cache, partial
from statistics import fmean, stdev

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.hashing import derive
from sharpen.outer import archive, engine, proposers, space
from sharpen.outer.archive import Archive, Node
from sharpen.outer.history import History, Score

WORLD = testbed.Bandit(difficulty=(-1.0, 1.0, 3.0, 5.0, 7.0), transfer=0.3, rate=0.35, decay=0.01)
STEPS, ROLLOUTS, ASKED = 40, 64, 40  # of a run; held-out tasks of an arm
SPACE = space.read("temperature=0.02..5log,alpha=0.02..1,floor=0..1,initial=0..1,samples=2..32")
BASE = {"temperature": "0.2", "alpha": "0.3", "floor": "0", "initial": "1", "samples": "4"}
FRESH = 10_000  # seeds of the report begin here


@cache
def end(settings: tuple[tuple[str, str], ...], seed: int) -> tuple[float, float]:
    """(measured, true) mean success rate at the end of a run."""
    values = {name: float(text) for name, text in settings}
    samples = int(values.pop("samples"))
    chosen = partial(curriculum.sec, **values)
    trace = testbed.run(chosen, WORLD, STEPS, ROLLOUTS // samples, samples, seed)
    held_out = np.random.default_rng(derive(seed, "held out")).random((len(trace.p), ASKED)) < trace.p[:, None]
    return float(held_out.mean()), float(trace.p.mean())


def measured(settings: Mapping[str, str], seed: int, runs: int) -> float:
    return fmean(end(tuple(sorted(settings.items())), 100 * seed + i)[0] for i in range(runs))


def worth(settings: Mapping[str, str]) -> float:
    return fmean(end(tuple(sorted(settings.items())), FRESH + i)[1] for i in range(20))


def tuned(by: str, seed: int, trials: int, runs: int) -> float:
    propose = proposers.chosen(by)

    def proposed(history: History) -> engine.Proposed:
        number, known = len(history.candidates), proposers.tried(SPACE, history)
        if number == 0:
            return BASE, "base", ()
        if by == "es":
            known, number = proposers.Tried(known.points[1:], known.scores[1:]), number - 1
        return space.values(SPACE, propose(SPACE, known, seed, number)), by, ()

    history = History()
    engine.search(history, proposed, lambda c, share: Score(c.number, share, measured(c.values, seed, runs)), trials)
    return worth(engine.best(history).values)


def evolved(by: str, seed: int, trials: int, runs: int) -> float:
    """by: "hgm", "dgm", "greedy", or "random" members, each tried once and again as hgm does."""
    genomes, parents = [BASE], [-1]
    outcomes: list[list[float]] = [[]]
    for spent in range(trials):
        rng = np.random.default_rng(derive(seed, spent, "evolved"))
        found = Archive({n: Node(n, parents[n] if n else None, tuple(o)) for n, o in enumerate(outcomes)})
        tau = archive.temperature(trials, spent)
        if by in ("dgm", "greedy") or archive.grows(found, spent):
            above = 0 if by == "random" else archive.PARENTS[by](found, tau, rng)
            genomes.append(changed(genomes[above], rng, by == "random"))
            parents.append(above)
            outcomes.append([])
            number = len(genomes) - 1
        else:
            number = archive.again(found, tau, rng) or 0
        own = seed + 1000 * len(outcomes[number])
        gain = measured(genomes[number], own, runs) - measured(BASE, own, runs)
        error = (2 * 0.25 / (runs * ASKED * len(WORLD.difficulty))) ** 0.5
        outcomes[number].append(float(proposers.acquisition._cdf(np.array(gain / error))))
    nodes = Archive({n: Node(n, parents[n] if n else None, tuple(o)) for n, o in enumerate(outcomes)})
    return worth(genomes[archive.chosen(nodes)])


def changed(settings: Mapping[str, str], rng: np.random.Generator, anew: bool) -> dict[str, str]:
    """One number within a quarter of its range, in half of the cases another too; or all of them anywhere."""
    place = space.point(SPACE, settings)
    if anew:
        return space.values(SPACE, rng.random(len(SPACE)))
    for i in rng.choice(len(SPACE), size=1 + int(rng.random() < 0.5), replace=False):
        place[i] = np.clip(place[i] + rng.uniform(-0.5, 0.5), 0, 1)
    return space.values(SPACE, place)


def show(name: str, values: list[float], control: list[float]) -> None:
    gains = [a - b for a, b in zip(values, control)]
    error = stdev(gains) / len(gains) ** 0.5
    print(f"{name:20} {fmean(values):.4f}   against random {fmean(gains):+.4f} ± {1.96 * error:.4f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--by", default="ei,kg,es")
    parser.add_argument("--runs", type=int, default=1, help="of a trial, with seeds of their own")
    given = parser.parse_args()
    print(f"base             {worth(BASE):.4f}")
    seeds = range(given.seeds)
    random = [tuned("random", s, given.trials, given.runs) for s in seeds]
    print(f"random           {fmean(random):.4f}")
    for by in given.by.split(","):
        show(f"tune {by}", [tuned(by, s, given.trials, given.runs) for s in seeds], random)
    drawn = [evolved("random", s, given.trials, given.runs) for s in seeds]
    print(f"random members   {fmean(drawn):.4f}")
    for by in ("hgm", "dgm", "greedy"):
        show(f"evolve {by}", [evolved(by, s, given.trials, given.runs) for s in seeds], drawn)
