"""What a judge that speaks learns of its own judgements: functions of its conversations, for `Role.teach`.

Each sample is a conversation of the judge's, with the verdict on the answer that it judged: its outcome is the verifier's. A
judgement is right where it says so. What cannot be read is wrong, for it is of no use to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sharpen.core import Sample
from sharpen.data.pairs import rewarded
from sharpen.verify import read_score, read_yes

Read = Callable[[str], float | bool | None]


def out_of_ten(text: str) -> float | None:
    return read_score(text, 10.0)


def rights(samples: Sequence[Sample], read: Read = read_yes) -> list[Sample]:
    """Each judgement with reward 1 where it is right, else 0; those on one prompt are compared: for policy gradients."""
    return [rewarded(s, float(is_right(s, read))) for s in samples]


def right_ones(samples: Sequence[Sample], read: Read = read_yes) -> list[Sample]:
    """The right judgements alone, to be imitated: rejection sampling, as a weak judge is tuned on what it heard."""
    return [rewarded(s, 1.0) for s in samples if is_right(s, read)]


def pairs(samples: Sequence[Sample], read: Read = out_of_ten, most: int = 2) -> list[Sample]:
    """Of several judgements on one answer a right one over a wrong one, each used once, at most so many: of n judgements that
    are right with chance a, n(n-1)a(1-a) ordered pairs are to be had, and none where all agree. Source: self-rationalisation,
    arXiv 2410.05495, section 3.3, the selection by the right score."""
    by_answer: dict[tuple[str, str], list[Sample]] = {}
    for s in samples:
        by_answer.setdefault((s.rollout.task.id, s.rollout.id), []).append(s)
    found: list[Sample] = []
    for own in by_answer.values():
        right = [s for s in own if is_right(s, read)]
        wrong = [s for s in own if not is_right(s, read)]
        for better, worse in list(zip(right, wrong))[:most]:
            number = len(found) // 2
            found += [replace(rewarded(better, 1.0), group=number), replace(rewarded(worse, 0.0), group=number)]
    return found


def is_right(sample: Sample, read: Read) -> bool:
    said = read(sample.rollout.response)
    return said is not None and (float(said) >= 0.5) == sample.verdict.correct
