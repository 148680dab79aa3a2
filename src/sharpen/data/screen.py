"""The screen: what a grower proposes is refused unless it may be trained on. Pure functions of tasks; no model, no I/O.

In order, the first reason counts:

1. It is a task as JSON has it, for training, with an operator and parents that the run has met, in a family of its own.
2. Nothing of validation or test is in it: not the question (blind to case, to where spaces are and to the width of letters,
   and whatever else is said before it), not a whole question of at least WINDOW words and marks within a longer one, not the
   letters of one with other numbers, and not SHARE of the runs of LETTERS letters that tell of one, blind to all else. Runs
   that training questions have too are their form, and tell nothing. Where the hash of a question says its split, as for
   procedural families, the hash decides too: all that could ever be held out is.
3. It is no training question of a finite arm, none that was tried, none that has grown, and none of this round; nor is it one
   of the last NEIGHBOURS told a little differently, with the same numbers and the same answer (near.py).

Of each split at most MOST tasks of finite arms are known, from all arms in turn, and all that are measured: `beyond` counts
the rest. The label is checked by the task's own verifier (`responses` says on what), and the difficulty by rollouts
(`hopeful`): the loop does both, after this. Rollouts check the label once more: a wrong one is hardly ever hit on by somebody
else.
Source: decontamination as in TULU 3 (arXiv 2411.15124) and GPT-3, of what does not tell cleared; pass rates strictly between 0
and 1 as in CLPO (arXiv 2509.25004) and DAPO; SwS (arXiv 2506.08989) for wrong labels that this removes.
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sharpen.core import SPLITS, Arm, Task, TaskSource
from sharpen.data import near
from sharpen.hashing import split_of

WINDOW = 8  # words and marks
LETTERS = 12  # of a run
TELLING = 16  # runs that a held-out question must have to itself, to be recognised by them
SHARE = 1 / 3  # of them that are enough
MOST = 50_000  # tasks of a split
NEIGHBOURS = 4096  # tasks that proposals are held against as near duplicates
LONGEST = 32_768  # characters of a question
SAMPLE = 64  # questions of an endless arm that show what the form of its questions is
LINED = re.compile(r"\w+|[^\w\s]|\s*\n\s*")
OTHERS = re.compile(r"[\W\d_]+")

# Why a proposal was not taken; the rest of the reasons are the loop's.
NO_TASK = "no task"
LONG = "too long"
OTHER_SPLIT = "not for training"
NO_ORIGIN = "without operator or known parents"
TAKEN = "family of the source"
HELD_OUT = "held out"
CONTAINS = "contains what is held out"
DUPLICATE = "duplicate"
NEAR = "near duplicate"
REFUSED = "its verifier refuses its answer"
LAX = "its verifier accepts an empty answer"
UNJUDGED = "could not be judged"
GAVE_UP = "its verifier gave up"
SOLVED = "always solved"
HOPELESS = "never solved"
TOO_EASY = "solved too often"
TOO_HARD = "solved too rarely"
BEYOND = "over the limit"
RAISED = "the grower raised"
NO_LIST = "the grower returned no list"
NOT_OURS = "a repair of no training task that was tried"


@dataclass
class Refusals:
    """How many proposals were refused for which reason, with one example of each."""

    n: Counter[str] = field(default_factory=Counter)
    example: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, example: str, n: int = 1) -> None:
        self.n[reason] += n
        self.example.setdefault(reason, example[:2000])


@dataclass
class Known:
    """What proposals are held against. `met`, `ids` and `recent` grow with the run.

    held      signatures of held-out questions
    whole     by their first WINDOW words and marks, the held-out questions that have as many, in words and marks
    letters   of held-out questions, where no training question has the same
    runs      (R,) uint64, sorted: hashes of the runs of letters that tell of held-out questions
    owner     (R,) the number of the question that each is of
    telling   (H,) how many runs each of those has; 0 where they are too few
    families  of the source
    hashed    whether the hash of a question decides its split
    beyond    held-out tasks that are not among these
    met       signatures of training questions
    ids       of tasks that may be parents
    recent    tasks that a proposal may be a near duplicate of
    """

    held: frozenset[str]
    whole: Mapping[tuple[str, ...], Sequence[tuple[str, ...]]]
    letters: frozenset[str]
    runs: np.ndarray
    owner: np.ndarray
    telling: np.ndarray
    families: frozenset[str] = frozenset()
    hashed: bool = False
    beyond: int = 0
    met: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    recent: deque[Task] = field(default_factory=lambda: deque(maxlen=NEIGHBOURS))


def known(source: TaskSource, measured: Iterable[Task], seed: int, most: int = MOST) -> Known:
    """Of a source, and of the held-out tasks that are measured. most: tasks of a split that are drawn of finite arms."""
    sizes = {(arm, split): source.size(arm, split) for arm in source.arms for split in SPLITS}
    endless = [arm for arm in source.arms if sizes[arm, "train"] is None]

    def drawn(split: str) -> list[Task]:
        finite = {arm: sizes[arm, split] or 0 for arm in source.arms if sizes[arm, split] is not None}
        return [source.draw(arm, split, i, seed) for arm, n in fair(finite, most).items() for i in range(n)]

    training = drawn("train")
    forms = [*training, *(source.draw(arm, "train", i, seed) for arm in endless for i in range(SAMPLE))]
    form = {spelt(text(task)) for task in forms}
    held = [text(task) for task in [*measured, *drawn("validation"), *drawn("test")]]
    total = sum(sizes[arm, split] or 0 for arm in source.arms for split in ("validation", "test"))
    found = guarding(held, form, runs_of(list(form))[0])
    found.families = frozenset(arm.family for arm in source.arms)
    found.hashed = any(sizes[arm, split] is None for arm in source.arms for split in ("validation", "test"))
    found.beyond = max(total - len(found.telling), 0) if total > 2 * most else 0
    found.met.update(near.signature(text(task)) for task in training)
    return found


def guarding(questions: Iterable[str], form: Collection[str], form_runs: np.ndarray) -> Known:
    """What is known of held-out questions alone, where these letters and these runs of letters are no sign of them."""
    held = list(dict.fromkeys(questions))
    whole: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for question in held:
        parts = items(question)
        if len(parts) >= WINDOW:
            whole.setdefault(parts[:WINDOW], []).append(parts)
    letters = [spelt(question) for question in held]
    runs, owner = runs_of(letters)
    tells = ~np.isin(runs, form_runs)
    runs, owner = runs[tells], owner[tells]
    telling = np.bincount(owner, minlength=len(held))
    telling[telling < TELLING] = 0
    kept = telling[owner] > 0
    signatures, own = frozenset(map(near.signature, held)), frozenset({*letters} - {*form})
    return Known(signatures, whole, own, runs[kept], owner[kept], telling)


def fair(sizes: Mapping[Arm, int], most: int) -> dict[Arm, int]:
    """Of each arm as many as there are, together at most `most`: then the larger arms have as many as each other."""
    left, found = most, {}
    for place, (arm, n) in enumerate(sorted(sizes.items(), key=lambda item: (item[1], item[0]))):
        found[arm] = min(n, left // (len(sizes) - place))
        left -= found[arm]
    return found


def runs_of(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(hashes of the runs of LETTERS bytes, sorted, of each text each once; the number of its text)."""
    found, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int32)]
    for first, end in near.parts(texts):
        hashes, begins = near.hashed(texts[first:end], LETTERS)
        owner = np.repeat(np.arange(first, end, dtype=np.int32), np.diff(np.append(begins, len(hashes))))
        order = np.lexsort((owner, hashes))
        hashes, owner = hashes[order], owner[order]
        new = np.append(True, (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1]))[: len(hashes)]
        found.append(hashes[new])
        owners.append(owner[new])
    hashes, owner = np.concatenate(found), np.concatenate(owners)
    order = np.argsort(hashes, kind="stable")
    return hashes[order], owner[order]


