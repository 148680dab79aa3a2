"""Lists to be written under several constraints at once, each of which a rule checks: small instruction following.

    Write 3 words. The first begins with "b". No word has a "k".

Judged by `rubric`, an item for each constraint. The worked solution previews the constraints, drafts, checks the draft, all of
it in thoughts, and then writes: <think>3 words, begin: bat cow owl; words yes, begin yes</think>bat cow owl. Light-IF's form
(arXiv 2508.03178), in small.
"""

from __future__ import annotations

from random import Random
from typing import Any

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError
from sharpen.hashing import derive, split_of

TRIES = 500
LEVELS = 4  # level n has n + 1 constraints
WORDS = (
    "ant apple arm axe bag ball bat bed bee bird boat book bread bus cake car cat chair clock cloud coat corn cow cup "
    "deer desk dish dog door dress drum duck egg fan fish flag flute foot fork fox frog gate goat gold hand hat hen hill "
    "horse house ink jam jar key king kite lamp leaf lion map milk moon mouse nail nest nose nut oak owl pan pear pen "
    "pie pig pin pot queen rain rat ring road rose sand sea seed ship shoe shop snow sock spoon star stone sun swan "
    "table tent tiger tree van vase wall wave web wolf yarn zoo "
).split()


def constraints() -> TaskSource:
    """Two to five constraints, a level for each number of them."""
    return TaskSource("constraints", tuple(Arm("constraints", n) for n in range(1, LEVELS + 1)), draw, languages=frozenset())


def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
    """The task of that number; a pure function of its arguments. Raises UserError where TRIES draws found none of the split."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
    for attempt in range(TRIES):
        made = task(arm, split, Random(derive(seed, split, arm.family, arm.level, index, attempt)))
        if split_of(made.prompt) == split:
            return made
    raise UserError(f"{arm} has no question in the {split} split: {TRIES} draws found none.")


def task(arm: Arm, split: str, rng: Random) -> Task:
    """One task; its solution is drawn first."""
    n = rng.randint(2, 4)
    words = sorted(rng.sample(WORDS, n))
    ways = {
        "begin": (f'The first begins with "{words[0][0]}".', item("starts_with", words[0][0])),
        "end": (f'The last ends with "{words[-1][-1]}".', item("ends_with", words[-1][-1])),
        "with": (f'One is "{words[n // 2]}".', item("contains", words[n // 2])),
    }
    free = [c for c in "abcdefghijklmnoprstuw" if not any(c in word for word in words)]
    letter = rng.choice(free)
    ways["without"] = (f'No word has a "{letter}".', {**item("contains", letter), "not": True})
    chosen = rng.sample(sorted(ways), min(arm.level, len(ways)))
    said = [f"Write {n} words.", *(ways[name][0] for name in chosen)]
    rubric = [item("max_words", n), item("min_words", n), *(ways[name][1] for name in chosen)]
    text = " ".join(words)
    preview, check = ", ".join([f"{n} words", *chosen]), ", ".join(f"{name} yes" for name in ("words", *chosen))
    solution = f"<think>{preview}: {text}; {check}</think>{text}"
    prompt = ({"role": "user", "content": " ".join(said)},)
    return Task(prompt, text, arm.family, arm.level, split, "rubric", {"rubric": rubric}, solution)


def item(kind: str, value: Any) -> dict[str, Any]:
    return {"kind": kind, "value": value}
