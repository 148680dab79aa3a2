"""Worked solutions beside own answers: imitation where practice alone teaches nothing.

A worked solution is a forced row (`Batch.forced`) of its task's group. Data functions decide which prompts get one; objectives
decide what it counts. With P prompts in a batch, a prompt's worked solution of n tokens weighs 1 / (P n) at each token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from sharpen.core import Batch, Policy, Sample, Tableau, UserError
from sharpen.data import keep_all
from sharpen.objectives import policy_gradient
from sharpen.objectives.tableau import Rows

if TYPE_CHECKING:
    from torch import Tensor

# --------------------------------------------------------------------------------------------------------------------- data


def rescued(samples: Sequence[Sample], gate: float = 0.0, instead: bool = True, *, demos: Sequence[Sample]) -> list[Sample]:
    """`keep_all`, with the worked solution of each prompt whose share of right answers is at most `gate`.

    instead   it takes the place of the prompt's own answers (HPT, arXiv 2509.04419); False: it stands beside them (AHPO,
              arXiv 2510.08540). A prompt without a worked solution keeps its own answers.
    """
    kept, shown = keep_all(samples), {demo.group: demo for demo in demos}
    found: list[Sample] = []
    for number in dict.fromkeys(s.group for s in kept):
        group = [s for s in kept if s.group == number]
        failed = sum(s.verdict.correct for s in group) <= gate * len(group) and number in shown
        found += ([] if failed and instead else group) + ([shown[number]] if failed else [])
    return found


def demonstrated(samples: Sequence[Sample], *, demos: Sequence[Sample]) -> list[Sample]:
    """`keep_all`, and every prompt's worked solution as one more member of its group: LUFFY, SRFT."""
    return rescued(samples, gate=1.0, instead=False, demos=demos)


def in_bursts(samples: Sequence[Sample], size: int = 16, *, demos: Sequence[Sample], buffer: list[Sample]) -> list[Sample]:
    """`keep_all`; worked solutions of prompts that always failed wait in a buffer until there are `size`, and come all at once.

    Of those that wait, the newest come first; the others go on waiting. Source: ReLIFT, arXiv 2506.07527.
    """
    kept = keep_all(samples)
    solved = {s.group for s in kept if s.verdict.correct}
    buffer += [demo for demo in demos if demo.group not in solved]
    burst: list[Sample] = []
    if size and len(buffer) >= size:
        burst, buffer[:] = buffer[-size:], buffer[:-size]
    first = 1 + max((s.group for s in samples), default=-1)  # each a group of its own
    return kept + [replace(demo, group=first + i) for i, demo in enumerate(burst)]


# --------------------------------------------------------------------------------------------------------------- objectives


def imitating(base: Tableau, own: float = 1.0, shown: float = 1.0) -> Tableau:
    """own * (what `base` does with the policy's own answers) + shown * (mean over prompts of the worked solution's mean
    log-likelihood). Worked solutions enter no comparison; a batch without any is `base`, bit for bit, where own is 1."""
    return replace(
        base,
        advantage=partial(credit_of_own, base=base.advantage),
        normaliser=partial(mean_over_prompts, base=base.normaliser, own=own, shown=shown),
        ratio=partial(ratio_of_own, base=base.ratio),
        clip=partial(clip_of_own, base=base.clip),
    )


def credit_of_own(batch: Batch, base: Callable[[Batch], np.ndarray]) -> np.ndarray:
    """1 for forced rows; for the others what `base` says of them alone."""
    forced = forced_rows(batch)
    found = np.ones(len(batch))
    found[~forced] = base(batch.take(~forced))
    return found


def mean_over_prompts(batch: Batch, base: Callable[[Batch], np.ndarray], own: float, shown: float) -> np.ndarray:
    """Every prompt weighs the same, whether it is learnt by practice, by imitation, or both."""
    forced, found = forced_rows(batch), np.zeros(len(batch))
    prompts, practised = len(np.unique(batch.group)), len(np.unique(batch.group[~forced]))
    found[~forced] = own * base(batch.take(~forced)) * (practised / max(prompts, 1))
    found[forced] = shown / (max(prompts, 1) * np.maximum(batch.mask[forced].sum(axis=1, dtype=np.float64), 1.0))
    return found


