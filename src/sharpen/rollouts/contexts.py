"""Context against memory: what a model is taught to do with what stands before a question.

slices   KAFT's: follow a context that is about the question, also against one's own knowledge; keep one's own answer where it
         is about something else, or where there is none
"""

from __future__ import annotations

from collections.abc import Sequence

from sharpen.core import GREEDY, Ask, RolloutGenerator, Sample, Task
from sharpen.rollouts.guided import without_context
from sharpen.rollouts.rollout import with_system
from sharpen.verify import answer_of

OWN = ("irrelevant", "closed")  # slices in which one's own answer is the right one


def slices(task: Task, own: bool = True, role: str = "closed_book", system: str = "") -> RolloutGenerator:
    """A training task answered for the student: by its context where that is about the question, else by what the role, the
    student as it began, says to the bare question.

    own  False: by the gold answer there, which teaches new facts instead of steadiness: the paper's control
    Which slice a task is of stands in its data, `slice`; one that says nothing has a context to be followed, if it has any.
    Source: KAFT, arXiv 2211.05110.
    """
    if task.split != "train":
        return (yield Ask(with_system(task, system)))
    question = without_context(task)
    kind = task.data.get("slice", "closed" if question is None else "relevant")
    answer = task.solution or task.answer or ""
    if kind in OWN and own:
        said = yield Ask(question or task.prompt, role=role, sampling=GREEDY)
        answer = said.text
    return (yield Ask(with_system(task, system), answer=answer))


def controllability(samples: Sequence[Sample]) -> float:
    """Share of the answers after a counterfactual context that follow it; NaN without any."""
    return share([s.verdict.correct for s in samples if s.rollout.task.data.get("slice") == "counterfactual"])


def robustness(samples: Sequence[Sample], closed_book: Sequence[str]) -> float:
    """Share of the answers after an irrelevant context that are what the model said to the bare question, right or not; NaN
    without any. closed_book has an answer for each of the samples, in order."""
    pairs = [
        answer_of(s.rollout.task, s.rollout.response) == answer_of(s.rollout.task, said)
        for s, said in zip(samples, closed_book, strict=True)
        if s.rollout.task.data.get("slice") == "irrelevant"
    ]
    return share(pairs)


def share(right: Sequence[bool]) -> float:
    return sum(right) / len(right) if right else float("nan")
