"""What a set of tasks is worth, in numbers: quality, diversity, complexity; and whether its solutions can be imitated.

    quality     are labels right: solutions that the task's own verifier accepts; tasks told alike whose answers differ
    diversity   how different are they: copies, forms, arms, distance
    complexity  how hard: words, numbers, steps of the worked solutions; how hard for a model, only that model can say
    imitation   do like questions have like solutions (action divergence), and has a question any like it (state similarity)

Quality carries what is practised, diversity what is not, complexity both; and each can be bought with the others. Which
measures stand for them is our choice: the survey (arXiv 2412.02980) names the three. Imitation: Data quality in imitation
learning, arXiv 2306.02437, sections 3 and 4.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sharpen.core import Sample, Task
from sharpen.data import near, screen
from sharpen.hashing import derive
from sharpen.verify import verify

PAIRS = 10_000  # of tasks, whose distance is measured
JUDGED = 2_000  # worked solutions that are judged
LOOKED_AT = 4_000  # tasks whose neighbours are looked for
DIMENSIONS = 256
NEIGHBOURS = 5
IN_PROCESS = ("code_io", "rubric", "judge", "reasoning_gym")  # verifiers that need a sandbox, a model, or a process


@dataclass(frozen=True)
class Copies:
    """Which tasks of a list are copies.

    first   (N,) number of the first task with the same question, exactly (`near.signature`)
    alike   (i, j, Jaccard) of questions told alike, i < j, of those that are no exact copies
    """

    first: np.ndarray
    alike: list[tuple[int, int, float]]

    @property
    def exact(self) -> int:
        return int((self.first != np.arange(len(self.first))).sum())

    def kept(self, tasks: Sequence[Task]) -> list[Task]:
        """One of each group of copies, the first; those told alike to another answer are no copies."""
        same = [(i, j) for i, j, _ in self.alike if tasks[i].answer == tasks[j].answer]
        group = near.groups(len(tasks), [*enumerate(self.first.tolist()), *same])
        return [tasks[i] for i in np.flatnonzero(group == np.arange(len(tasks))).tolist()]


def copies(tasks: Sequence[Task]) -> Copies:
    """Exact and near duplicates; of a million tasks in minutes."""
    texts = [screen.text(task) for task in tasks]
    first = near.duplicates([near.signature(text) for text in texts])
    kept = np.flatnonzero(first == np.arange(len(texts)))
    pairs = near.near([texts[i] for i in kept])
    return Copies(first, [(int(kept[i]), int(kept[j]), overlap) for i, j, overlap in pairs])


def quality(tasks: Sequence[Task], found: Copies, otherwise: int = 0) -> dict[str, float | None]:
    """with_solution, solutions_right (a share of up to JUDGED; None where none can be judged here), contradictions: pairs of
    tasks that are told alike, or are the same, to different answers; `otherwise` were found before."""
    solved = [task for task in tasks if task.solution is not None]
    judged = [task for task in solved if task.verifier not in IN_PROCESS][:JUDGED]
    right = sum(verify(task, task.solution or "").correct for task in judged)
    same = [(i, int(j)) for i, j in enumerate(found.first) if i != j]
    other = [(i, j) for i, j in [*same, *((i, j) for i, j, _ in found.alike)] if tasks[i].answer != tasks[j].answer]
    return {
        "with_solution": len(solved) / max(len(tasks), 1),
        "solutions_right": right / len(judged) if judged else None,
        "contradictions": len(other) + otherwise,
    }


def diversity(tasks: Sequence[Task], found: Copies) -> dict[str, float]:
    """unique: share that is no copy; forms: different questions, blind to all but letters, per task; distinct_2: different
    pairs of words per pair; arms: effective number (exp of the entropy of their shares); distance: mean cosine distance of two
    tasks by their shingles. 0 of no tasks."""
    if not tasks:
        return dict.fromkeys(("unique", "forms", "distinct_2", "arms", "distance"), 0.0)
    texts = [screen.text(task) for task in tasks]
    pairs: set[tuple[str, str]] = set()
    total = 0
    for text in texts:
        words = text.casefold().split()
        pairs.update(zip(words, words[1:], strict=False))
        total += max(len(words) - 1, 0)
    shares = np.array(list(Counter(task.arm for task in tasks).values())) / len(tasks)
    return {
        "unique": len(found.kept(tasks)) / len(tasks),
        "forms": len({screen.spelt(text) for text in texts}) / len(tasks),
        "distinct_2": len(pairs) / total if total else 0.0,
        "arms": float(np.exp(-(shares * np.log(shares)).sum())),
        "distance": spread(embed(texts)),
    }


def complexity(tasks: Sequence[Task]) -> dict[str, float | None]:
    """Means: words and numbers of the question, words and steps of the worked solution (lines, or numbers where it has one
    line); None where no task has one."""
    texts = [screen.text(task) for task in tasks]
    solutions = [task.solution for task in tasks if task.solution is not None]
    return {
        "words": mean([len(text.split()) for text in texts]),
        "numbers": mean([len(near.NUMBER.findall(text)) for text in texts]),
        "solution_words": mean([len(text.split()) for text in solutions]),
        "solution_steps": mean([steps(text) for text in solutions]),
    }


def steps(solution: str) -> int:
    lines = len(solution.strip().splitlines())
    return lines if lines > 1 else len(near.NUMBER.findall(solution))


def imitation(tasks: Sequence[Task]) -> dict[str, float | None]:
    """Of tasks with a worked solution, LOOKED_AT at most: action_divergence, the mean distance of a solution from those of the
    NEIGHBOURS nearest questions, from 0 to 2; state_similarity, the mean cosine of a question and its nearest. None of fewer
    than NEIGHBOURS + 1. Consistent solutions are easy to imitate; nearest questions that are all alike teach little else."""
    solved = [i for i, task in enumerate(tasks) if task.solution is not None][:LOOKED_AT]
    if len(solved) <= NEIGHBOURS:
        return {"action_divergence": None, "state_similarity": None}
    states = embed([screen.text(tasks[i]) for i in solved])
    actions = embed([tasks[i].solution or "" for i in solved])
    return {
        "action_divergence": action_divergence(states, actions, NEIGHBOURS),
        "state_similarity": float(np.mean(neighbours(states, 1)[1])),
    }


def action_divergence(states: np.ndarray, actions: np.ndarray, k: int) -> float:
    """Mean cosine distance of each action from those taken in the k nearest states; rows are of length 1."""
    nearest, _ = neighbours(states, k)
    return float(1 - np.mean([actions[i] @ actions[row].mean(axis=0) for i, row in enumerate(nearest)]))


def neighbours(rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """((N, k) numbers of each row's nearest others by cosine, (N, k) cosines), nearest first; rows are of length 1."""
    k = min(k, len(rows) - 1)
    found, cosines = [], []
    for first in range(0, len(rows), 512):
        cosine = rows[first : first + 512] @ rows.T
        cosine[np.arange(len(cosine)), first + np.arange(len(cosine))] = -np.inf
        order = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
        found.append(order)
        cosines.append(np.take_along_axis(cosine, order, axis=1))
    return np.concatenate(found), np.concatenate(cosines)


def embed(texts: Sequence[str]) -> np.ndarray:
    """(N, DIMENSIONS) float32 rows of length 1: each shingle adds 1 or -1 to one of them (feature hashing, arXiv 0902.2206).

    What a model's hidden states say of meaning, these say of wording only; they cost nothing and need no model.
    """
    found = [np.zeros((0, DIMENSIONS), np.float32)]
    for first, end in near.parts(texts):
        hashes, begins = near.hashed([near.plain(text) for text in texts[first:end]])
        row = np.repeat(np.arange(end - first), np.diff(np.append(begins, len(hashes))))
        sign = np.where(hashes >> np.uint64(63), 1.0, -1.0)
        place = row * DIMENSIONS + (hashes & np.uint64(DIMENSIONS - 1)).astype(np.int64)
        found.append(np.bincount(place, sign, (end - first) * DIMENSIONS).reshape(-1, DIMENSIONS).astype(np.float32))
    return unit(np.concatenate(found))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def spread(rows: np.ndarray) -> float:
    """Mean cosine distance of two different rows of length 1: from the sum of all, exactly. 0 of fewer than two."""
    n = len(rows)
    if n < 2:
        return 0.0
    total = rows.sum(axis=0, dtype=np.float64)
    return float(1 - (total @ total - (rows.astype(np.float64) ** 2).sum()) / (n * (n - 1)))


def dimensions(rows: np.ndarray) -> float:
    """How many directions the rows (N, D) vary in: (sum of the variances)² / sum of their squares. 0 where none varies.

    Unlike distances this is blind to what all have in common, such as a template's hidden states.
    """
    centred = rows.astype(np.float64) - rows.mean(axis=0)
    gram = centred @ centred.T if len(rows) <= rows.shape[1] else centred.T @ centred
    total = (gram**2).sum()
    return float(np.trace(gram) ** 2 / total) if total > 0 else 0.0


def mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def sample(n: int, most: int, seed: int = 0) -> list[int]:
    """At most `most` of n numbers, sorted, the same for the same seed."""
    chosen = np.random.default_rng(derive(seed, "measures")).permutation(n)[:most]
    return sorted(chosen.tolist())


REFLECTION = re.compile(
    r"\b(?:wait|hmm|let me (?:check|re-?check|verify|think again)|on second thought|double[- ]check)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Reflection:
    """share of the answers with a phrase of reflection; and its point-biserial correlation with being right, 0 where one of
    the two never varies."""

    share: float
    correlation: float


def reflection(samples: Sequence[Sample]) -> Reflection:
    """How often answers reflect, and whether that goes with being right: to be reported, not assumed. What could not be judged
    is left out; NaN share where nothing is left."""
    judged = [s for s in samples if s.verdict.reward is not None]
    said = np.array([bool(REFLECTION.search(" ".join(s.rollout.turns))) for s in judged], dtype=np.float64)
    right = np.array([s.verdict.correct for s in judged], dtype=np.float64)
    if not len(judged):
        return Reflection(float("nan"), 0.0)
    spread = said.std() * right.std()
    correlation = float(((said - said.mean()) * (right - right.mean())).mean() / spread) if spread else 0.0
    return Reflection(float(said.mean()), correlation)
