"""Guards: whether a round made the model better, worse, or cannot tell.

A guard maps two evaluations on the same tasks to a `Decision`: of the accepted weights, and of those after a round. Its three
answers, and what follows from each, stand there. A guard that never says "unclear" keeps a round or takes it back.
"""

from __future__ import annotations

import numpy as np

from sharpen.core import Arm, Decision, Evaluation
from sharpen.guard.changes import changes_between, numbers_of, standard_error


def always(before: Evaluation, after: Evaluation) -> Decision:
    """Accept whatever happened, for control runs; the numbers are the ratchet's."""
    return Decision("better", "accepted: every round is kept", numbers_of(changes_between(before, after)))


def ratchet(before: Evaluation, after: Evaluation, gain: float = 0.0, tolerance: float = 0.05, z: float = 2.5) -> Decision:
    """Accept a round iff skill rose on the whole and no arm fell by more than noise explains.

    gain       the mean over arms of the paired change in accuracy must be above this
    tolerance  a fall of an arm up to this is never held against a round
    z          nor is a fall up to z standard errors of that arm's paired change, were nothing different: sqrt(c) / n where
               c of its n tasks changed (McNemar). The usual estimate, from the spread of the changes, is 0 when all tasks
               change the same way, and takes a few lost tasks for certainty.

    z is for any of many arms to be unlucky. Simulated, 25 arms, per arm 32 / 40 / 64 tasks, of which on average a share
    changes by chance (some arms more, some less). Rounds rolled back because some arm seemed to fall, in per cent:

        z      nothing changed, 10 %   nothing changed, 30 %   all arms +1 point, 10 %
        2      15 / 19 / 28            32 / 34 / 37             8 / 11 / 14
        2.5     2 /  3 /  6             8 /  9 / 11             1 /  1 /  2
        3       0 /  0 /  1             1 /  1 /  2             0 /  0 /  0

    At z = 2.5 one arm's fall by 20 points is seen in 31 / 41 / 71 % of rounds, by 40 points in 83 / 93 / 100 %.
    What stays hidden: falls within these limits add up if they recur round after round. And a small gain drowns: with 10 %
    changing and 40 tasks, a true gain of 0.5 / 1 / 2 points passes `gain=0` in 68 / 83 / 97 % of rounds. Longer rounds or more
    tasks help; a negative `gain` trades certainty for speed. Accepted rounds are chosen by this evaluation, so it flatters
    them: report another split.

    Tasks that could not be judged, before or after, and arms without tasks are passed over. Raises ValueError where arms or
    numbers of tasks differ, or no task is left.
    """
    changes = changes_between(before, after)
    fallen = _fallen(changes, tolerance, z)
    numbers = numbers_of(changes) | {"fallen": float(len(fallen)), "gain": gain, "tolerance": tolerance, "z": z}
    mean = numbers["mean"]
    if fallen:
        return Decision("worse", f"rolled back: {_told(fallen)}", numbers)
    if mean > gain:
        return Decision("better", f"accepted: accuracy rose by {mean:.2%}, and no arm fell by more than noise", numbers)
    return Decision("worse", f"rolled back: accuracy changed by {mean:+.2%}, not by more than {gain:.2%}", numbers)


def evidence(before: Evaluation, after: Evaluation, z: float = 2.0, tolerance: float = 0.05, arm_z: float = 2.5) -> Decision:
    """Better or worse where the tasks show it, else unclear: then training goes on, and nothing is claimed.

    z          better: the mean over arms of the paired change is above z of its standard errors (one-sided: 2 is 97.7 %).
               Worse: it is below -z of them, or some arm fell as the next two say, however much the mean rose
    tolerance, arm_z  as `tolerance` and `z` of the ratchet

    The standard error is the ratchet's: that of a change by chance alone, so that a mean of 0 is never evidence, nor are fewer
    than 5 changed tasks, all for the better, at z = 2. Simulated as for the ratchet, 25 arms of 32 tasks; better / unclear /
    worse in per cent, by the true change of the mean:

        share that changes   -2 points     -1 point      none         +1 point     +2 points
        10 %                  0 / 55 / 45   0 / 84 / 16   2 / 95 / 3   13 / 87 / 1   41 / 59 / 0
        30 %                  0 / 75 / 25   1 / 84 / 15   2 / 89 / 9    7 / 87 / 6   16 / 80 / 4

    Unclear rounds are measured against the accepted weights, not against each other, so small gains add up until they show.
    Every round is another try, so with many of them some "better" is luck: report another split.

    Raises ValueError as the ratchet does.
    """
    changes = changes_between(before, after)
    fallen = _fallen(changes, tolerance, arm_z)
    numbers = numbers_of(changes) | {"fallen": float(len(fallen)), "z": z, "tolerance": tolerance, "arm_z": arm_z}
    mean, noise = numbers["mean"], z * numbers["standard_error"]
    if fallen:
        return Decision("worse", f"rolled back: {_told(fallen)}", numbers)
    if mean < -noise:
        return Decision("worse", f"rolled back: accuracy fell by {-mean:.2%}, more than the {noise:.2%} of noise", numbers)
    if mean > noise:
        return Decision("better", f"accepted: accuracy rose by {mean:.2%}, more than the {noise:.2%} of noise", numbers)
    return Decision("unclear", f"unclear: accuracy changed by {mean:+.2%}, within the {noise:.2%} of noise; going on", numbers)


def _fallen(changes: dict[Arm, np.ndarray], tolerance: float, z: float) -> list[tuple[float, Arm, float]]:
    """(fall, arm, what is allowed) of every arm that fell by more than is allowed, the deepest first."""
    limits = {arm: max(tolerance, z * standard_error(change)) for arm, change in changes.items()}
    return sorted(((float(-d.mean()), arm, limits[arm]) for arm, d in changes.items() if -d.mean() > limits[arm]), reverse=True)


def _told(fallen: list[tuple[float, Arm, float]]) -> str:
    fall, arm, limit = fallen[0]
    more = f"; {len(fallen) - 1} other arms fell too" if len(fallen) > 1 else ""
    return f"{arm} fell by {fall:.1%}, more than the {limit:.1%} allowed{more}"