def forced_rows(batch: Batch) -> np.ndarray:
    return np.zeros(len(batch), dtype=bool) if batch.forced is None else batch.forced


def ratio_of_own(rows: Rows, base: Callable[[Rows], Tensor]) -> Tensor:
    import torch

    return torch.where(rows.forced, torch.ones_like(rows.logp), base(rows))


def clip_of_own(rows: Rows, ratio: Tensor, base: Callable[[Rows, Tensor], Tensor]) -> Tensor:
    import torch

    return torch.where(rows.forced, torch.ones_like(ratio), base(rows, ratio))


def hpt(length: int) -> Tableau:
    """HPT (arXiv 2509.04419): Dr. GRPO on prompts with own answers, likelihood on prompts with a worked solution instead."""
    return imitating(policy_gradient.dr_grpo(length))


def ahpo(weight: float = 1.0) -> Tableau:
    """AHPO (arXiv 2510.08540): GRPO, plus `weight` times the likelihood of the worked solutions beside failing groups."""
    return imitating(policy_gradient.grpo(), shown=weight)


def luffy(shape: float = 0.1) -> Tableau:
    """LUFFY (arXiv 2504.14945): GRPO over own answers and the worked solution, whose probabilities p enter as p / (p + shape).

    The shaped "ratio" gives rare tokens the larger gradient; it is not clipped. shape=0 is SRFT's: the ratio is p.
    """
    clip = partial(clip_of_own, base=partial(policy_gradient.trust_region, low=0.2, high=0.2))
    ratio = partial(shaped_ratio, shape=shape) if shape else policy_gradient.token_ratio
    return replace(policy_gradient.grpo(), ratio=ratio, clip=clip)


def shaped_ratio(rows: Rows, shape: float) -> Tensor:
    """`token_ratio`; on forced rows the derivative of p / (p + shape) by log p."""
    import torch

    p = rows.logp.exp()
    return torch.where(rows.forced, shape * p / (p + shape) ** 2, policy_gradient.token_ratio(rows))


def srft(weight: float = 0.5) -> Tableau:
    """SRFT (arXiv 2506.19767) as a row of the table: `luffy(shape=0)` plus a fixed weight on the demonstrations' likelihood."""
    base = luffy(shape=0.0)
    return replace(base, extra=partial(forced_likelihood, weight=weight)) if weight else base


def forced_likelihood(rows: Rows, weight: float) -> Tensor:
    import torch

    return torch.where(rows.forced, weight, 0.0).to(rows.logp.dtype).expand_as(rows.logp)


def thinking(low: float = -1e-3, high: float = 1e-3, largest: float = 4.0, released: bool = False) -> Tableau:
    """ThinkTuning (arXiv 2508.07616): GRPO, in which words that a teacher put into an answer (sampling log-probability 0, p
    under the policy) weigh A p / (p + gamma), unclipped. gamma falls from `high` at A = -`largest` to `low` at A = `largest`,
    so that rare words of what went well count more, and of what went badly less. Rare ones, p < 0.01, of what went badly are
    held to the policy before the step as its own words are.

    released  as its code has it, whose clamp makes gamma `low` whatever A is
    """
    if largest <= 0 or low > high:
        raise UserError(f"thinking needs largest > 0 and low <= high, got {largest=}, {low=}, {high=}")
    numbers: dict[str, Any] = dict(low=low, high=low if released else high, largest=largest)
    base = policy_gradient.grpo()
    clip = partial(clip_of_given, base=base.clip)
    return replace(base, ratio=partial(advised_ratio, **numbers), clip=clip, before=True)


def given(rows: Rows) -> Tensor:
    """(R, T) bool, trained words that nobody drew: their sampling log-probability is 0. So is that of a word that was drawn
    with certainty, of which all here is the same."""
    return (rows.mask != 0) & (rows.sampling == 0)


