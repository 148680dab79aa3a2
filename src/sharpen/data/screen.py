"""The screen: what a grower proposes is refused unless it may be trained on. Pure functions of tasks; no model, no I/O.

In order, the first reason counts:

1. It is a task as JSON has it, for training, with an operator and parents that the run has met, in a family of its own.
2. Nothing of validation or test is in it: not the question (blind to case, spacing and whatever else is said before it), not a
   whole question of at least WINDOW words and marks within a longer one, not half of the WINDOW-word sequences of one, blind to
   numbers and single letters. Sequences that training questions have too are their form, and tell nothing. Where the hash of a
   question says its split, as for procedural families, the hash decides too: all that could ever be held out is.
3. It is no training question of a finite arm, none that was tried, none that has grown, and none of this round.

The label is checked by the task's own verifier (`responses` says on what), and the difficulty by rollouts (`hopeful`): the loop
does both, after this. Rollouts check the label once more: a wrong one is hardly ever hit on by somebody else.
Source: decontamination as in TULU 3 (arXiv 2411.15124) and GPT-3, of what does not tell cleared; pass rates strictly between 0
and 1 as in CLPO (arXiv 2509.25004) and DAPO; SwS (arXiv 2506.08989) for wrong labels that this removes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sharpen.core import SPLITS, Arm, Task, TaskSource
from sharpen.hashing import digest, split_of

WINDOW = 8  # words
TELLING = 4  # sequences that a held-out question must have to itself, to be recognised by them
LONGEST = 32_768  # characters of a question
SAMPLE = 64  # questions of an endless arm that show what the form of its questions is
ITEM = re.compile(r"\w+|[^\w\s]")
LINED = re.compile(r"\w+|[^\w\s]|\s*\n\s*")

# Why a proposal was not taken; the rest of the reasons are the loop's.
NO_TASK = "no task"
LONG = "too long"
OTHER_SPLIT = "not for training"
NO_ORIGIN = "without operator or known parents"
TAKEN = "family of the source"
HELD_OUT = "held out"
CONTAINS = "contains what is held out"
DUPLICATE = "duplicate"
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
    """What proposals are held against. `met` and `ids` grow with the run.

    families  of the source
    held      signatures of held-out questions
    whole     by length, the sequences of words and marks that are whole held-out questions
    places    sequence of WINDOW words -> numbers of the held-out questions that it tells of
    telling   how many such sequences each of those has
    hashed    whether the hash of a question decides its split
    met       signatures of training questions
    ids       of tasks that may be parents
    """

    families: frozenset[str]
    held: frozenset[str]
    whole: Mapping[int, frozenset[tuple[str, ...]]]
    places: Mapping[tuple[str, ...], Sequence[int]]
    telling: Sequence[int]
    hashed: bool
    met: set[str]
    ids: set[str]


def known(source: TaskSource, measured: Iterable[Task], seed: int) -> Known:
    """Of a source, and of the held-out tasks that are measured; those of finite arms are taken whole."""
    sizes = {(arm, split): source.size(arm, split) for arm in source.arms for split in SPLITS}
    finite = {split: [a for a in source.arms if sizes[a, split] is not None] for split in SPLITS}
    endless = [arm for arm in source.arms if sizes[arm, "train"] is None]

    def drawn(arms: Iterable[Arm], split: str, n: int | None = None) -> list[Task]:
        return [source.draw(arm, split, i, seed) for arm in arms for i in range(sizes[arm, split] or n or 0)]

    training = drawn(finite["train"], "train")
    forms = {gram for task in [*training, *drawn(endless, "train", SAMPLE)] for gram in grams(masked(text(task)))}
    held = {
        text(task): None for task in [*measured, *drawn(finite["validation"], "validation"), *drawn(finite["test"], "test")]
    }
    whole: dict[int, set[tuple[str, ...]]] = {}
    places: dict[tuple[str, ...], list[int]] = {}
    telling = []
    for number, question in enumerate(held):
        parts = items(question, lines=True)
        whole.setdefault(len(parts), set()).add(parts)
        own = grams(masked(question)) - forms
        telling.append(len(own))
        for gram in own if len(own) >= TELLING else ():
            places.setdefault(gram, []).append(number)
    return Known(
        frozenset(arm.family for arm in source.arms),
        frozenset(map(signature, held)),
        {n: frozenset(found) for n, found in whole.items()},
        places,
        telling,
        any(sizes[arm, split] is None for arm in source.arms for split in ("validation", "test")),
        {signature(text(task)) for task in training},
        set(),
    )


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
    return list(taken.values())


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
    """Whether a held-out question, or half of what tells of one, is part of this question."""
    own = (*items(question, lines=True), "")
    for n in [n for n in against.whole if WINDOW <= n < len(own)]:
        # A list that goes on is another list.
        if any(own[i : i + n] in against.whole[n] and own[i + n] != "," for i in range(len(own) - n)):
            return True
    hits = Counter(number for gram in grams(masked(question)) for number in against.places.get(gram, ()))
    return any(2 * n >= against.telling[number] for number, n in hits.items())


def text(task: Task) -> str:
    """What is asked: everything but system messages."""
    said = [m["content"] for m in task.prompt if m.get("role") != "system"]
    return "\n".join(c if isinstance(c, str) else json.dumps(c, sort_keys=True) for c in said)


def items(question: str, lines: bool = False) -> tuple[str, ...]:
    """Words, numbers and marks, in lower case; with `lines`, the ends of lines too, which part the rows of a matrix."""
    asked = question.strip().lower()
    return tuple(found if found.strip() else "\n" for found in (LINED if lines else ITEM).findall(asked))


def masked(question: str) -> list[str]:
    """Words alone, every run of numbers, single letters and marks between them being one "#"."""
    found: list[str] = []
    for item in items(question):
        word = item if len(item) > 1 and item[0].isalpha() else "#"
        if word != "#" or found[-1:] != ["#"]:
            found.append(word)
    return found


def grams(words: Sequence[str]) -> set[tuple[str, ...]]:
    """Sequences of WINDOW words; none of fewer."""
    return {tuple(words[i : i + WINDOW]) for i in range(len(words) - WINDOW + 1)}


def signature(question: str) -> str:
    """What two askings of one question share."""
    return digest(" ".join(items(question)))


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
