"""Evolution strategies with antithetic pairs, whose fitness is only which of the two was better.

Jackson et al., "Discovering Temporally-Aware Reinforcement Learning Algorithms", arXiv 2402.05828: both of a pair are tried on
the same task with the same lifetime, and a pair's fitness is 1 for the better and 0 for the other, so that lifetimes with other
scales of return can be mixed; lifetimes are drawn log-uniformly. What evolves may so learn to depend on how long it has.
"""

from __future__ import annotations

import math

import numpy as np

from sharpen.hashing import derive

SIGMA = 0.1  # of a perturbation, in sides of the cube
RATE = 0.05  # the mean moves so far along each pair's perturbation, in units of it
STEPS = 2.0  # the first pairs are wider and move further, by this factor, falling as 1 / sqrt(pair)


def noise(dimensions: int, seed: int, pair: int) -> np.ndarray:
    return np.random.default_rng(derive(seed, pair, "outer pair", 0)).normal(size=dimensions)


def mean(scores: np.ndarray, dimensions: int, seed: int) -> np.ndarray:
    """The mean after every whole pair of these scores, from the middle of the cube: theta + rate * (r+ - r-) * noise.

    Ranks r are 1 and 0, both 1/2 where the two are equal.
    """
    theta = np.full(dimensions, 0.5)
    for pair in range(len(scores) // 2):
        first, second = scores[2 * pair], scores[2 * pair + 1]
        theta = np.clip(theta + RATE * width(pair) * np.sign(first - second) * noise(dimensions, seed, pair), 0, 1)
    return theta


def width(pair: int) -> float:
    return 1 + STEPS / math.sqrt(pair + 1)


def following(scores: np.ndarray, dimensions: int, seed: int, number: int) -> np.ndarray:
    """Where trial `number` is: the mean plus the perturbation of its pair, or minus it."""
    pair = number // 2
    theta = mean(scores[: 2 * pair], dimensions, seed)
    sign = 1 if number % 2 == 0 else -1
    return np.clip(theta + sign * SIGMA * width(pair) * noise(dimensions, seed, pair), 0, 1)


def lifetime(low: int, high: int, seed: int, pair: int) -> int:
    """Steps of a pair's runs: log-uniform from low to high."""
    share = np.random.default_rng(derive(seed, pair, "outer lifetime", 0)).random()
    return int(round(math.exp(math.log(low) + share * math.log(high / low))))