def sift(proposals: Sequence[Any], against: Known, refusals: Refusals, most: int) -> list[Task]:
    """The tasks among the first `most` proposals that nothing here speaks against, in order, as JSON gives them back."""
    taken: dict[str, Task] = {}
    for proposal in proposals[:most]:
        task = plain(proposal)
        if task is None:
            refusals.add(NO_TASK, f"{type(proposal).__name__}: {proposal!r:.200}")
        elif reason := fault(task, against) or (DUPLICATE if signature(text(task)) in taken else ""):
            refusals.add(reason, text(task))
        else:
            taken[signature(text(task))] = task
    if len(proposals) > most:
        refusals.add(
            BEYOND, f"{len(proposals)} tasks were proposed, and {most} are looked at in a round", len(proposals) - most
        )
    return apart(list(taken.values()), against, refusals)


def apart(tasks: Sequence[Task], against: Known, refusals: Refusals) -> list[Task]:
    """The tasks that are no near duplicates of recent ones, nor of one before them: told alike, to the same answer."""
    listed = [*against.recent, *tasks]
    first = len(against.recent)
    again = {j for i, j, _ in near.near([text(task) for task in listed]) if j >= first and listed[i].answer == listed[j].answer}
    for j in sorted(again):
        refusals.add(NEAR, text(listed[j]))
    return [task for j, task in enumerate(tasks, first) if j not in again]


