"""Several tries at a task: pass@k and maj@k."""

from itertools import combinations

import pytest

from sharpen import estimate


def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one() -> None:
    for n in range(1, 7):
        for right in range(n + 1):
            for k in range(1, n + 1):
                draws = list(combinations([True] * right + [False] * (n - right), k))
                assert estimate.any_of(right, n, k) == pytest.approx(sum(map(any, draws)) / len(draws))
    for asked in ((1, 2, 3), (3, 2, 1), (0, 1, 0)):
        with pytest.raises(ValueError, match="say nothing"):
            estimate.any_of(*asked)


def test_a_vote_is_for_the_answer_of_most() -> None:
    assert estimate.vote([("7", True), ("8", False), ("7", True)]) == 1
    assert estimate.vote([("7", True), ("8", False), ("8", False)]) == 0
    assert estimate.vote([("7", True), ("8", False)]) == 0.5  # drawing one of the two
    assert estimate.vote([("7.0", True), ("8", False), ("7", True), ("9", False)]) == 1  # what is right is one answer
    assert estimate.vote([("", False), ("", False), ("7", True)]) == 1  # nothing said is no vote
    assert estimate.vote([("", False)]) == estimate.vote([]) == 0
