"""The skill map: for each arm the Beta posterior of its success rate, from the validation stream.

1. It reads the evaluations of weights that are still in use: those of rounds that were rolled back are not among them.
2. The stream is the same tasks in every round, so asking again says how the skill changed, not more about other tasks. Rounds
   are averaged with weights keep^age that sum to 1: evidence never exceeds the n tasks of one evaluation, and old rounds fade.
3. The prior of an arm is what its neighbours achieve: other levels of the family, nearer ones more, then everything. So a level
   that nobody has measured starts from the levels beside it, with `strength` tasks' worth of evidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sharpen.core import Arm, Evaluation
from sharpen.estimate import Z


@dataclass(frozen=True)
class Skill:
    """Beta(a, b) of an arm's success rate.

    first  share solved in the first evaluation that measured the arm, NaN before
    best   highest share solved in any evaluation, NaN before
    n      tasks behind it, the prior not counted
    """

    a: float
    b: float
    first: float = math.nan
    best: float = math.nan
    n: float = 0.0

    @property
    def mean(self) -> float:
        return self.a / (self.a + self.b)

    @property
    def deviation(self) -> float:
        return math.sqrt(self.mean * (1 - self.mean) / (self.a + self.b + 1))

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, normal in log-odds (delta method), so that it stays inside 0 and 1."""
        half = Z * self.deviation / (self.mean * (1 - self.mean))
        odds = math.log(self.a / self.b)
        return 1 / (1 + math.exp(half - odds)), 1 / (1 + math.exp(-half - odds))

    @property
    def gain(self) -> float:
        """Predicted gain: the posterior mean of p (1 - p), to which the policy gradient of a 0/1 reward is proportional."""
        total = self.a + self.b
        return self.a * self.b / (total * (total + 1))


def skill_map(
    evaluations: Sequence[Evaluation], arms: Sequence[Arm], keep: float = 0.5, strength: float = 4.0, reach: float = 1.0
) -> dict[Arm, Skill]:
    """The posterior of every arm, measured or not; Beta(strength / 2, strength / 2) where nothing was measured at all.

    evaluations  on validation, of the rounds whose weights are still in use, oldest first
    keep         a round's weight is `keep` times that of the next one, 0 (the last round alone) to 1 (all alike)
    strength     > 0, the tasks that the prior counts for
    reach        levels at which a neighbour of the same family counts 1/e as much; other families count 1/100
    """
    if not (0 <= keep <= 1 and 0 < strength < math.inf and 0 < reach < math.inf):
        raise ValueError(f"a skill map needs 0 <= keep <= 1 and positive strength and reach, got {keep}, {strength}, {reach}")
    counts = {arm: _counts(evaluations, arm) for arm in arms}
    means = [_faded(counts[arm], keep) for arm in arms]  # (share, tasks)
    share, n = np.array([m for m, _ in means]), np.array([m for _, m in means])
    # A pseudo-task at one half keeps the prior inside 0 and 1.
    weight = _kinship(arms, reach) * n
    prior = (weight @ share + 0.5 * 0.05) / (weight.sum(axis=1) + 0.05)
    a, b = strength * prior + share * n, strength * (1 - prior) + (1 - share) * n
    shares = [[right / total for right, total in counts[arm]] or [math.nan] for arm in arms]
    return {
        arm: Skill(max(float(a[i]), 1e-6), max(float(b[i]), 1e-6), shares[i][0], max(shares[i]), float(n[i]))
        for i, arm in enumerate(arms)
    }


def _counts(evaluations: Sequence[Evaluation], arm: Arm) -> list[tuple[int, int]]:
    """(solved, judged) of each evaluation that judged a task of the arm."""
    return [e.counts[arm] for e in evaluations if arm in e.counts]


def _faded(counts: Sequence[tuple[int, int]], keep: float) -> tuple[float, float]:
    """Weighted share solved, and the tasks of one evaluation on average."""
    if not counts:
        return 0.0, 0.0
    weight = keep ** np.arange(len(counts))[::-1].astype(float)
    weight /= weight.sum()
    return float(sum(w * k / n for w, (k, n) in zip(weight, counts))), float(sum(w * n for w, (_, n) in zip(weight, counts)))


def _kinship(arms: Sequence[Arm], reach: float) -> np.ndarray:
    """(A, A): how much each arm says about each other one; nothing about itself, which the data do."""
    family = np.array([arm.family for arm in arms])
    level = np.array([arm.level for arm in arms], dtype=float)
    near = np.exp(-np.abs(level[:, None] - level) / reach)
    kin = np.where(family[:, None] == family, near, 0.01)
    np.fill_diagonal(kin, 0.0)
    return kin


def weakest(skills: Mapping[Arm, Skill], n: int = 5) -> list[Arm]:
    """The arms that are weakest with certainty: by the upper end of their interval, lowest first."""
    return sorted(skills, key=lambda arm: (skills[arm].interval[1], arm))[:n]


def promising(skills: Mapping[Arm, Skill], n: int = 5) -> list[Arm]:
    """The arms with the largest predicted gain, largest first."""
    return sorted(skills, key=lambda arm: (-skills[arm].gain, arm))[:n]


def mastered(skills: Mapping[Arm, Skill], above: float = 0.9) -> list[Arm]:
    """Arms whose success rate is above this with 97.5 % certainty, sorted."""
    return sorted(arm for arm, skill in skills.items() if skill.interval[0] > above)


def hopeless(skills: Mapping[Arm, Skill], below: float = 0.1) -> list[Arm]:
    """Arms whose success rate is below this with 97.5 % certainty, sorted: out of reach of practice alone for now."""
    return sorted(arm for arm, skill in skills.items() if skill.interval[1] < below)
