"""Right answers chosen: by hand, and against what random choice gives."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest

from sharpen.core import Sample, UserError
from sharpen.data import clusters, curating, quotas
from sharpen.recipes import teaching


def said(group: int, number: int, text: str, right: bool = True) -> Sample:
    sample = teaching.toy(group, number, float(right))
    return dataclasses.replace(sample, rollout=dataclasses.replace(sample.rollout, turns=(text,)))


def texts(samples: list[Sample]) -> list[str]:
    return [sample.rollout.response for sample in samples]


def test_the_distance_is_that_of_levenshtein_in_words():
    """By hand: kitten to sitting is 3, letter by letter."""
    assert curating.distance("k i t t e n".split(), "s i t t i n g".split()) == 3
    assert curating.distance([], ["a", "b"]) == curating.distance(["a", "b"], []) == 2 and curating.distance([], []) == 0
    rng = random.Random(0)
    for _ in range(50):
        a, b, c = ([rng.choice("ab") for _ in range(rng.randint(0, 6))] for _ in range(3))
        assert curating.distance(a, b) == curating.distance(b, a) <= curating.distance(a, c) + curating.distance(c, b)


def test_those_farthest_apart_are_farther_than_a_random_choice_and_never_copies():
    """Greedy is not the best there is: one random choice in many may be farther. The first two are the farthest pair."""
    rng, wins = np.random.default_rng(0), []
    for seed in range(30):
        points = rng.normal(size=(9, 3))
        far = np.linalg.norm(points[:, None] - points[None], axis=-1)
        chosen, other = curating.apart(far, 3), np.random.default_rng(seed).permutation(9)[:3]
        least = [min(far[i, j] for i in some for j in some if i != j) for some in (chosen, other)]
        wins.append(least[0] >= least[1])
        assert far[chosen[0], chosen[1]] == far.max() and len(set(chosen)) == 3
    assert sum(wins) >= 27
    copies = np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]])
    assert (
        sorted(curating.apart(copies, 3)) == [0, 2]
        and curating.apart(np.zeros((3, 3)), 2) == [0]
        and curating.apart(far, 0) == []
    )


def test_diverse_leaves_out_what_is_mastered():
    given = [
        said(0, 1, "a b c"),
        said(0, 2, "a b d"),
        said(0, 3, "x y z"),
        said(0, 4, "no", False),
        said(1, 5, "a"),
        said(1, 6, "b"),
    ]
    assert texts(curating.diverse(given)) == ["a b c", "x y z"]
    assert texts(curating.diverse(given, most=1)) == ["a b c"] and len(curating.diverse(given, mastered=1.1)) == 4
    with pytest.raises(UserError, match="at least one"):
        curating.diverse(given, most=0)


def test_balanced_takes_what_is_sure_new_and_long():
    given = [
        said(0, 1, "alpha beta gamma delta"),
        said(0, 2, "alpha beta gamma delta"),
        said(1, 3, "something else altogether"),
    ]
    given += [said(1, 4, "wrong", False)]
    # Half of three is two: the first, and of a copy that all agree on and a new answer of a task half solved the new one.
    assert texts(curating.balanced(given, 2 / 3, complexity=0.0)) == ["alpha beta gamma delta", "something else altogether"]
    assert texts(curating.balanced(given, 2 / 3, diversity=0.0, complexity=0.0)) == ["alpha beta gamma delta"] * 2
    assert curating.balanced([], 0.5) == [] and len(curating.balanced(given, 0.01)) == 1
    with pytest.raises(UserError, match="one above"):
        curating.balanced(given, 0.5, 0.0, 0.0, 0.0)


def test_what_is_contained_goes_and_of_equal_ones_the_first_stays():
    lines = ["a\nb\nc", "b\na", "a\nb\nc", "a\nd", "a\nb\nd"]
    given = [said(0, i, text) for i, text in enumerate(lines)]
    assert texts(curating.uncontained(given)) == ["a\nb\nc", "a\nb\nd"]
    assert texts(curating.uncontained(given, least=0.5)) == ["a\nb\nc"] and len(curating.uncontained(given, least=1.1)) == 5
    assert texts(curating.uncontained([said(0, 1, "a\nb"), said(1, 2, "a\nb\nc")])) == ["a\nb", "a\nb\nc"]  # of other tasks


def test_quotas_add_up_and_follow_the_weights():
    assert quotas.quotas([1, 1, 1], 10).tolist() == [4, 3, 3] and quotas.quotas([5, 3, 2], 10).tolist() == [5, 3, 2]
    rng = np.random.default_rng(0)
    for n in (1, 7, 100):
        assert quotas.quotas(rng.random(9), n).sum() == n


def test_a_cluster_of_wrong_labels_falls_below_its_share():
    """Nothing in it is ever solved. One that nobody tried yet counts as mastered, and gets its turn all the same."""
    labels, rate = np.repeat([0, 1, 2, 3], 5), np.repeat([0.0, 0.5, 0.9, np.nan], 5)
    weights = quotas.reweighted(labels, rate, 4)
    assert weights[1] > weights[2] > weights[0] == weights[3] and weights[0] < 1 / 4
    assert np.allclose(quotas.reweighted(labels, rate, 4, strength=0.0), 1 / 4)


def test_as_many_clusters_are_found_as_there_are_from_every_start():
    """Five blobs are five, whatever the seed: one start of k-means does not always find them. A cloud is no ten clusters."""
    rng = np.random.default_rng(0)
    blobs = np.repeat(4 * np.eye(5), 12, axis=0) + 0.1 * rng.normal(size=(60, 5))
    found = [quotas.separated(blobs, 8, np.random.default_rng(seed)) for seed in range(6)]
    assert all(clusters.agreement(found[0], labels) == 1.0 and labels.max() == 4 for labels in found)
    cloud = quotas.separated(rng.random((60, 5)), 8, np.random.default_rng(0))
    assert cloud.max() <= 1
