"""What is learnt from a supervisor that may err: which of its words, and against which of the student's own.

A forced answer of a group is the supervisor's (rollouts/weak.py), the others are the student's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from sharpen.core import Sample, UserError
from sharpen.data.pairs import by_prompt, numbered
from sharpen.data.selection import keep_all
from sharpen.verify import answer_of

KEPT = ("all", "right", "wrong")


def told(samples: Sequence[Sample], keep: str = "all") -> list[Sample]:
    """Forced answers alone, whatever they are worth; `keep` them "all", or, where gold answers are to be used, the "right" or
    the "wrong" ones: W2SR's three sets (arXiv 2505.20072). UserError for another word."""
    if keep not in KEPT:
        raise UserError(f"keep={keep!r}: of a supervisor's answers are kept {', '.join(KEPT)}.")
    given = [s for s in keep_all(samples) if s.rollout.stop == "forced"]
    return [s for s in given if keep == "all" or s.verdict.correct == (keep == "right")]


def contrastive(samples: Sequence[Sample], least: float = 0.6, sure: float = 0.8) -> list[Sample]:
    """A pair of each task whose majority among the student's answers has a share of `least` or more: where the weak model says
    the same, its answer over one of a minority, if there is any; where it does not, and the share is `sure` or more, one of the
    majority over the weak model's. No gold answer is looked at. Source: arXiv 2407.13647, stage 2 as released."""
    if not 0 < least <= sure <= 1:
        raise UserError(f"contrastive needs 0 < least <= sure <= 1, got {least=}, {sure=}")
    found: list[tuple[Sample, Sample]] = []
    for group in by_prompt(samples):
        weak = next((s for s in group if s.rollout.stop == "forced"), None)
        own = [s for s in group if s.rollout.stop != "forced"]
        said = [answer_of(s.rollout.task, s.rollout.response) for s in own]
        votes = Counter(text for text in said if text)
        if weak is None or not votes:
            continue
        majority, count = votes.most_common(1)[0]
        share, agrees = count / len(own), answer_of(weak.rollout.task, weak.rollout.response) == majority
        minority = [s for s, text in zip(own, said, strict=True) if text != majority]
        if agrees and minority and share >= least:
            found.append((weak, minority[0]))
        elif not agrees and share >= sure:
            found.append((own[said.index(majority)], weak))
    return numbered(found)


def over_base(samples: Sequence[Sample]) -> list[Sample]:
    """Each own answer over the untuned model's, which is the forced one, where their final answers differ and the own one is
    also that of most: the student's self-judgement. Source: self-reinforcement, arXiv 2405.04086, abstract; this filter is
    ours."""
    found: list[tuple[Sample, Sample]] = []
    for group in by_prompt(samples):
        base = next((s for s in group if s.rollout.stop == "forced"), None)
        own = [s for s in group if s.rollout.stop != "forced"]
        said = [answer_of(s.rollout.task, s.rollout.response) for s in own]
        votes = Counter(text for text in said if text)
        if base is None or not votes:
            continue
        majority, other = votes.most_common(1)[0][0], answer_of(base.rollout.task, base.rollout.response)
        if majority != other:
            found.append((own[said.index(majority)], base))
    return numbered(found)


def agreement(a: float, b: float, answers: int) -> float:
    """How often two are right where they agree, who are right with chances a and b and else say any of the other `answers` - 1
    alike, independently: a b / (a b + (1 - a)(1 - b) / (answers - 1))."""
    if answers < 2:
        raise UserError(f"answers={answers}: with fewer than two nobody can err.")
    wrong = (1 - a) * (1 - b) / (answers - 1)
    return a * b / (a * b + wrong) if a * b + wrong else 0.0


WAYS = ("majority", "sum", "mean", "max")


def by_lessons(answers: Sequence[str], scores: Sequence[float], way: str = "sum") -> str:
    """The answer that solutions with these teaching scores speak for: of the "majority", of the highest "sum", "mean" or single
    score ("max"); ties go to the more frequent one, then the earlier. With equal scores sum and majority are the same.
    Learning by teaching (arXiv 2406.14629), M1. UserError for another way, ValueError without answers."""
    if way not in WAYS:
        raise UserError(f"way={way!r}: there are {', '.join(WAYS)}.")
    if not answers:
        raise ValueError("nothing was answered")
    held: dict[str, list[float]] = {}
    for text, score in zip(answers, scores, strict=True):
        held.setdefault(text, []).append(float(score))
    ways: dict[str, Callable[[list[float]], float]] = {
        "majority": lambda s: float(len(s)),
        "sum": sum,
        "mean": lambda s: sum(s) / len(s),
        "max": max,
    }
    worth = ways[way]
    return max(held, key=lambda text: (worth(held[text]), len(held[text])))
