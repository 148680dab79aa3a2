"""Orders: every task of the pool has a place, and a curriculum walks along the places with the budget.

Three parts, chosen one by one:

1. A score, (Attempts) -> (N,): how difficult each task is, by somebody who knew it before the run: the level, the length, how
   rare the words are, or a number that came with the task. It is worked out at the first step and kept.
2. An order, (scores, kinds, luck) -> places: a permutation of the pool. `kinds` are numbers of families, `luck` one random
   number for each task, which breaks ties and shuffles. Every order holds every task once.
3. A walk: `in_turn` sees each part of the pool once, `paced` draws from a beginning of it that grows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from sharpen.core import Arm, Choices, Task, UserError
from sharpen.curriculum.attempts import Attempts, rungs
from sharpen.curriculum.common import History, dealt, lowest
from sharpen.curriculum.pool import with_hardest
from sharpen.curriculum.value_model import WORD
from sharpen.hashing import derive

Score = Callable[[Attempts], np.ndarray]
Order = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
PARTS = 3  # in which interleaved orders cut every kind

# ------------------------------------------------------------------------------------------------------------------ scores


def by_level(attempts: Attempts) -> np.ndarray:
    """The level, as a share of its family's levels: 0 the easiest, below 1. What a person who made the levels says."""
    height = Counter(arm.family for arm in set(attempts.arms))
    share = np.array([r / height[arm.family] for arm, r in zip(attempts.arms, rungs(attempts.arms), strict=True)])
    return np.repeat(share, np.diff(attempts.starts))


def by_length(attempts: Attempts) -> np.ndarray:
    """Characters of what is asked. Every task of the pool is drawn."""
    return np.array([len(asked(attempts.draw(i))) for i in range(len(attempts))], np.float64)


def by_words(attempts: Attempts) -> np.ndarray:
    """How surprising the words of what is asked are: minus the mean log-frequency of its words among all questions of the pool,
    the logarithm of unigram perplexity. Every task of the pool is drawn."""
    words = [WORD.findall(asked(attempts.draw(i))) for i in range(len(attempts))]
    counts = Counter(word for listed in words for word in listed)
    total = sum(counts.values())
    return np.array([-np.mean([math.log(counts[w] / total) for w in listed] or [0.0]) for listed in words])


def by_field(attempts: Attempts, field: str = "difficulty") -> np.ndarray:
    """A number that came with each task: `data[field]`, from a person or another model. UserError where a task has none."""
    found = []
    for i in range(len(attempts)):
        value = attempts.draw(i).data.get(field)
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise UserError(f"a task of {attempts.source.name} has no number {field!r}, by which tasks are to be ordered. ")
        found.append(float(value))
    return np.array(found)


def asked(task: Task) -> str:
    return " ".join(str(message.get("content", "")) for message in task.prompt)


# ------------------------------------------------------------------------------------------------------------------ orders


