"""Q* on a puzzle: 3 x 3 lights out, with all moves and all pairs of moves as actions (45), each of cost 1."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from sharpen.rollouts import trees
from sharpen.rollouts.trees import Child, Node

PRESS = [sum(1 << j for j in range(9) if abs(i % 3 - j % 3) + abs(i // 3 - j // 3) <= 1) for i in range(9)]
MOVES = np.array([*PRESS, *(a ^ b for a, b in combinations(PRESS, 2))])


def learnt_q(sweeps: int = 9) -> np.ndarray:
    """(512, 45) by Q(s, a) <- 1 + min Q(s', .), 0 at the goal: from nothing known, in as many sweeps as the longest way."""
    after = np.arange(512)[:, None] ^ MOVES
    q = np.ones((512, len(MOVES)))
    for _ in range(sweeps):
        left = q.min(1)
        left[0] = 0.0
        q = 1 + left[after]
    return q


def searched(start: int, q: np.ndarray, early: bool = False):
    def actions(node):
        yield from ()
        return list(zip(MOVES.tolist(), q[node.state].tolist(), strict=True))

    def act(node, move):
        return Child(node.state ^ move, done=node.state ^ move == 0)

    return _result(trees.edges_first(Node(start), actions, act, int, 5000, early=early))


def a_star(start: int, left: np.ndarray):
    def expand(node):
        yield from ()
        return [Child(node.state ^ move, done=node.state ^ move == 0) for move in MOVES.tolist()]

    def score(nodes):
        yield from ()
        return [left[node.state] for node in nodes]

    return _result(trees.best_first(Node(start), expand, score, int, 5000))


def _result(generator):
    with pytest.raises(StopIteration) as end:
        next(generator)
    return end.value.value


def test_with_a_learnt_q_as_many_states_are_made_as_the_way_is_long_and_a_star_makes_all_children():
    q = learnt_q()
    left = q.min(1)
    left[0] = 0.0
    rng = np.random.default_rng(0)
    for start in rng.integers(1, 512, 12).tolist():
        edges, nodes = searched(start, q), a_star(start, left)
        assert edges.goal.paid == nodes.goal.paid == left[start]  # both find a cheapest way
        assert edges.made - 1 == edges.rounds == left[start]
        assert nodes.made - 1 == 45 * nodes.rounds >= 45 * left[start]


def test_with_half_learnt_q_the_way_is_still_a_cheapest_one_for_more_states():
    """Values that say too little are still admissible."""
    whole, half = learnt_q(), learnt_q(2)
    assert (half <= whole).all()
    start = int(np.flatnonzero(whole.min(1) == 3)[0])
    few, many = searched(start, whole), searched(start, half)
    assert few.goal.paid == many.goal.paid and many.made > few.made
