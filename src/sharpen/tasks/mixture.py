"""Several task sources as one."""

from __future__ import annotations

from collections.abc import Sequence

from sharpen.core import Arm, Task, TaskSource, UserError


def mixture(sources: Sequence[TaskSource]) -> TaskSource:
    """A source with the arms of all the given ones; each arm is drawn as before. A mixture may hold mixtures.

    Raises UserError where there is nothing to mix, or where two sources hold the same arm: results could not be told apart.
    """
    owner: dict[Arm, TaskSource] = {}
    for source in sources:
        for arm in source.arms:
            if arm in owner:
                raise UserError(
                    f"{arm} is in {owner[arm].name} and in {source.name}, so that results of the two could not be told apart. "
                    'Name it in one of them only, or give the lines of a file another "family".'
                )
            owner[arm] = source
    if not owner:
        raise UserError("There is nothing to mix: a mixture needs at least one source with tasks.")

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        return owner[arm].draw(arm, split, index, seed)

    def size(arm: Arm, split: str) -> int | None:
        return owner[arm].size(arm, split)

    name, notes = " + ".join(source.name for source in sources), tuple(note for source in sources for note in source.notes)
    known = [source.languages for source in sources if source.languages is not None]
    languages = frozenset().union(*known) if len(known) == len(sources) else None
    return TaskSource(name, tuple(sorted(owner)), draw, size, notes, languages)