def plain(proposal: Any) -> Task | None:
    """The task with its fields as JSON gives them back, as one read from the store has them; None for what is no task."""
    if not isinstance(proposal, Task):
        return None
    words = [proposal.family, proposal.split, proposal.verifier, proposal.operator]
    maybe = [proposal.answer, proposal.solution]
    try:
        prompt, data, parents = json.loads(json.dumps([list(proposal.prompt), dict(proposal.data), list(proposal.parents)]))
    except (TypeError, ValueError):
        return None
    if not all(isinstance(word, str) for word in [*words, *parents]) or not isinstance(proposal.level, int):
        return None
    if not all(word is None or isinstance(word, str) for word in maybe) or not proposal.family or "/" in proposal.family:
        return None
    if not prompt or not all(isinstance(m, dict) and isinstance(m.get("role"), str) and m.get("content") for m in prompt):
        return None
    made = (tuple(prompt), *maybe[:1], proposal.family, proposal.level, *words[1:3], data, maybe[1], tuple(parents), words[3])
    return Task(*made)


def fault(task: Task, against: Known) -> str:
    """What speaks against a task before anybody has tried it, "" for nothing."""
    question = text(task)
    if len(question) > LONGEST:
        return LONG
    if task.split != "train":
        return OTHER_SPLIT
    if not task.operator or not task.parents or not against.ids.issuperset(task.parents):
        return NO_ORIGIN
    if task.family in against.families:
        return TAKEN
    if signature(question) in against.held or (against.hashed and split_of(task.prompt) != "train"):
        return HELD_OUT
    if contains(question, against):
        return CONTAINS
    return DUPLICATE if signature(question) in against.met else ""


def contains(question: str, against: Known) -> bool:
    """Whether a held-out question, or much of what tells of one, is part of this question."""
    own = (*items(question), "")
    for i in range(len(own) - WINDOW):
        for parts in against.whole.get(own[i : i + WINDOW], ()):
            # A list that goes on is another list.
            if own[i : i + len(parts)] == parts and own[i + len(parts)] != ",":
                return True
    letters = spelt(question)
    if len(letters) >= LETTERS and letters in against.letters:
        return True
    found, _ = runs_of([letters])
    low, high = np.searchsorted(against.runs, found), np.searchsorted(against.runs, found, side="right")
    hits = Counter(owner for a, b in zip(low, high) for owner in against.owner[a:b].tolist())
    return any(n >= SHARE * against.telling[number] for number, n in hits.items())


def found_in(questions: Sequence[str], others: Sequence[str]) -> list[str]:
    """Of each question whether it is one of the others: "same", "contains" (with other numbers, or a part of it), or "".

    What more than a few of the questions, or of the others, share is their form.
    """
    form: set[str] = set()
    form_runs = [np.zeros(0, np.uint64)]
    for side in (questions, others):
        few = max(near.FEW, len(side) // 1000)
        letters = Counter(map(spelt, side))
        form |= {said for said, n in letters.items() if n > few}
        runs, counts = np.unique(runs_of(list(letters))[0], return_counts=True)
        form_runs.append(runs[counts > few])
    against = guarding(others, form, np.concatenate(form_runs))
    return [
        "same" if near.signature(question) in against.held else "contains" if contains(question, against) else ""
        for question in questions
    ]


def text(task: Task) -> str:
    """What is asked: everything but system messages."""
    said = [m["content"] for m in task.prompt if m.get("role") != "system"]
    return "\n".join(c if isinstance(c, str) else json.dumps(c, sort_keys=True) for c in said)


def items(question: str) -> tuple[str, ...]:
    """Words, numbers and marks, in lower case, and the ends of lines, which part the rows of a matrix."""
    lines = "\n".join(filter(None, map(near.plain, question.strip().splitlines())))
    return tuple(found if found.strip() else "\n" for found in LINED.findall(lines))


def spelt(question: str) -> str:
    """Its letters, one after the other."""
    return OTHERS.sub("", near.plain(question))


def signature(question: str) -> str:
    """What two askings of one question share."""
    return near.signature(question)


def responses(task: Task) -> list[str]:
    """What the task's verifier must accept: its answer, and its worked solution; none where it has neither."""
    return [said for said in (task.answer, task.solution) if said is not None]


def hopeful(correct: int, tries: int, low: float = 0.0, high: float = 1.0) -> str:
    """What speaks against a task that was solved `correct` times in `tries` scored rollouts, "" for nothing.

    low, high  the share of successes lies between them, and is neither 0 nor 1
    """
    if not tries:
        return UNJUDGED
    if correct in (0, tries):
        return SOLVED if correct else HOPELESS
    return TOO_HARD if correct / tries < low else TOO_EASY if correct / tries > high else ""
