"""The archive of an evolution: whom it changes and tries next, and what finds the best branch of a tree that is known."""

from __future__ import annotations

import numpy as np
import pytest

from sharpen.outer import archive as members
from sharpen.outer.archive import Archive, Node


def tree(*nodes):
    return Archive({n: Node(n, parent, tuple(outcomes)) for n, parent, outcomes in nodes})


def test_a_clade_counts_all_descendants_and_does_not_grow_by_being_asked():
    found = tree((0, None, []), (1, 0, [1, 0]), (2, 1, [1, 1]), (3, 0, [0, 0, 0]))
    assert [found.productivity(n) for n in (1, 2, 3)] == [0.75, 1.0, 0.0] and found.productivity(0) == 3 / 7
    assert found.productivity(1) == 0.75 and found.nodes[1].outcomes == (1, 0)


def test_dgm_draws_by_a_sigmoid_of_the_score_and_fewer_children():
    scores = [0.2, 0.3, 0.4, 0.5, 0.6, 0.8]
    found = members.weights(tree(*((i, None, [s]) for i, s in enumerate(scores))))
    assert np.round(list(found.values()), 3).tolist() == [0.047, 0.119, 0.269, 0.5, 0.731, 0.953]
    assert members.weights(tree((0, None, [0.5]), (1, 0, [0.5])))[0] == 0.25  # halved by one child


def test_members_grow_as_trials_to_the_power_of_0_6():
    nodes, trials = 1, 0
    while trials < 800:
        if members.grows(tree(*((i, 0 if i else None, []) for i in range(nodes))), trials):
            nodes += 1
        else:
            trials += 1
    assert abs(nodes - 1 - 800**0.6) <= 2  # 55


def test_who_is_chosen_at_last_is_good_and_known_to_be():
    lucky, sure = (1, 0, [1.0]), (2, 0, [1, 1, 1, 1, 0, 1, 1, 1])
    assert members.chosen(tree((0, None, []), lucky, sure)) == 2
    assert members.chosen(tree((0, None, []), (1, 0, [0, 0, 1]), (2, 0, [0.0]))) == 0  # nobody is better than the root
    assert members.beta_quantile(1, 1, 0.3) == pytest.approx(0.3)


def play(by, seed, most=250):
    """A tree with a trap: children of the member that looks good lose, those of the one that looks bad gain, each time.
    All have the same trials and so the same number of members. Returns the true score of the best member."""
    rng = np.random.default_rng(seed)
    truth, parent, drift = {0: 0.5, 1: 0.6, 2: 0.4}, {0: None, 1: 0, 2: 0}, {0: -0.03, 1: -0.06, 2: 0.06}
    seen: dict[int, list[float]] = {0: [], 1: [1.0], 2: [0.5]}
    spent = 0
    while spent < most:
        found = tree(*((n, parent[n], seen[n]) for n in truth))
        tau = members.temperature(most, spent)
        if members.grows(found, spent):
            above = members.PARENTS[by](found, tau, rng)
            n = len(truth)
            truth[n] = min(max(truth[above] + drift[above] + 0.01 * rng.normal(), 0.02), 0.98)
            parent[n], drift[n], seen[n] = above, drift[above], []
        else:
            n = members.again(found, tau, rng)
            seen[n].append(float(rng.random() < truth[n]))
            spent += 1
    return max(truth.values())


def test_clades_and_the_archive_find_the_branch_that_greed_does_not_look_at():
    reached = {by: np.mean([play(by, seed) for seed in range(8)]) for by in ("hgm", "dgm", "greedy")}
    assert reached["hgm"] > reached["greedy"] + 0.015 and reached["dgm"] > reached["greedy"], reached
