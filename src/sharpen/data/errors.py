"""Errors put where they are known, and pairs: a right step against a spoilt one, and how many pairs samples can give."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from sharpen.core import Sample, Task, UserError
from sharpen.data.corrections import Decode, Retell, learnt_from
from sharpen.data.pairs import by_prompt
from sharpen.tasks import slipped
from sharpen.verify import INSTANT, steps, verify

KINDS = ("value", "related", "substitution", "delete", "word", "operator", "swap")
OPERATORS = {"+": "-", "-": "+", "*": "+", "/": "*", "%": "/", "×": "+"}
NUMBER = r"-?\d+"


@dataclass(frozen=True)
class Injected:
    """An answer with an error: the text, what kind, in which step, and that step before and after."""

    text: str
    kind: str
    step: int
    before: str
    after: str


def inject(text: str, kind: str, rng: np.random.Generator, by: str = "words") -> Injected | None:
    """One step of a text spoilt in a known way; None where no step can be spoilt so.

    kind  value: a number in it becomes another; related: that number in all later steps too; substitution: a number of it
          becomes one of another step; delete: the step goes; word: it is written twice; operator: + becomes -, …; swap: it
          changes places with the next. Source: the seven edits of arXiv 2410.06638, there written by the model itself
    """
    if kind not in KINDS:
        raise UserError(f"kind={kind!r}: there are {', '.join(KINDS)}.")
    listed = steps.split(text, by)
    numbers = Counter(n for s in listed for n in re.findall(NUMBER, s.text))
    for i in rng.permutation(len(listed)):
        step = listed[i]
        inside = re.findall(NUMBER, step.text)
        others = [n for n in numbers if n not in inside]
        after: str | None = None
        if kind in ("value", "related") and inside:
            old = inside[-1]
            new = str(int(old) + int(rng.choice((-2, -1, 1, 2))))
            after = step.text[: step.text.rfind(old)] + new + step.text[step.text.rfind(old) + len(old) :]
        elif kind == "substitution" and inside and others:
            after = step.text.replace(inside[-1], str(rng.choice(others)), 1)
        elif kind == "delete" and len(listed) > 1:
            after = ""
        elif kind == "word":
            after = f"{step.text} {step.text}"
        elif kind == "operator" and (sign := next((c for c in step.text[1:] if c in OPERATORS), "")):
            after = step.text[:1] + step.text[1:].replace(sign, OPERATORS[sign], 1)
        elif kind == "swap" and i + 1 < len(listed) and listed[i + 1].text != step.text:
            following = listed[i + 1]
            between = text[step.stop : following.start]
            whole = text[: step.start] + following.text + between + step.text + text[following.stop :]
            return Injected(whole, kind, int(i), step.text, following.text)
        if after is None or after == step.text:
            continue
        rest = text[step.stop :]
        if kind == "related":
            rest = re.sub(rf"(?<!\d){re.escape(inside[-1])}(?!\d)", after.split()[-1], rest)
        return Injected(text[: step.start] + after + rest, kind, int(i), step.text, after)
    return None


def spoilt(task: Task, answer: str, rng: np.random.Generator, tries: int = 8) -> str | None:
    """An answer that the verifier finds right, with an error that it finds wrong; None where none was found.

    A chain slips in a step and goes on from there, as students do. Of any other task a step of the working is spoilt, and where
    the verifier does not mind, the final answer. Only verifiers that need no program and no model are asked.
    """
    if "chain" in task.data:
        return slipped(task, Random(int(rng.integers(2**31))))
    if task.verifier not in INSTANT:
        return None
    end = answer.rfind(task.answer) if task.answer else -1
    for number in range(tries):
        found = inject(answer, str(rng.choice(KINDS)), rng)
        text = found.text if found and number < tries // 2 else answer
        if text == answer and end >= 0 and task.answer:
            text = answer[:end] + garbled(task.answer, rng) + answer[end + len(task.answer) :]
        if text != answer and verify(task, text).reward == 0:
            return text
    return None


def garbled(text: str, rng: np.random.Generator) -> str:
    """A text with another digit in the place of one of its own, or with a letter of it gone."""
    at = int(rng.integers(len(text)))
    digits = [i for i, c in enumerate(text) if c.isdigit()]
    if not digits:
        return text[:at] + text[at + 1 :]
    at = digits[at % len(digits)]
    return text[:at] + str((int(text[at]) + int(rng.integers(1, 10))) % 10) + text[at + 1 :]


def error_pairs(
    samples: Sequence[Sample],
    kinds: tuple[str, ...] = KINDS,
    sampled: bool = True,
    *,
    retell: Retell,
    decode: Decode,
    rng: np.random.Generator,
) -> list[Sample]:
    """Of each solved prompt a right answer's step against the same step with an error put in, after the steps before it; and,
    with `sampled`, a right answer against a wrong one where the prompt has both: RISE of arXiv 2410.06638.

    What stands before the step is read on both sides, so it has no gradient, and neither has what comes after it.
    """
    found: list[tuple[Sample, Sample]] = []
    for group in by_prompt(samples):
        right = [s for s in group if s.verdict.correct]
        wrong = [s for s in group if not s.verdict.correct]
        found += [(right[0], wrong[0])] if sampled and right and wrong else []
        if not right:
            continue
        one = right[int(rng.integers(len(right)))]
        said = one.rollout.response
        spoilt = inject(said, str(rng.choice(kinds)), rng) or inject(said, "word", rng)
        if spoilt is None or not spoilt.after:
            continue
        start = steps.split(said)[spoilt.step].start
        sides = []
        for step, reward in ((spoilt.before, 1.0), (spoilt.after, 0.0)):
            told = retell(one, list(one.rollout.task.prompt), said[:start] + step)
            told = learnt_from(told, start, decode, start + len(step))
            outcome = "correct" if reward else "wrong"
            sides.append(replace(told, verdict=replace(told.verdict, outcome=outcome, reward=reward)))
        found.append((sides[0], sides[1]))
    return numbered(found)


def numbered(pairs: Sequence[tuple[Sample, Sample]]) -> list[Sample]:
    """Each pair as a group of its own, better side first."""
    return [replace(s, group=n) for n, pair in enumerate(pairs) for s in pair]


def pair_yield(n: int, accuracy: float) -> float:
    """Right-wrong pairs that n samples of that accuracy give on average: n (n - 1) a (1 - a); none at 0 and 1."""
    return n * (n - 1) * accuracy * (1 - accuracy)


def all_pairs(samples: Sequence[Sample], most: int = 0) -> list[Sample]:
    """Every right answer against every wrong one to the same prompt, at most so many of a prompt (0: all): what a builder of
    pairs can give at most, `pair_yield` on average."""
    found: list[tuple[Sample, Sample]] = []
    for group in by_prompt(samples):
        right, wrong = ([s for s in group if s.verdict.correct is side] for side in (True, False))
        listed = [(a, b) for a in right for b in wrong]
        found += listed[:most] if most else listed
    return numbered(found)


def kept_by_effect(pairs: Sequence[tuple[Any, Any]], worth: Callable[[Any], float]) -> list[tuple[Any, Any]]:
    """Those pairs whose better side also does better: worth(better) > worth(worse), such as the mean reward of revisions that
    followed a critique (MARV of MultiCritique, arXiv 2410.15287)."""
    return [(a, b) for a, b in pairs if worth(a) > worth(b)]
