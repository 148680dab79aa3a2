"""What of an evaluation stands in training texts: by runs of words, and, blind to digits, letter for letter.

1. A training text hits an evaluation item where runs of `n` words that both have cover more than `least` of the item's words.
2. Runs that more than FORM evaluation items share are their form, the words of a template, and tell nothing. An item that is
   all form, or shorter than `n` words, is hit by a text that holds it as a whole.
3. Rule 1 with n = 8 and a half, and that a set is cleaned once more than 2 % of an evaluation are hit, is TULU 3's (arXiv
   2411.15124, decontamination; the numbers are unverified). Equality without digits, and runs of 32 words, are Light-R1's
   (arXiv 2503.10460).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from sharpen.core import Task, TaskSource

WORD = re.compile(r"\w+|[^\w\s]")
FORM = 20  # items that may share a run


def words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def text_of(task: Task) -> str:
    return "\n".join(str(message["content"]) for message in task.prompt)


def runs(listed: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All runs of n words; the whole, where there are fewer."""
    return [tuple(listed[i : i + n]) for i in range(max(len(listed) - n + 1, 1))] if listed else []


def without_digits(text: str) -> str:
    return re.sub(r"\d+", "", " ".join(text.casefold().split()))


@dataclass(frozen=True)
class Index:
    """The telling runs of evaluation items, and where each is found."""

    n: int
    sizes: tuple[int, ...]
    places: dict[tuple[str, ...], list[tuple[int, int]]]  # run: (item, its first word)

    def hits(self, text: str, least: float = 0.5) -> list[int]:
        """Numbers of the items that this text hits."""
        covered: dict[int, set[int]] = {}
        found = words(text)
        for size in {self.n, *(s for s in self.sizes if s < self.n)}:
            for run in set(runs(found, size)) if len(found) >= size else ():
                for item, at in self.places.get(run, ()):
                    covered.setdefault(item, set()).update(range(at, at + len(run)))
        return sorted(item for item, own in covered.items() if len(own) > least * self.sizes[item])


def indexed(items: Iterable[str], n: int = 8) -> Index:
    """An index of evaluation items."""
    listed = [words(text) for text in items]
    counts = Counter(run for own in listed for run in set(runs(own, n)))
    places: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for i, own in enumerate(listed):
        found = runs(own, n)
        telling = [(at, run) for at, run in enumerate(found) if counts[run] <= FORM]
        for at, run in telling or ([(0, tuple(own))] if own else []):
            places.setdefault(run, []).append((i, at))
    return Index(n, tuple(map(len, listed)), places)


@dataclass(frozen=True)
class Cleaned:
    """kept: numbers of the training texts that stay. hit: share of the evaluation items that were hit."""

    kept: tuple[int, ...]
    hit: float


def cleaned(training: Sequence[str], evaluation: Sequence[str], n: int = 8, least: float = 0.5, most: float = 0.02) -> Cleaned:
    """TULU 3's rule: all training texts stay where at most `most` of the evaluation are hit; else those that hit one go."""
    index = indexed(evaluation, n)
    found = [index.hits(text, least) for text in training]
    hit = len({item for own in found for item in own}) / max(len(evaluation), 1)
    kept = range(len(training)) if hit <= most else [i for i, own in enumerate(found) if not own]
    return Cleaned(tuple(kept), hit)


def held_out_texts(source: TaskSource) -> list[str]:
    """The validation and test questions of all arms that end; of an endless arm the hash of a question splits it, and there is
    no list."""
    found = []
    for arm in source.arms:
        for split in ("validation", "test"):
            found += [text_of(source.draw(arm, split, i, 0)) for i in range(source.size(arm, split) or 0)]
    return found


def clean_of(source: TaskSource, n: int = 8, least: float = 0.5) -> Callable[[Task], bool]:
    """(Task) -> whether it holds nothing that is measured in this source."""
    return partial(holds_nothing, indexed(held_out_texts(source), n), least)


def holds_nothing(index: Index, least: float, task: Task) -> bool:
    return not index.hits(text_of(task), least)
