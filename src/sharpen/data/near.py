"""Exact and near duplicates among many texts, and how much of one text is contained in others: vectors, no dependency.

    signature   of a text, blind to case, spacing, and the width of letters: equal texts are exact duplicates
    Shingles    what texts are compared by: their runs of WIDTH bytes. Those that many texts share are their form (the words of
                a template), and tell nothing; the others are `telling`
    near        pairs whose telling shingles overlap by `least` or more (Jaccard), and whose numbers are the same
    contained   the share of a text's telling shingles that are another's

1. Texts with other numbers are other questions: they are never near, however alike their words.
2. Candidates come from MinHash with HASHES functions in BANDS bands (locality-sensitive hashing); each is then measured
   exactly. A pair at 0.8 is missed in 2 of 10,000 cases, one at 0.7 in 1 of 100, one at 0.6 in 1 of 10.
3. What more than `shared` texts have in common is form. So hundreds of copies are found in a small set only where they are
   exact, or fewer than that.

Source: Broder, "On the resemblance and containment of documents", 1997; the bands as in Leskovec, Rajaraman & Ullman, Mining of
Massive Datasets, section 3.4. `datasketch` does the same one text at a time, with a dictionary for each band: six times the
processor's time and five times the memory, and a screen that guards every run must not depend on an extra.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sharpen.hashing import derive, digest

WIDTH = 8  # bytes of a shingle
HASHES, BANDS = 64, 16
LEAST = 0.6
TABLES = 2**16, 2**24  # counters of shingles, fewest and most; several share one, so a count may be too high by a few
FEW = 20  # texts that may share a shingle in any set
PART = 4 * 2**20  # bytes of text that are hashed at once
CROWD = 8  # neighbours in a bucket that a text is compared with
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
SPACE = re.compile(r"(?<![0-9])\s+|\s+(?![0-9])")  # between two digits a space parts two numbers
NOTHING = np.uint32(2**32 - 1)  # the smallest hash of a text without a telling shingle


def plain(text: str) -> str:
    """Lower case, one space between words; letters and digits of any width as the usual ones, none invisible."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return " ".join(text.casefold().split())


def signature(text: str) -> str:
    """Equal for texts that differ in case and in where spaces are, even within words; not in a digit, a letter or a mark."""
    return digest(SPACE.sub("", plain(text)))


def numbers(text: str) -> tuple[str, ...]:
    """The numbers of a text, sorted: a question told in another order has the same."""
    return tuple(sorted(NUMBER.findall(text)))


def duplicates(keys: Sequence[str]) -> np.ndarray:
    """(N,) int64: for each the number of the first with the same key, its own for one that comes first."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(key, i) for i, key in enumerate(keys)], np.int64)


@dataclass(frozen=True)
class Shingles:
    """How often each shingle of a set occurs, by the low bits of its hash, int32; and from where on it is form."""

    counts: np.ndarray
    shared: int

    def telling(self, text: str) -> np.ndarray:
        """(n,) uint64, sorted, each once: the hashes of a text's telling shingles."""
        hashes, _ = hashed([plain(text)])
        return np.unique(hashes[~self.form(hashes)])

    def form(self, hashes: np.ndarray) -> np.ndarray:
        """Whether each of these shingles is form."""
        return self.counts[hashes & np.uint64(len(self.counts) - 1)] > self.shared


