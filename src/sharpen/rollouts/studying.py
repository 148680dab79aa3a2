"""Rollouts that learn something before they answer: what a question comes with, or an example that they wrote themselves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sharpen.core import Ask, Message, RolloutGenerator, Study, Task, Turn
from sharpen.rollouts.guided import without_context
from sharpen.rollouts.rollout import with_system
from sharpen.rollouts.values import answer_of, said

WRITE = "Write one question that is like the following one, and its right answer, as\nQuestion: …\nAnswer: …\n\n{question}"


def from_memory(task: Task, steps: int = 4, lr: float = 1e-3, segment: int = 128, system: str = "") -> RolloutGenerator:
    """The question without its context, which was read into an adapter: PERK (arXiv 2507.06415). A question without context, or
    no steps: as ever."""
    question = without_context(task)
    if question is None or not steps:
        return (yield Ask(with_system(task, system)))
    context = str(task.prompt[-1]["content"]).rpartition("\n\n")[0]
    asked = with_system(replace(task, prompt=question), system)
    return (yield Ask(asked, study=Study((context,), steps=steps, lr=lr, segment=segment)))


def self_taught(
    task: Task,
    threshold: float = 0.5,
    tries: int = 4,
    writer: str = "",
    steps: int = 4,
    lr: float = 1e-3,
    system: str = "",
) -> RolloutGenerator:
    """TT-SI (arXiv 2510.07841): where the likeliest answer is not clearly ahead of the second, one question like this one is
    written, with its answer, and learnt from before this one is answered. threshold 0: never, 1: always where answers differ.

    The writer is the student, or a role: TT-D. What cannot be read as a question and an answer teaches nothing.
    """
    drawn = yield [Ask(with_system(task, system))] * tries
    best, gap = ahead(task, drawn)
    if gap >= threshold:
        return best
    wish = WRITE.format(question=task.prompt[-1]["content"])
    wrote = yield Ask(({"role": "user", "content": wish},), role=writer)
    example = read(wrote.text)
    if example is None:
        return best
    return (yield Ask(with_system(task, system), study=Study(examples=(example,), steps=steps, lr=lr)))


def ahead(task: Task, turns: list[Turn]) -> tuple[Turn, float]:
    """The likeliest of different answers, and how far it is ahead: the gap between the two highest softmax scores of their
    log-probabilities; 1 where all agree."""
    scores: dict[str, tuple[float, Turn]] = {}
    for turn in turns:
        answer = answer_of(task, turn) or turn.text
        scores[answer] = max(scores.get(answer, (-math.inf, turn)), (float(said(turn).sum()), turn), key=lambda pair: pair[0])
    ranked = sorted(scores.values(), key=lambda pair: -pair[0])
    weights = np.exp(np.array([score for score, _ in ranked]) - ranked[0][0])
    shares = weights / weights.sum()
    return ranked[0][1], float(shares[0] - shares[1]) if len(shares) > 1 else 1.0


def read(text: str) -> tuple[tuple[Message, ...], str] | None:
    """A question and an answer of the form that `WRITE` asks for; None where there is none."""
    question, mark, answer = text.partition("Answer:")
    question = question.rpartition("Question:")[2].strip()
    return ((({"role": "user", "content": question},)), answer.strip()) if mark and question and answer.strip() else None
