"""A guard for many looks at the same tasks: it goes back on evidence of harm only, and claims no more than it has seen.

A run looks at its validation tasks after every round, and lets the looks decide. So four things are accounted for:

1. Many looks. The chance of a false alarm in the whole run is at most about `alpha`. It is spent evenly over the budget, by
   alpha * progress / looks at each look, however many there will be: Lan and DeMets, Biometrika 70 (1983), time as the scale.
2. Falls that add up. The latest rounds are held together against those before them (falls.py), as scan statistics of change
   detection do (a CUSUM of unknown size: Siegmund and Venkatraman, Annals of Statistics 23, 1995). An arm that may have fallen
   holds back what would be accepted.
3. Flattery. Half of each arm's tasks choose what is accepted, and the other half is reported: a figure that was chosen for
   being high is too high (Dwork et al., "The reusable holdout", Science 349, 2015).
4. What is not practised. Falls on the retention questions are harm by the same statistics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sharpen.core import Decision, Evaluation
from sharpen.guard.changes import changes_between, numbers_of
from sharpen.guard.falls import NORMAL, Fall, falls

POWER = 0.9  # of what `visible` and `needed` promise
ROUNDS = 2, 4  # after a harm and before it, that they reckon with
# How many comparisons the overlapping ones of `falls` are worth: by simulation, a limit for one lets 2 to 3.5 times as many
# through, most for the mean of many arms.
SPANS_WORTH = 3.0
CHANGING = 0.1  # share of tasks that come out otherwise in another round although nothing is different: usual, not known


def sequential(
    before: Evaluation,
    after: Evaluation,
    z: float = 0.5,
    alpha: float = 0.1,
    tolerance: float = 0.02,
    doubt: float = 0.25,
    sure: float = 2.0,
    *,
    evaluations: Sequence[Evaluation],
    retained: Sequence[Evaluation],
    looks: int,
    progress: float,
) -> Decision:
    """Better where half of the tasks say so and no arm is in doubt; worse on evidence of harm; else unclear: training goes on.

    z          better: on the half that chooses, the mean over arms of the paired change from the accepted weights is above z of
               its standard errors, were nothing different. Low, because a choice between equals costs nothing where another
               half reports: what is lost is by waiting
    alpha      chance of going back somewhere in a run in which nothing harms. Half of it is for single arms, the rest for the
               mean over arms and, where there is one, for retention
    tolerance  a fall up to this is never held against a round
    doubt      what would be better is unclear while the arm that fell most would by chance be as low in less than this share of
               runs
    sure       that doubt is no matter where the mean over arms, of which the doubtful one is one, is above so many of its
               standard errors

    Going back cannot mend what the accepted weights have too, so that only falls since they were measured are harm. Simulated
    whole runs are in bench/guards.py; their table is in docs/guard.md.

    Raises ValueError where arms or numbers of tasks differ, or no task is left.
    """
    history = [*([seen for seen in evaluations if alike(seen, after)] or [before]), after]
    since = rounds_since(before, history)
    spent = alpha * min(max(progress, 1e-6), 1.0) / max(looks, 1)
    whole, arms = falls(history, since)
    kept = falls(retained, since)[0] if len(retained) > 1 else None
    worst = max(arms, key=lambda fall: fall.z)
    numbers = numbers_of(changes_between(half(before, 0), half(after, 0)))
    numbers |= {"looks": float(looks), "spent": spent, "chosen": half(after, 0).accuracy, "fallen_z": worst.z, "z": z}
    numbers["wobble"] = whole.usual
    if (other := half(after, 1)).n:
        numbers["reported"] = other.accuracy
    if kept:
        numbers["retained"] = retained[-1].accuracy
    found = harms(worst, len(arms), whole, kept, spent)
    if harm := next((f for f in found if min(f.size, below(before, history, f) if f is not kept else 1) > tolerance), None):
        said = "what is not practised" if harm is kept else str(harm.arm or "accuracy")
        return Decision("worse", f"rolled back: {said} fell by {harm.told}", numbers)
    mean, noise = numbers["mean"], z * numbers["standard_error"]
    if mean <= noise:
        why = f"unclear: accuracy changed by {mean:+.2%} on the half that chooses: no gain, and no fall beyond chance; going on"
        return Decision("unclear", why, numbers)
    suspect = max(falls(history)[1], key=lambda fall: fall.z)
    doubtful = f", but {suspect.arm} may have fallen" if suspect.p * len(arms) < doubt else ""
    if doubtful and mean <= sure * numbers["standard_error"]:
        return Decision("unclear", f"unclear: accuracy rose by {mean:.2%}{doubtful}; going on", numbers)
    return Decision("better", f"accepted: accuracy rose by {mean:.2%} on the half that chooses{doubtful}", numbers)


def alike(one: Evaluation, other: Evaluation) -> bool:
    """Whether two evaluations are of the same tasks, by their arms and numbers; those of another stage may not be."""
    return {arm: len(own) for arm, own in one.correct.items()} == {arm: len(own) for arm, own in other.correct.items()}


def harms(worst: Fall, arms: int, whole: Fall, kept: Fall | None, spent: float) -> list[Fall]:
    """Those of the falls that chance explains in less than what this look may spend."""
    each = spent / SPANS_WORTH
    parts = [(worst, each / 2 / arms), (whole, each / 4 if kept else each / 2)]
    parts += [(kept, each / 4)] if kept else []
    return [fall for fall, limit in parts if fall.p < limit]


def below(before: Evaluation, history: Sequence[Evaluation], fall: Fall) -> float:
    """How far the latest rounds are below the accepted weights themselves: what going back to them would mend."""
    late = history[-fall.rounds :]
    if fall.arm is None:
        return before.accuracy - sum(seen.accuracy for seen in late) / len(late)
    figures = [right / n for seen in (before, *late) for right, n in [seen.counts.get(fall.arm, (0, 1))]]
    return figures[0] - sum(figures[1:]) / len(late)


def rounds_since(before: Evaluation, history: Sequence[Evaluation]) -> int:
    """How many of the evaluations came after those of the accepted weights, at least one."""
    after = (i for i, seen in enumerate(reversed(history)) if i and seen.correct == before.correct)
    return next(after, len(history) - 1)


def reported(decision: Decision, evaluation: Evaluation) -> float:
    """The accuracy to be told of an evaluation that a guard has seen: of the half by which it did not choose, where it split
    the tasks."""
    return half(evaluation, 1).accuracy if "reported" in decision.numbers else evaluation.accuracy


def half(evaluation: Evaluation, which: int) -> Evaluation:
    """Every second task of each arm, from its first (0: the half that chooses) or second one on (1: the half that is reported).

    Of an arm with one task the second half has none, and leaves the arm out.
    """
    return Evaluation({arm: own[which::2] for arm, own in sorted(evaluation.correct.items()) if own[which::2]})


def needed(fall: float, arms: int, looks: int, alpha: float = 0.1, changing: float = CHANGING) -> int:
    """Tasks an arm that show a fall of one arm by so much (0.05: 5 points) within two rounds, in POWER of the runs.

    A difference of means over 2 later and 4 earlier rounds has the variance v (1/2 + 1/4) / n, v being that of one task from
    round
    to round: changing / 2, and fall / 4 for the tasks that were lost, which count as chance too. It must exceed the quantile of
    what a look may spend, by that of the power. 21 arms, 20 looks, 0.05: 3/4 * (0.05 + 0.0125) * ((3.95 + 1.28) / 0.05)^2 =
    513.
    """
    return math.ceil(_scale(arms, looks, alpha) * (changing / 2 + fall / 4) / fall**2)


def visible(tasks: int, arms: int, looks: int, alpha: float = 0.1, changing: float = CHANGING) -> float:
    """The fall of one arm with so many tasks that is seen within two rounds in POWER of the runs; `needed` the other way round.
    At most 1."""
    scale, n = _scale(arms, looks, alpha), max(tasks, 1)
    return min((scale / 4 + math.sqrt(scale**2 / 16 + 2 * n * scale * changing)) / (2 * n), 1.0)


def _scale(arms: int, looks: int, alpha: float) -> float:
    later, earlier = ROUNDS
    limit = NORMAL.inv_cdf(POWER) - NORMAL.inv_cdf(alpha / max(looks, 1) / SPANS_WORTH / 2 / max(arms, 1))
    return (1 / later + 1 / earlier) * limit**2


def flattery(error: float, looks: int) -> float:
    """How much better the best of so many looks at equal models seems, in the mean and at most: error * sqrt(2 ln looks).

    error  standard error of one look. Of one look, 0. Source: the maximum of sub-Gaussian variables (Boucheron, Lugosi,
           Massart, Concentration Inequalities, 2013, section 2.5)
    """
    return error * math.sqrt(2 * math.log(max(looks, 1)))


def exhausted(decisions: Sequence[Decision]) -> tuple[bool, str] | None:
    """Whether the figure that chose was looked at too often to mean anything, and that in words; None where no guard
    counted. Of the accepted round it is compared with what the luckiest of as many equal models would seem to have gained."""
    counted = [d for d in decisions if "looks" in d.numbers]
    if not counted:
        return None
    times, last = len(counted), next((d for d in reversed(counted) if d.accepted), counted[-1])
    lucky = flattery(last.numbers["standard_error"], times)
    said = f"validation was looked at {times} {'time' if times == 1 else 'times'}; the luckiest of so many equal models would"
    said += f" seem {100 * lucky:.1f} points better on the half that chooses"
    risen = sum(d.numbers["mean"] for d in counted if d.accepted)
    if times > 1 and risen <= lucky:
        return (
            True,
            f"{said}, and no more was gained there ({100 * risen:+.1f}): it is exhausted, so trust the other half and the test",
        )
    return False, f"{said}, of the {100 * risen:+.1f} that were gained there"