def advised_ratio(rows: Rows, low: float, high: float, largest: float) -> Tensor:
    """`token_ratio` of drawn words; of given ones p / (p + gamma), with the denominator kept within (0, 1) as the release does;
    of those that fall back, the ratio to the policy before the step."""
    import torch

    p = rows.logp.exp()
    gamma = low + (high - low) * ((largest - rows.advantage) / (2 * largest)).clamp(0, 1)
    below = p + gamma
    below = torch.where(below <= 0, p / 1.0001, torch.where(below > 1, p / 0.9999, below))
    shaped = p / below.clamp(min=1e-12)
    assert rows.before is not None
    back = (rows.logp - rows.before).clamp(-policy_gradient.LOG_RATIO_LIMIT, policy_gradient.LOG_RATIO_LIMIT).exp()
    return torch.where(given(rows), torch.where(fallen(rows, p), back, shaped), policy_gradient.token_ratio(rows))


def fallen(rows: Rows, p: Tensor) -> Tensor:
    return given(rows) & (rows.advantage < 0) & (p < 0.01)


def clip_of_given(rows: Rows, ratio: Tensor, base: Callable[[Rows, Tensor], Tensor]) -> Tensor:
    import torch

    free = given(rows) & ~fallen(rows, rows.logp.exp())
    return torch.where(free, torch.ones_like(ratio), base(rows, ratio))


# ---------------------------------------------------------------------------------------------------- a weight that is learnt


def amft(
    length: int,
    mu: float = 0.5,
    rate: float = 1.0,
    entropy_rate: float = 0.02,
    target: float = 0.0,
    every: int = 4,
    low: float = 0.05,
    high: float = 0.95,
    *,
    policy: Policy,
    batch: Batch | None,
    notes: dict[str, float],
) -> Tableau:
    """AMFT (arXiv 2508.06944): (1 - mu) * Dr. GRPO + mu * likelihood of worked solutions, mu learnt as the loop goes.

    mu moves by rate * d(utility)/d(mu), through one step of the policy, and by entropy_rate * (entropy - target): an open
    policy is shown more, a closed one explores more (the formula as printed has the other sign: a negative rate). Utility is
    the expected reward of the own answers to every second prompt; the other prompts and the worked solutions say where the two
    losses would go. Gradients enter with length 1, for those of reward fade as a task is learnt.

    every    steps between two meta-gradients; entropy counts at each
    target   entropy in nats; 0: that of the first step
    """
    if batch is None:  # looked at before there is anything to learn
        return imitating(policy_gradient.dr_grpo(length), own=1 - mu, shown=mu)
    _, entropies = policy.entropies(batch)
    now = float(entropies.sum() / max(batch.mask.sum(), 1))
    notes.setdefault("mu", mu)
    notes.setdefault("target", target or now)
    notes["steps"] = notes.get("steps", 0) + 1
    moved = notes["mu"] + entropy_rate * (now - notes["target"])
    if notes["steps"] % every == 0:
        moved += rate * meta_gradient(policy, batch, length)
    notes["mu"] = float(np.clip(moved, low, high))
    return imitating(policy_gradient.dr_grpo(length), own=1 - notes["mu"], shown=notes["mu"])


def meta_gradient(policy: Policy, batch: Batch, length: int) -> float:
    """`utility_by_weight` of a batch, with gradients of length 1, so that it lies between -2 and 2."""
    forced = forced_rows(batch)
    held_out = np.isin(batch.group, np.unique(batch.group)[1::2]) & ~forced
    utility = unit(policy.direction(batch.take(held_out), policy_gradient.rloo()))
    practice = unit(policy.direction(batch.take(~held_out & ~forced), policy_gradient.dr_grpo(length)))
    imitation = unit(policy.direction(batch.take(forced), policy_gradient.sft()))
    return utility_by_weight(utility, practice, imitation)


def utility_by_weight(
    utility: Sequence[Tensor], practice: Sequence[Tensor], imitation: Sequence[Tensor], step: float = 1.0
) -> float:
    """d(utility) / d(mu) after theta + step * ((1 - mu) * practice + mu * imitation): step * <utility, imitation - practice>.

    All three are gradients of what is to be raised, tensor by tensor.
    """
    return step * sum(float((u * (i - p)).sum()) for u, p, i in zip(utility, practice, imitation, strict=True))


def unit(gradient: Sequence[Tensor]) -> list[Tensor]:
    """The gradient at length 1; where it is 0 it stays 0."""
    length = sum(float(g.square().sum()) for g in gradient) ** 0.5
    return [g / length if length else g for g in gradient]
