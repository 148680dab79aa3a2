"""Which right answers of earlier stages are practised again: functions for `select` that add some to a step's samples.

    recalled   any of the memory, each as likely
    spaced     those whose time has come: the pause after which one is recalled doubles every time
    hardest    those that the student has come to find least likely
    confused   those whose questions lie nearest to what is learnt now

1. The memory is `size` of the right answers of earlier stages (`earlier`), chosen by their hash: each as likely as any other,
and
   the same in every step, as a reservoir of so many would hold.
2. What is added is a group of its own, with a number below 0, and has no log-probabilities of its sampling: another version of
   the student wrote it. objectives/rehearsal.py says what it does in the loss; a plain one learns from it as from the others.
3. In the first stage there is nothing to add. `base` selects among the present samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sharpen.core import Message, Sample, UserError
from sharpen.data.selection import keep_correct
from sharpen.hashing import digest

Likelihood = Callable[[Sequence[Sample]], np.ndarray]
Select = Callable[[Sequence[Sample]], list[Sample]]
Embed = Callable[[Sequence[Sequence[Message]]], np.ndarray]


def memory(earlier: Sequence[Sample], size: int) -> list[Sample]:
    """`size` of them, in order of their hashes; all, where there are fewer. UserError unless size is at least 1."""
    if size < 1:
        raise UserError(f"size={size}: a memory holds one answer at least.")
    return sorted(earlier, key=lambda s: digest(s.rollout.id))[:size]


def again(chosen: Sequence[Sample]) -> list[Sample]:
    """As samples of this step, each alone in its group."""
    blank = [replace(s.rollout, logprobs=np.zeros_like(s.rollout.logprobs)) for s in chosen]
    return [replace(s, rollout=r, group=-1 - i, weight=1.0) for i, (s, r) in enumerate(zip(chosen, blank, strict=True))]


def number(present: int, share: float) -> int:
    """How many make up `share` of the batch, which has the present ones beside them."""
    if not 0 <= share < 1:
        raise UserError(f"share={share}: this is the share of a batch that is practised again, from 0 and below 1.")
    return round(present * share / (1 - share))


def beside(
    samples: Sequence[Sample], base: Select, earlier: Sequence[Sample], size: int, share: float
) -> tuple[list[Sample], list[Sample], int]:
    """(what `base` selects, the memory, how many of the memory are practised again: none of an empty one)."""
    present, held = base(samples), memory(earlier, size)
    return present, held, number(len(present), share) if held else 0


def recalled(
    samples: Sequence[Sample],
    share: float = 0.5,
    size: int = 512,
    base: Select = keep_correct,
    *,
    earlier: list[Sample],
    rng: np.random.Generator,
) -> list[Sample]:
    """What `base` selects, and of a memory any so that they are `share` of the batch (ER, arXiv 1902.10486)."""
    present, held, n = beside(samples, base, earlier, size, share)
    return present + again([held[int(i)] for i in rng.choice(len(held), min(n, len(held)), replace=False)]) if held else present


def spaced(
    samples: Sequence[Sample],
    share: float = 0.5,
    size: int = 512,
    grow: float = 2.0,
    base: Select = keep_correct,
    *,
    earlier: list[Sample],
    notes: dict[str, Any],
    rng: np.random.Generator,
) -> list[Sample]:
    """What `base` selects, and those of the memory that are most overdue: recalled once, one waits `grow` times as long as it
    did before (spacing: View-batch, arXiv 2503.18371, section 3). `notes` has, for each, when it was recalled and how long it
    waits.
    """
    present, held, n = beside(samples, base, earlier, size, share)
    if not held:
        return present
    now = int(notes.get("step", 0))
    notes["step"] = now + 1
    plan: dict[str, list[float]] = notes.setdefault("recalls", {})
    random = rng.random(len(held))
    first = max(len(held) / max(n, 1), 1.0)  # the pause if all took turns
    waits = [plan.get(s.rollout.id, [-first, first]) for s in held]
    overdue = [(now - last) / pause for last, pause in waits]
    order = sorted(range(len(held)), key=lambda i: (-overdue[i], random[i]))[:n]
    for i in order:
        plan[held[i].rollout.id] = [now, waits[i][1] * grow]
    return present + again([held[i] for i in order])


def hardest(
    samples: Sequence[Sample],
    share: float = 0.5,
    size: int = 512,
    candidates: int = 4,
    base: Select = keep_correct,
    *,
    earlier: list[Sample],
    likelihood: Likelihood,
    rng: np.random.Generator,
) -> list[Sample]:
    """What `base` selects, and of `candidates` times as many as are needed those with the lowest likelihood now (their loss is
    the largest: what is being forgotten)."""
    present, held, n = beside(samples, base, earlier, size, share)
    if not n:
        return present
    tried = [held[int(i)] for i in rng.choice(len(held), min(candidates * n, len(held)), replace=False)]
    order = np.argsort(likelihood(tried), kind="stable")[:n]
    return present + again([tried[int(i)] for i in order])


def confused(
    samples: Sequence[Sample],
    share: float = 0.5,
    size: int = 512,
    heat: float = 0.1,
    base: Select = keep_correct,
    *,
    earlier: list[Sample],
    embed: Embed,
    rng: np.random.Generator,
) -> list[Sample]:
    """What `base` selects, and more of the memory's arms whose prototype is nearer to one of the present arms' (OnPro's
    adaptive feedback, arXiv 2308.00301, section 3.3). A prototype is the mean direction of an arm's questions in the student's
    states; arms are drawn by softmax(largest cosine / heat)."""
    present, held, n = beside(samples, base, earlier, size, share)
    if not n:
        return present
    now, old = prototypes(present, embed), prototypes(held, embed)
    near = np.array([max(float(p @ q) for q in now.values()) for p in old.values()])
    odds = np.exp((near - near.max()) / heat)
    arms = [list(old)[int(i)] for i in rng.choice(len(old), n, p=odds / odds.sum())]
    by_arm = {arm: [s for s in held if str(s.rollout.task.arm) == arm] for arm in old}
    return present + again([by_arm[arm][int(rng.integers(len(by_arm[arm])))] for arm in arms])


def prototypes(samples: Sequence[Sample], embed: Embed, most: int = 32) -> dict[str, np.ndarray]:
    """Of each arm, by name, the mean of its questions' embeddings, of length 1; of up to `most` of them."""
    by_arm: dict[str, list[Sample]] = {}
    for s in samples:
        by_arm.setdefault(str(s.rollout.task.arm), []).append(s)
    found = {}
    for arm, own in sorted(by_arm.items()):
        mean = embed([s.rollout.task.prompt for s in own[:most]]).mean(axis=0)
        found[arm] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return found