def hashed(texts: Sequence[str], width: int = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    """(uint64 hashes of all runs of `width` bytes, one text after another; where each text begins), 8 <= width <= 16.

    A shorter text is filled up with spaces, and has one."""
    raw = [text.encode("utf-8", "replace").ljust(width, b" ") for text in texts]
    sizes = np.array([len(line) for line in raw], np.int64)
    whole = np.frombuffer(b"".join(raw), np.uint8)
    windows = np.ndarray((max(len(whole) - 7, 0),), "<u8", whole, strides=(1,))
    counts = sizes - width + 1
    begins = np.cumsum(counts) - counts
    inside = np.arange(int(counts.sum())) + np.repeat(np.cumsum(sizes) - sizes - begins, counts)
    found = mixed(windows[inside])
    return (mixed(found ^ windows[inside + width - 8]) if width > 8 else found), begins


def mixed(values: np.ndarray) -> np.ndarray:
    """A permutation of 64-bit numbers that spreads them evenly: the finaliser of splitmix64."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def parts(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(first, end) of neighbouring texts of about PART bytes."""
    first = held = 0
    for i, text in enumerate(texts):
        held += len(text)
        if held >= PART:
            yield first, i + 1
            first, held = i + 1, 0
    if first < len(texts):
        yield first, len(texts)


def shingles(texts: Sequence[str], shared: int = 0) -> Shingles:
    """Counts over a set. shared: from more texts than this on a shingle is form; 0: FEW, or a thousandth of the texts."""
    least, most = TABLES
    size = min(max(1 << (16 * sum(map(len, texts))).bit_length(), least), most)
    counts = np.zeros(size, np.int32)
    for first, end in parts(texts):
        hashes, _ = hashed([plain(text) for text in texts[first:end]])
        counts += np.bincount((hashes & np.uint64(size - 1)).astype(np.int64), minlength=size).astype(np.int32)
    return Shingles(counts, shared or max(FEW, len(texts) // 1000))


def minhashes(texts: Sequence[str], against: Shingles) -> np.ndarray:
    """(N, HASHES) uint32: of each text the smallest of each hash function over its telling shingles; NOTHING without any."""
    rng = np.random.default_rng(derive(0, "minhash"))
    factors = rng.integers(2**63, size=HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    found = np.full((len(texts), HASHES), NOTHING, np.uint32)
    for first, end in parts(texts):
        hashes, begins = hashed([plain(text) for text in texts[first:end]])
        form = against.form(hashes)
        for i, factor in enumerate(factors):
            values = (hashes * factor >> np.uint64(32)).astype(np.uint32)
            values[form] = NOTHING
            found[first:end, i] = np.minimum.reduceat(values, begins)
    return found


def candidates(signatures: np.ndarray) -> np.ndarray:
    """(P, 2) int64 pairs i < j that agree in a band, each once. In a crowded band each is compared with CROWD neighbours."""
    rows = HASHES // BANDS
    told = np.flatnonzero((signatures != NOTHING).any(axis=1))
    codes = np.zeros(0, np.int64)
    for band in range(BANDS):
        key = np.zeros(len(told), np.uint64)
        for column in range(band * rows, (band + 1) * rows):
            key = mixed(key ^ signatures[told, column].astype(np.uint64)) + np.uint64(column)
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        found = [codes]
        for gap in range(1, CROWD + 1):
            same = np.flatnonzero(ordered[gap:] == ordered[:-gap])
            if not len(same):
                break
            low, high = told[order[same]], told[order[same + gap]]
            found.append(np.minimum(low, high) * len(signatures) + np.maximum(low, high))
        codes = np.unique(np.concatenate(found))
    return np.stack([codes // max(len(signatures), 1), codes % max(len(signatures), 1)], axis=1)


def near(texts: Sequence[str], least: float = LEAST, shared: int = 0) -> list[tuple[int, int, float]]:
    """(i, j, Jaccard) of the near duplicates i < j. Exact ones (`signature`) should be gone before: copies are no form."""
    against = shingles(texts, shared)
    signatures = minhashes(texts, against)
    pairs = candidates(signatures)
    # Of 64 hashes so many agree at random with a deviation of 0.06; what is far below is not worth measuring.
    alike = np.concatenate(
        [
            (signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1)
            for part in np.array_split(pairs, max(len(pairs) // 100_000, 1))
        ]
    )
    found = []
    for i, j in pairs[alike >= least - 0.2].tolist():
        if numbers(texts[i]) == numbers(texts[j]):
            a, b = against.telling(texts[i]), against.telling(texts[j])
            both = len(np.intersect1d(a, b, assume_unique=True))
            overlap = both / (len(a) + len(b) - both) if both else 0.0
            if overlap >= least:
                found.append((i, j, overlap))
    return found


def contained(text: str, others: Iterable[str], against: Shingles) -> float:
    """The share of a text's telling shingles that some other text has too; 0 where none tells."""
    own = against.telling(text)
    if not len(own):
        return 0.0
    rest = [against.telling(other) for other in others]
    return float(np.isin(own, np.concatenate(rest)).mean()) if rest else 0.0


def groups(n: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """(n,) int64: for each the smallest number of those that pairs connect it with."""
    first = list(range(n))

    def root(i: int) -> int:
        while first[i] != i:
            first[i] = first[first[i]]
            i = first[i]
        return i

    for i, j in pairs:
        a, b = sorted((root(i), root(j)))
        first[b] = a
    return np.array([root(i) for i in range(n)], np.int64)
