"""Advantages: what each response is credited with, relative to the others of its group.

Each function maps a `Batch` to a (B,) float64 array and reads only `reward` and `group`. A group is the responses to one
task in one step.

1. A silent group, one whose rewards are all equal, gets exactly 0, not rounding noise. So does a group of one: it has
   nothing to be compared with.
2. Order and numbering of the groups do not matter, and groups may differ in size.
3. Batch weights do not enter: they scale the gradient (see tableau.py), not the comparison.
4. A reward that is not finite raises NotFinite and names the rows.
"""

from __future__ import annotations

import numpy as np

from sharpen.core import Batch, NotFinite


def require_finite(name: str, values: np.ndarray) -> None:
    """Raise NotFinite that names the first rows of `values`, (B,), holding a NaN or an infinity."""
    rows = np.flatnonzero(~np.isfinite(values))
    if len(rows):
        shown = ", ".join(map(str, rows[:8])) + (", …" if len(rows) > 8 else "")
        raise NotFinite(f"{name} is not finite in {len(rows)} of {len(values)} rows: {shown}", rows.tolist())


def grouped(batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rewards as float64, the index of each row's group (0 to G - 1), and the size of each group."""
    reward = np.asarray(batch.reward, dtype=np.float64)
    require_finite("reward", reward)
    _, index, size = np.unique(batch.group, return_inverse=True, return_counts=True)
    return reward, index, size


def group_mean(batch: Batch) -> np.ndarray:
    """(B,) mean reward of each row's group."""
    reward, index, size = grouped(batch)
    return (np.bincount(index, reward, len(size)) / np.maximum(size, 1))[index]


def silent(batch: Batch) -> np.ndarray:
    """(B,) bool: true for rows whose group has no two different rewards, so that comparing within it teaches nothing."""
    reward, index, size = grouped(batch)
    low, high = np.full(len(size), np.inf), np.full(len(size), -np.inf)
    np.minimum.at(low, index, reward)
    np.maximum.at(high, index, reward)
    return (low == high)[index]


def alone(batch: Batch) -> np.ndarray:
    """(B,) bool: true for a response that is the only one of its group."""
    _, index, size = grouped(batch)
    return size[index] == 1


def ones(batch: Batch) -> np.ndarray:
    """1 for every response: likelihood training (SFT, RFT), whatever the rewards."""
    return np.ones(len(batch))


def raw(batch: Batch) -> np.ndarray:
    """The reward itself: REINFORCE without a baseline."""
    return grouped(batch)[0]


def batch_centred(batch: Batch) -> np.ndarray:
    """Reward minus the mean reward of the whole batch. 0 everywhere if all rewards are equal."""
    reward = grouped(batch)[0]
    if not len(reward) or reward.min() == reward.max():
        return np.zeros(len(reward))
    return reward - reward.mean()


def centred(batch: Batch) -> np.ndarray:
    """Reward minus the group's mean: Dr. GRPO (arXiv 2503.20783, section 3.2)."""
    reward, index, size = grouped(batch)
    mean = np.bincount(index, reward, len(size)) / size
    return np.where(silent(batch), 0.0, reward - mean[index])


def leave_one_out(batch: Batch) -> np.ndarray:
    """Reward minus the mean of the *other* responses of the group: RLOO (arXiv 2402.14740).

    Equal to n/(n-1) times `centred`. 0 for a group of one.
    """
    _, index, size = grouped(batch)
    scale = size / np.maximum(size - 1, 1)
    return centred(batch) * scale[index]


def normalised(batch: Batch, unbiased: bool = False, eps: float = 1e-6) -> np.ndarray:
    """(reward - group mean) / (group standard deviation + eps): GRPO (arXiv 2402.03300, section 4.1.2).

    The paper writes "std" without saying which. The population form (divide by n) is the default, because with it the
    mean |advantage| of a binary reward is 2 sqrt(p (1 - p)) at every group size; `unbiased=True` divides by n - 1, as
    torch.std and the common trainers do, and shrinks every advantage by sqrt((n - 1) / n).
    """
    _, index, size = grouped(batch)
    difference = centred(batch)
    degrees = np.maximum(size - 1, 1) if unbiased else size
    deviation = np.sqrt(np.bincount(index, difference**2, len(size)) / degrees)
    # A silent group has deviation 0, and eps may be 0: its differences are 0 already, so divide them by one.
    return difference / np.where(deviation > 0, deviation + eps, 1.0)[index]


def by_turn(batch: Batch, unbiased: bool = False, eps: float = 1e-6) -> np.ndarray:
    """(B, T): each of the student's turns compared with the same turn of the group's other rollouts, and divided by their
    deviation as in `normalised`. 0 where no turn is trained, or where a turn is worth the same in all of them.

    Where the verdicts credit no turns, every token has what `normalised` gives its row.
    """
    if batch.turn is None or batch.credit is None:
        return np.broadcast_to(normalised(batch, unbiased, eps)[:, None], batch.mask.shape) * batch.mask
    found = np.zeros(batch.mask.shape)
    for group in np.unique(batch.group):
        rows = np.flatnonzero(batch.group == group)
        for turn in np.unique(batch.turn[rows][batch.turn[rows] >= 0]):
            on = batch.turn[rows] == turn
            having = on.any(axis=1)
            worth = (batch.credit[rows] * on).sum(axis=1)[having] / on.sum(axis=1)[having]
            spread = worth.std(ddof=1) if unbiased and len(worth) > 1 else worth.std()
            if spread > 0:
                found[rows[having]] += on[having] * ((worth - worth.mean()) / (spread + eps))[:, None]
    return found


def credited(batch: Batch) -> np.ndarray:
    """(B, T): what each of the student's turns is worth by itself. Where the verdicts credit no turns, what `centred` gives."""
    if batch.turn is None or batch.credit is None:
        return np.broadcast_to(centred(batch)[:, None], batch.mask.shape) * batch.mask
    return np.asarray(batch.credit, dtype=np.float64) * (batch.turn >= 0)


def signed(batch: Batch, wrong: float) -> np.ndarray:
    """1 for a response with a reward above 0, else -wrong: likelihood and unlikelihood at fixed rates, no comparison."""
    return np.where(raw(batch) > 0, 1.0, -wrong)


def generalised(batch: Batch, gamma: float, lam: float, whiten: bool = True) -> np.ndarray:
    """(B, T) generalised advantage estimates (arXiv 1506.02438, equation 16) from `batch.values`; the last token is paid.

    Time counts trained tokens only: what a user said between two turns is no step. A batch without values counts as 0
    everywhere. `whiten` makes mean 0 and deviation 1 over the batch's trained tokens; it does nothing where all are equal.
    """
    reward, on = grouped(batch)[0], np.asarray(batch.mask) > 0
    values = np.zeros(on.shape) if batch.values is None else np.asarray(batch.values, dtype=np.float64)
    found, ahead = np.zeros(on.shape), np.zeros(len(reward))
    worth = reward  # of what comes next: the reward, until there is a next token
    for t in reversed(range(on.shape[1])):
        last = worth - values[:, t] + lam * ahead
        found[:, t] = np.where(on[:, t], last, 0.0)
        ahead, worth = np.where(on[:, t], gamma * last, ahead), np.where(on[:, t], gamma * values[:, t], worth)
    if whiten and on.any() and np.ptp(found[on]) > 0:
        found = np.where(on, (found - found[on].mean()) / (found[on].std() + 1e-8), 0.0)
    return found


def returns(batch: Batch, gamma: float, lam: float) -> np.ndarray:
    """(B, T) what a value head is to expect before each token: the estimate of `generalised` plus the value itself."""
    return generalised(batch, gamma, lam, whiten=False) + (0.0 if batch.values is None else batch.values)


def weighed_by_hardness(batch: Batch, extra: float) -> np.ndarray:
    """`normalised`, times 1 + extra * (1 - mean reward of the group): rare successes weigh more."""
    reward, index, size = grouped(batch)
    return normalised(batch) * (1 + extra * (1 - (np.bincount(index, reward, len(size)) / size)[index]))


def normalised_or_raw(batch: Batch) -> np.ndarray:
    """`normalised` for the responses of a group; the reward itself for a response that is alone.

    So a replayed success or a worked solution, which has no group to be compared with, is imitated with weight 1, beside
    groups that are compared: the mixture of HPT (arXiv 2509.04419) and LUFFY (arXiv 2504.14945) in its plainest form.
    """
    return np.where(alone(batch), raw(batch), normalised(batch))