def shuffled(scores: np.ndarray, kinds: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """No order: the control of all others."""
    return np.argsort(luck, kind="stable")


def ascending(scores: np.ndarray, kinds: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """Easy to hard, whatever the kind; equals in random order, so that all kinds of a level come together."""
    return np.lexsort((luck, scores))


def descending(scores: np.ndarray, kinds: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """Hard to easy."""
    return np.lexsort((luck, -scores))


def blocked(scores: np.ndarray, kinds: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """Kind after kind, each in random order."""
    return np.lexsort((luck, kinds))


def blocked_ascending(scores: np.ndarray, kinds: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """Kind after kind, each easy to hard."""
    return np.lexsort((luck, scores, kinds))


def interleaved(scores: np.ndarray, kinds: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """Every kind in PARTS equal parts, in random order within, the parts visited in turn: runs of a third of a kind."""
    return np.lexsort((luck, kinds, part_of(shuffled(scores, kinds, luck), kinds)))


def interleaved_ascending(scores: np.ndarray, kinds: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """Every kind easy to hard, in PARTS equal parts that are visited in turn."""
    return np.lexsort((luck, scores, kinds, part_of(ascending(scores, kinds, luck), kinds)))


def part_of(places: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """(N,) the part of its kind that each task is in, the kind's tasks taken in the order of `places`."""
    found = np.zeros(len(kinds), np.int64)
    for kind in np.unique(kinds):
        own = places[kinds[places] == kind]
        found[own] = np.arange(len(own)) * PARTS // len(own)
    return found


def placed(attempts: Attempts, kept: dict[str, np.ndarray], score: Score, order: Order) -> np.ndarray:
    """The pool in order, (N,) numbers of tasks. Scores are worked out once, and again where tasks have grown."""
    if len(kept.get("score", ())) != len(attempts):
        kept["score"] = np.asarray(score(attempts), np.float64)
    luck = np.random.default_rng(derive(attempts.seed, 0, "order", 0)).random(len(attempts))
    return order(kept["score"], kinds_of(attempts), luck)


def kinds_of(attempts: Attempts) -> np.ndarray:
    """(N,) the number of each task's family."""
    families = sorted({arm.family for arm in attempts.arms})
    return np.repeat([families.index(arm.family) for arm in attempts.arms], np.diff(attempts.starts))


# ------------------------------------------------------------------------------------------------------------------- walks


def in_turn(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    score: Score = by_level,
    order: Order = ascending,
    window: float = 0.1,
    *,
    attempts: Attempts,
    progress: float,
    kept: dict[str, np.ndarray],
) -> Choices:
    """Every part of the pool once, in an order that was fixed before: at a share t of the budget the tasks around place t.

    window  share of the pool that is open at a time, the least visited of it first; 1: all of it, always
    """
    if not 0 < window <= 1:
        raise UserError(f"window={window}: this is a share of the pool, above 0 and at most 1.")
    places = placed(attempts, kept, score, order)
    width = min(max(round(window * len(places)), prompts), len(places))
    start = round(min(max(progress, 0.0), 1.0) * (len(places) - width))
    opened = places[start : start + width]
    return dealt(attempts, opened[lowest(attempts.visits[opened] + rng.random(width), prompts)], prompts * samples)


def phased(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    score: Score = by_length,
    phases: int = 2,
    back: float = 0.25,
    *,
    attempts: Attempts,
    progress: float,
    kept: dict[str, np.ndarray],
) -> Choices:
    """QwenLong-L1 (arXiv 2505.17667): phases of growing inputs, each with the hardest tasks of those before
    (`pool.with_hardest`).

    Phase k of `phases`, each as long, takes the k-th part of the pool by score, parts being as large as each other. With
    by_level instead of by_length this is `pool.retrospective`, up to how equals are cut.
    """
    if phases < 1 or not 0 <= back <= 1:
        raise UserError(f"phased needs phases >= 1 and 0 <= back <= 1, got {phases}, {back}")
    places = placed(attempts, kept, score, ascending)
    phase = np.empty(len(places), np.int64)
    phase[places] = np.arange(len(places)) * phases // len(places)
    return with_hardest(attempts, phase, min(int(progress * phases), int(phase.max())), back, prompts, samples, rng)


def pace(progress: float, begin: float = 0.1, after: float = 1 / 16, until: float = 7 / 8, logarithmic: bool = False) -> float:
    """The share of something that is open at a share of the budget: `begin` up to `after`, all from `until` on, in between a
    straight line, or 1 + ln(u) / 10 of the way, u being how far between the two. Source: CLIMB (BabyLM), its configuration."""
    u = min(max((progress - after) / (until - after), 0.0), 1.0)
    way = min(1 + 0.1 * math.log(u + math.exp(-10)), 1.0) if logarithmic else u
    return begin + (1 - begin) * way


def paced(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    score: Score = by_words,
    begin: float = 0.1,
    logarithmic: bool = False,
    *,
    attempts: Attempts,
    progress: float,
    kept: dict[str, np.ndarray],
) -> Choices:
    """Draw evenly from the easiest share `pace(progress)` of the pool."""
    if not 0 < begin <= 1:
        raise UserError(f"begin={begin}: this is a share of the pool, above 0 and at most 1.")
    places = placed(attempts, kept, score, ascending)
    opened = places[: max(math.ceil(pace(progress, begin, logarithmic=logarithmic) * len(places)), 1)]
    return dealt(attempts, rng.permutation(opened)[:prompts], prompts * samples)
