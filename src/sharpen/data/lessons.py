"""What reward models are taught: functions from a step's judged samples to lessons, for `Role.teach`.

The label of an answer is what the task's verifier said of it, whatever the learnt reward paid: `Verdict.outcome`, which
`verify.learnt` leaves as the verifier's. Labels of steps come from who can check a step, or from votes where nobody can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from sharpen.core import Lesson, Sample, Task
from sharpen.data.pairs import by_prompt
from sharpen.data.selection import keep_all

Split = Callable[[str], Sequence[str]]  # an answer's steps, which joined are the answer
Labels = Callable[[Task, str, Sequence[str]], Sequence[float]]  # of task, answer and its steps: NaN where nothing is known


def whole(answer: str) -> tuple[str, ...]:
    """One step, which is all of it."""
    return (answer,)


def lines(answer: str) -> tuple[str, ...]:
    """Each line that is not blank with the blank ones behind it; one step where there is nothing."""
    return _cut(answer, "\n")


def words(answer: str) -> tuple[str, ...]:
    """Each word with the spaces behind it; one step where there is nothing."""
    return _cut(answer, " ")


def _cut(answer: str, mark: str) -> tuple[str, ...]:
    found: list[str] = []
    for part in answer.replace(mark, f"{mark}\0").split("\0"):
        if found and not found[-1].strip():
            found[-1] += part  # a blank beginning belongs to the first step
        elif found and not part.strip():
            found[-1] += part
        else:
            found.append(part)
    return tuple(found)


def outcomes(samples: Sequence[Sample], split: Split = whole) -> list[Lesson]:
    """Each answer, right 1 and wrong 0, told at its last step: an outcome reward model (arXiv 2110.14168, section 4.2)."""
    return [
        lesson(s, split, lambda task, answer, steps, right=s.verdict.correct: [*[math.nan] * (len(steps) - 1), float(right)])
        for s in keep_all(samples)
    ]


def processes(samples: Sequence[Sample], label: Labels, split: Split = lines) -> list[Lesson]:
    """Each answer with a label for each of its steps; one of which nothing is known is left out (arXiv 2305.20050, section 2)."""
    made = [lesson(s, split, label) for s in keep_all(samples)]
    return [found for found in made if not all(map(math.isnan, found.targets))]


def preferences(samples: Sequence[Sample], hardest: int = 0, score: str = "learnt") -> list[Lesson]:
    """The answers of each prompt that has right and wrong ones, to be compared.

    hardest  of the wrong ones only so many, those that the present reward likes best: RewardRanker's hard negatives (arXiv
             2504.09643, section 3); 0: all
    """
    found: list[Lesson] = []
    for number, group in enumerate(by_prompt(samples)):
        right, wrong = ([s for s in group if s.verdict.correct is wanted] for wanted in (True, False))
        if hardest:
            wrong = sorted(wrong, key=lambda s: -s.verdict.parts.get(score, 0.0))[:hardest]
        for s in [*right, *wrong] if right and wrong else ():
            found.append(Lesson(s.rollout.task.prompt, (s.rollout.response,), (float(s.verdict.correct),), number))
    return found


def to_outcome(task: Task, answer: str, steps: Sequence[str], right: bool) -> list[float]:
    """The outcome at every step: noisy step labels where nobody can check a step."""
    return [float(right)] * len(steps)


def as_outcome(samples: Sequence[Sample], split: Split = lines) -> list[Lesson]:
    """Each answer's outcome at every step: what a value function learns from its own rollouts (Monte Carlo, one each)."""
    return [
        lesson(s, split, lambda task, answer, steps, right=s.verdict.correct: to_outcome(task, answer, steps, right))
        for s in keep_all(samples)
    ]


def lesson(sample: Sample, split: Split, label: Labels) -> Lesson:
    task, answer = sample.rollout.task, sample.rollout.response
    steps = tuple(split(answer))
    return Lesson(task.prompt, steps, tuple(map(float, label(task, answer, steps))), sample.group)
