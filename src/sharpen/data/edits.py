"""Edits that somebody accepts or rejects: what a revision changed, change by change, and texts with some of the changes.

Source: R3 (arXiv 2204.03685), the loop read, revise, repeat.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sharpen.core import Sample
from sharpen.data.pairs import by_prompt
from sharpen.verify import turns

LONGEST = 20_000  # characters of a text that are compared


@dataclass(frozen=True)
class Edit:
    """text[start:stop], which is `before`, becomes `after`. accepted: None where nobody has said yet."""

    start: int
    stop: int
    before: str
    after: str
    intent: str = ""
    accepted: bool | None = None


def edits(text: str, revised: str) -> list[Edit]:
    """The changes that make one text the other, word by word, from left to right; they do not overlap."""
    old, new = (re.findall(r"\s+|\w+|[^\w\s]", t[:LONGEST]) for t in (text, revised))
    at = [0]
    for piece in old:
        at.append(at[-1] + len(piece))
    found = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            found.append(Edit(at[a], at[b], "".join(old[a:b]), "".join(new[c:d])))
    return found


def apply(text: str, changes: Sequence[Edit]) -> str:
    """The text with the changes that are accepted, in whatever order they come. Raises ValueError where two overlap, or where
    one does not fit the text."""
    kept = sorted((e for e in changes if e.accepted), key=lambda e: (e.start, e.stop))
    for a, b in zip(kept, kept[1:]):
        if b.start < a.stop:
            raise ValueError(f"two edits overlap: {a.before!r} and {b.before!r}")
    out, at = [], 0
    for e in kept:
        if text[e.start : e.stop] != e.before:
            raise ValueError(f"{e.before!r} does not stand at {e.start}")
        out += [text[at : e.start], e.after]
        at = e.stop
    return "".join([*out, text[at:]])


def by_distance(target: str) -> Callable[[str, Edit], bool]:
    """A user who accepts an edit where it brings the text nearer to a target: for tests and for worked solutions."""

    def accepts(text: str, edit: Edit) -> bool:
        changed = apply(text, [replace(edit, accepted=True)])
        return turns.edit_distance(changed, target) * max(len(changed), len(target)) < (
            turns.edit_distance(text, target) * max(len(text), len(target))
        )

    return accepts


def ruled(text: str, changes: Sequence[Edit], accepts: Callable[[str, Edit], bool]) -> list[Edit]:
    """Each change with what somebody says of it, one after the other; they see the text with what was accepted before."""
    found: list[Edit] = []
    for edit in changes:
        now = apply(text, found)
        shift = len(now) - len(text) if found else 0
        found.append(replace(edit, accepted=accepts(now, replace(edit, start=edit.start + shift, stop=edit.stop + shift))))
    return found


def accepted(samples: Sequence[Sample], *, retell: Callable[..., Sample], demos: Sequence[Sample]) -> list[Sample]:
    """Of each episode of two attempts: the first with those of the second's changes that bring it nearer to the worked
    solution, against the one of the two attempts that it is not. Where every change is rejected the first attempt is the
    better one."""
    shown = {demo.group: demo for demo in demos}
    found: list[Sample] = []
    for group in by_prompt(samples):
        for s in group:
            said = s.rollout.turns if len(s.rollout.turns) > 1 else (s.rollout.response, s.rollout.response)
            if s.group not in shown:
                continue
            target = shown[s.group].rollout.response
            changes = edits(said[-2], said[-1]) or edits(said[-1], target)[:1]
            better = apply(said[-2], ruled(said[-2], changes, by_distance(target)))
            worse = said[-1] if better != said[-1] else said[-2]
            if better.split() == worse.split():
                continue
            for text, reward in ((better, 1.0), (worse, 0.0)):
                told = retell(s, list(s.rollout.task.prompt), text)
                outcome = "correct" if reward else "wrong"
                verdict = replace(told.verdict, outcome=outcome, reward=reward, credit=())
                found.append(replace(told, verdict=verdict, group=len(found) // 2, weight=1.0))
    return found
