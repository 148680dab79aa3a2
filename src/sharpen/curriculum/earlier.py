"""What earlier runs know: their stores, read as data, for curricula that are learnt from other students.

A path is read once, at the first step; what was made of it is kept beside the weights, so that a run goes on where the earlier
one is gone or has changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sharpen.core import Arm, ArmStats, Choices, Evaluation, UserError
from sharpen.curriculum.common import History, draw, in_order
from sharpen.curriculum.gaussians import alp_gmm
from sharpen.store import Store


@dataclass(frozen=True)
class Earlier:
    """A run that is over.

    stats        of its training rollouts, by step
    evaluations  on validation, the one before its first step first
    spent        {arm: rollouts} between each evaluation and the next, one fewer
    """

    stats: tuple[ArmStats, ...]
    evaluations: tuple[Evaluation, ...]
    spent: tuple[Mapping[Arm, int], ...]

    def rates(self, arms: Sequence[Arm]) -> np.ndarray:
        """(evaluations, arms): the share solved, with half a success and half a failure added; 1/2 where nothing was
        measured."""
        counts = [[e.counts.get(arm, (0, 0)) for arm in arms] for e in self.evaluations]
        return np.array([[(k + 0.5) / (n + 1) for k, n in row] for row in counts]).reshape(len(counts), len(arms))


def read(path: str) -> Earlier:
    """A run's directory. UserError where there is none, or where it was not evaluated twice."""
    with Store.open(path) as store:
        rows = store.rows("SELECT step, family, level, n, successes, abs_advantage, tokens FROM arm_stats ORDER BY step, rowid")
        stats = tuple(ArmStats(step, Arm(f, level), *sums) for step, f, level, *sums in rows)
        number = {row["step"]: row["round"] for row in store.steps() if row["phase"] == "loop"}
        measured = [(r, store.evaluation(r, "validation")) for r in rounds(store)]
    found = [(r, e) for r, e in measured if e is not None]
    if len(found) < 2:
        raise UserError(f"{path} was evaluated {len(found)} times: nothing was learnt there that another run could use.")
    spent: dict[int, Counter[Arm]] = {r: Counter() for r, _ in found}
    for s in stats:
        if s.step in number:
            spent.setdefault(number[s.step], Counter())[s.arm] += s.n
    return Earlier(stats, tuple(e for _, e in found), tuple(spent[r] for r, _ in found[1:]))


def rounds(store: Store) -> list[int]:
    sql = "SELECT DISTINCT round FROM evaluations WHERE purpose = 'validation' ORDER BY round"
    return [row[0] for row in store.rows(sql)]


def paths(text: str) -> list[str]:
    """Directories with commas between them."""
    return [part.strip() for part in text.split(",") if part.strip()]


# ------------------------------------------------------------------------------------------------------------------- AGAIN


FOLLOWED = ("again_weights", "again_rewards", "again_part")  # names in what is kept


def nearest(first: np.ndarray, others: np.ndarray, ends: np.ndarray, neighbours: int) -> int:
    """Which earlier student to follow: of the `neighbours` whose first scores are nearest to ours, the one that ended best."""
    far = ((others - first) ** 2).sum(axis=1)
    close = np.argsort(far, kind="stable")[:neighbours]
    return int(close[np.argmax(ends[close])])


def curriculum_of(stats: Sequence[ArmStats], arms: Sequence[Arm], window: int, least: float) -> tuple[np.ndarray, np.ndarray]:
    """(G, A) weights of arms and (G,) mean rewards, for each `window` observations of a run: an arm weighs as much as its
    success changed there from one step to the next on average, and nothing at `least` or below. Windows in which no arm stood
    out are left out."""
    place, last = {arm: i for i, arm in enumerate(arms)}, dict[Arm, float]()
    seen: list[tuple[int, float, float]] = []  # arm, change, success
    for s in sorted((s for s in stats if s.n and s.arm in place), key=lambda s: s.step):
        rate = s.successes / s.n
        seen.append((place[s.arm], abs(rate - last.get(s.arm, rate)), rate))
        last[s.arm] = rate
    weights, rewards = [], []
    for start in range(0, len(seen), window):
        which, change, success = np.array(seen[start : start + window]).T
        n = np.bincount(which.astype(int), minlength=len(arms))
        mean = np.bincount(which.astype(int), change, len(arms)) / np.maximum(n, 1)
        if (mean > least).any():
            weights.append(np.where(mean > least, mean, 0.0))
            rewards.append(float(success.mean()))
    return np.array(weights).reshape(len(weights), len(arms)), np.array(rewards)


def again(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    earlier: str = "",
    neighbours: int = 5,
    least: float = 0.05,
    recent: int = 50,
    own: float = 0.3,
    fit_every: int = 250,
    *,
    evaluations: Sequence[Evaluation],
    kept: dict[str, np.ndarray],
) -> Choices:
    """AGAIN (Meta Automatic Curriculum Learning): an earlier student's curriculum, each part until its reward is reached.

    earlier     directories of runs, with commas between them; none: ALP-GMM, of which this run is the first student
    neighbours  of the runs whose first evaluations are nearest to ours, so many are looked at, and the best ending is followed
    least       progress of an arm above which a part of its curriculum holds it
    recent      arms' latest steps whose mean success is compared with that part's; at least as high, and the next part begins
    own         share of the prompts that the run's own ALP-GMM gives; all of them, once the last part is over
    fit_every   observations in a part, and between two fits of its own
    """
    if not (0 <= own <= 1 and neighbours >= 1 and recent >= 1):
        raise UserError(f"again needs 0 <= own <= 1, neighbours >= 1 and recent >= 1, got {own}, {neighbours}, {recent}")
    order = in_order(arms)
    follow: dict[str, np.ndarray] = {name: kept.pop(name) for name in FOLLOWED if name in kept}
    if earlier and not follow:
        follow = chosen(earlier, order, evaluations, neighbours, fit_every, least)
    free = alp_gmm(history, arms, prompts, samples, rng, fit_every, kept=kept)
    if not follow:
        return free
    kept.update(follow)
    part = int(follow["again_part"][0])
    if part < len(follow["again_rewards"]):
        latest = sorted((s for a in order for s in history.get(a, ()) if s.n), key=lambda s: s.step)[-recent:]
        reached = latest and np.mean([s.successes / s.n for s in latest]) >= follow["again_rewards"][part]
        part += bool(reached)
        kept["again_part"] = np.array([part], np.int64)
    if part >= len(follow["again_rewards"]):
        return free
    weights = np.zeros(len(order))
    weights[: follow["again_weights"].shape[1]] = follow["again_weights"][part]
    led = draw(order, weights, prompts - round(own * prompts), rng)
    return [(arm, samples) for arm in led] + free[: prompts - len(led)]


def chosen(
    earlier: str, order: Sequence[Arm], evaluations: Sequence[Evaluation], neighbours: int, window: int, least: float
) -> dict[str, np.ndarray]:
    """The curriculum that is followed."""
    runs = [read(path) for path in paths(earlier)]
    rates = [run.rates(order) for run in runs]
    first = Earlier((), tuple(evaluations[:1]), ()).rates(order)[0] if evaluations else np.full(len(order), 0.5)
    which = nearest(first, np.array([r[0] for r in rates]), np.array([r[-1].mean() for r in rates]), neighbours)
    weights, rewards = curriculum_of(runs[which].stats, order, window, least)
    return dict(again_weights=weights, again_rewards=rewards, again_part=np.zeros(1, np.int64))
