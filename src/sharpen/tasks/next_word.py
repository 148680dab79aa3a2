"""Text to be gone on with: any worked solution, cut before a word, and the word itself is the answer. No label is needed.

Level 1 to LEVELS: how hard the word is to foresee, by how rare it is among the words of its own text and whether it is a number
that stands nowhere before: an easy word has been there, a hard one is new.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError
from sharpen.hashing import derive
from sharpen.tasks.gym import DEFAULT, gym

LEVELS = 3
TRIES = 40
WORD = re.compile(r"\S+")
ASKED = "{text}\nWhich word comes next?"


def hardness(before: list[str], word: str) -> int:
    """1 the word has just been there in the same company, 2 it has been there, 3 it is new."""
    if word not in before:
        return 3
    after = {(a, b) for a, b in zip(before, before[1:], strict=False)}
    return 1 if before and (before[-1], word) in after else 2


def next_words(families: str = "", source: Callable[[], TaskSource] | None = None) -> TaskSource:
    """The worked solutions of reasoning-gym's families, or of another source, as words to be foreseen.

    Raises UserError where the source writes no worked solutions. A text is of the split that its task is of.
    """
    inner = source() if source else gym(families or DEFAULT)

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
        drawn = Random(derive(seed, split, "next word", arm.level, index))
        for _ in range(TRIES):
            under = inner.arms[drawn.randrange(len(inner.arms))]
            size = inner.size(under, split)
            if size == 0:
                continue
            parent = inner.draw(under, split, drawn.randrange(size or 2**31), seed)
            text = " ".join([*(str(m.get("content", "")) for m in parent.prompt), solved(parent)])
            words = WORD.findall(text)
            first = len(words) - len(WORD.findall(solved(parent)))
            places = [i for i in range(max(first, 1), len(words)) if hardness(words[:i], words[i]) == arm.level]
            if places:
                at = places[drawn.randrange(len(places))]
                prompt = ({"role": "user", "content": ASKED.format(text=" ".join(words[:at]))},)
                return Task(prompt, words[at], "next_word", arm.level, split, "exact", solution=f"<answer>{words[at]}</answer>")
        raise UserError(
            f"{inner.name}: no worked solution in {TRIES} holds a word of level {arm.level}. Take a source whose tasks have "
            "worked solutions, such as gym's."
        )

    return TaskSource(f"next words of {inner.name}", tuple(Arm("next_word", n) for n in range(1, LEVELS + 1)), draw)


def solved(task: Task) -> str:
    """The worked solution, without the marks of an answer."""
    return re.sub(r"</?answer>", "", task.solution or "")
