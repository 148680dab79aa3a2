"""Suites: what is practised, and what is only measured, because no run should ever have seen anything of it."""

from __future__ import annotations

from sharpen.core import Arm, Task, TaskSource, UserError, suggest
from sharpen.tasks import overlap

MOST, STRIDE = 50, 1_000_003  # tries, and how far apart they are, so that no other draw meets them


def unseen(spec: str = "default", families: str = "", clean: bool = True) -> TaskSource:
    """The source that a SPEC names, as `--tasks` takes it, whose `families`, with commas between them, have no training tasks:
    they are measured beside the others, as arms of their own. Development is then the validation of what is practised, and
    they the unseen suite. Of one's own tasks: `--set tasks=unseen --set tasks.spec=mine.jsonl --set tasks.families=algebra`.

    clean  training tasks of a finite source that hold a question which is measured (overlap.py) are passed over for the next of
           their arm; an endless source splits by the question's hash, so that none does
    UserError for a family that is not there, and where none would be left to practise.
    """
    from sharpen.tasks import parse_spec

    return kept_apart(parse_spec(spec), families, clean)


def kept_apart(whole: TaskSource, families: str = "", clean: bool = True) -> TaskSource:
    """`unseen`, of a source at hand."""
    known = sorted({arm.family for arm in whole.arms})
    named = [name.strip() for name in families.split(",") if name.strip()]
    for name in named:
        if name not in known:
            raise UserError(f"There is no family {name!r} to keep unseen.{suggest(name, known)} There are: {', '.join(known)}.")
    if set(named) >= set(known):
        raise UserError(f"unseen={families}: nothing would be left to practise.")
    ends = any(whole.size(arm, split) for arm in whole.arms for split in ("validation", "test"))
    fit = overlap.clean_of(whole) if clean and ends else None
    if not named and fit is None:
        return whole

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        if split != "train":
            return whole.draw(arm, split, index, seed)
        if arm.family in named:
            raise UserError(f"{arm} is kept unseen: it has no training task.")
        size = whole.size(arm, "train")
        for step in range(MOST):
            task = whole.draw(arm, split, (index + step * STRIDE) % size if size else index + step * STRIDE, seed)
            if fit is None or fit(task):
                return task
        raise UserError(f"{arm}: {MOST} training tasks in a row hold something that is measured. Take another source.")

    def size(arm: Arm, split: str) -> int | None:
        return 0 if split == "train" and arm.family in named else whole.size(arm, split)

    said = (f"never practised, only measured: {', '.join(named)}",) if named else ()
    return TaskSource(whole.name, whole.arms, draw, size, (*whole.notes, *said), whole.languages)
