"""What agrees with itself: programs against tests that may be wrong, and labels that may contradict each other.

    ask_tests   ConAIR (arXiv 2411.15587): a person, or an oracle, says of a few tests whether they are right
    abduce      the most predictions of which no more than a share contradict each other (arXiv 2505.19361)

Plain arrays and sets; `consensus` makes verdicts of what they select.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

EXACT = 14  # predictions up to which every subset is tried


@dataclass(frozen=True)
class Asked:
    """What came of asking: the program chosen, (N,) which are still possible, and what was said of the tests asked about.

    chosen  None where every program was ruled out
    """

    chosen: int | None
    possible: np.ndarray
    answers: Mapping[int, bool]


def ask_tests(passed: np.ndarray, oracle: Callable[[int], bool], questions: int = 4) -> Asked:
    """Choose among programs by tests of which some are wrong, asking about at most so many of them.

    passed  (N, M) bool: program i passes test j
    oracle  (test) -> whether its input and output are right

    With an infallible oracle no right program is lost, and with 2^q behaviours alike in number q questions decide. With no
    questions it is CodeT.
    """
    answers: dict[int, bool] = {}
    while len(answers) < questions and (test := next_test(passed, answers)) is not None:
        answers[test] = bool(oracle(test))
    return choose(passed, answers)


def left(passed: np.ndarray, answers: Mapping[int, bool]) -> np.ndarray:
    """(N,) bool: programs that pass every test known to be right and fail every one known to be wrong."""
    possible = np.ones(len(passed), dtype=bool)
    for test, right in answers.items():
        possible &= passed[:, test] == right
    return possible


def next_test(passed: np.ndarray, answers: Mapping[int, bool]) -> int | None:
    """The test to ask about next: that which splits the programs still possible most evenly, of equals the first; None where
    they behave alike on every test. The rule is a stand-in: the paper does not state one."""
    possible = left(passed, answers)
    split = [0.0 if j in answers else _evenness(passed[possible, j]) for j in range(passed.shape[1])]
    return int(np.argmax(split)) if split and max(split) > 0 else None


def choose(passed: np.ndarray, answers: Mapping[int, bool]) -> Asked:
    """Of the programs still possible the one with the highest score of CodeT's (arXiv 2207.10397): tests passed, but for those
    known to be wrong, times the root of the number of programs that behave alike; of equals the first."""
    possible = left(passed, answers)
    if not possible.any():
        return Asked(None, possible, answers)
    trusted = [j for j in range(passed.shape[1]) if answers.get(j, True)]
    alike = np.array([(passed[possible] == row).all(axis=1).sum() for row in passed])
    scores = np.where(possible, (1 + passed[:, trusted].sum(axis=1)) * np.sqrt(alike), -1.0)
    return Asked(int(np.argmax(scores)), possible, dict(answers))


def _evenness(column: np.ndarray) -> float:
    """0 where all agree, 1/2 at an even split."""
    share = float(column.mean()) if len(column) else 0.0
    return min(share, 1 - share)


@dataclass(frozen=True)
class Prediction:
    """That an item has this label, as one source says; `doubted` where the source's own rules distrust it."""

    source: Hashable
    item: Hashable
    label: Hashable
    doubted: bool = False


def abduce(
    predictions: Sequence[Prediction], conflict: Callable[[Prediction, Prediction], bool], delta: float = 0.0
) -> list[int]:
    """Numbers of the predictions to believe: those that cover most items while at most a share `delta` of their pairs conflict;
    of equals those with most predictions, then the first. Doubted ones are dropped. Up to EXACT predictions every subset is
    tried; beyond, the one with most conflicts is taken out until the bound holds, and what fits is put back. delta 1 believes
    all. Source: arXiv 2505.19361, section 4, integer program and heuristic; the bound on pairs is ours.
    """
    listed = [i for i, p in enumerate(predictions) if not p.doubted]
    clash = {(a, b) for a, b in combinations(listed, 2) if conflict(predictions[a], predictions[b])}
    if len(listed) <= EXACT:
        best: tuple[int, int, tuple[int, ...]] = (-1, -1, ())
        for size in range(len(listed), -1, -1):
            for subset in combinations(listed, size):
                if consistent(subset, clash, delta):
                    value = len({predictions[i].item for i in subset}), size
                    if value > best[:2]:
                        best = (*value, subset)
        return list(best[2])
    kept = list(listed)
    while not consistent(kept, clash, delta):
        kept.remove(max(kept, key=lambda i: (sum(i in pair for pair in clash if set(pair) <= set(kept)), i)))
    for i in listed:
        if i not in kept and consistent(sorted((*kept, i)), clash, delta):
            kept = sorted((*kept, i))
    return kept


def consistent(subset: Sequence[int], clash: set[tuple[int, int]], delta: float) -> bool:
    """Whether at most a share `delta` of the pairs of a subset conflict."""
    pairs = len(subset) * (len(subset) - 1) / 2
    return sum(pair in clash for pair in combinations(subset, 2)) <= delta * pairs + 1e-12
