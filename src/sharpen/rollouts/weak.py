"""Supervisors that may err: what a weaker model says, as if the student had said it, beside what the student says itself.

    labelled     the weak model's answer to a training task is the student's: W2SR
    agreed       the weak model's answer and the student's own, where they come to the same: weak-to-strong reasoning, stage 1
    opposed      one rollout of a task is the weak model's answer, the others are the student's: stage 2, and self-reinforcement
    decomposed   the weak model's answers to the single steps of a chain, and to the chain: hard-task supervision
    by_teaching  the student's solution is the one example that a pupil reads before an exam on tasks of the same kind

What the weak model says is a forced answer: it is learnt as a worked solution is. A task that is not for training is asked
alone.
"""

from __future__ import annotations

from typing import Any

from sharpen.core import GREEDY, Ask, Check, Ended, Failed, RolloutGenerator, Task, TaskSource, Turn, Verdict
from sharpen.hashing import derive
from sharpen.rollouts.rollout import with_system
from sharpen.tasks import chain_task
from sharpen.verify import answer_of


def labelled(task: Task, role: str = "weak", system: str = "") -> RolloutGenerator:
    """The role's answer, taken as it is. Nobody looks whether it is right: the verdict on it is for people, unless `select`
    asks."""
    if task.split != "train":
        return (yield Ask(with_system(task, system)))
    said = yield Ask(with_system(task, ""), role=role, sampling=GREEDY)
    return (yield Ask(with_system(task, system), answer=said.text))


def agreed(task: Task, role: str = "weak", system: str = "") -> RolloutGenerator:
    """Both answers, forced, where their final answers are the same; else the student's own, drawn, which `weak.told` drops."""
    own = yield Ask(with_system(task, system))
    if task.split != "train":
        return own
    said = yield Ask(with_system(task, ""), role=role, sampling=GREEDY)
    if answer_of(task, said.text) != answer_of(task, own.text):
        return own
    both = yield [Ask(with_system(task, system), answer=turn.text) for turn in (own, said)]
    return tuple(both) if own.text != said.text else both[0]


def opposed(task: Task, role: str = "weak", system: str = "", *, place: tuple[int, int]) -> RolloutGenerator:
    """The first rollout of a training task is the role's answer, forced; all others are drawn."""
    if task.split == "train" and place[0] == 0 and place[1] > 1:
        return (yield from labelled(task, role, system))
    return (yield Ask(with_system(task, system)))


def decomposed(task: Task, role: str = "weak", whole: bool = True, parts: bool = True, system: str = "") -> RolloutGenerator:
    """Answers of the role to the single steps of a chain, each asked by itself from its right start, and to the chain itself,
    last. Tasks without a chain in their data have no parts. Source: arXiv 2410.20533."""
    small = steps_of(task) if parts else []
    if task.split != "train" or not small:
        return (yield from labelled(task, role, system))
    asked = [*small, task] if whole else small
    said = yield [Ask(with_system(t, ""), role=role, sampling=GREEDY) for t in asked]
    told = yield [Ask(with_system(t, system), answer=turn.text) for t, turn in zip(asked, said, strict=True)]
    return tuple(told) if len(told) > 1 else told[0]


def steps_of(task: Task) -> list[Task]:
    """The single steps of a chain as tasks of their own (tasks/chain.py); none where it has no chain."""
    start, *changes = task.data.get("chain", [0])
    modulus, found = task.data.get("modulus", 10), []
    for change in changes:
        found.append(chain_task(start, [change], task.split, task.family, 0))
        start = (start + change) % modulus
    return found if len(changes) > 1 else []


def by_teaching(task: Task, exam: int = 3, role: str = "pupil", system: str = "", *, source: TaskSource) -> RolloutGenerator:
    """The student's solution is worth the share of `exam` tasks of the same arm that a pupil gets right after reading it as
    the one example. The exam never holds the task itself. Where nothing can be asked, `Failed`: nobody's score.

    The outcome stays the verifier's, in words; no gold answer of the task is needed for the reward. Source: learning by
    teaching, arXiv 2406.14629, M1; 3 problems three times each there.
    """
    own = yield Ask(with_system(task, system))
    if task.split != "train":
        return own
    asked = exam_of(task, exam, source)
    if not asked:
        raise Failed(f"there is no other task of {task.arm} to examine a pupil with")
    known: Verdict = yield Check(task, own.text)
    before = (*task.prompt, {"role": "assistant", "content": own.text})
    said: list[Turn] = yield [Ask((*before, *other.prompt), role=role, sampling=GREEDY) for other in asked]
    marks: list[Verdict] = yield [Check(other, turn.text) for other, turn in zip(asked, said, strict=True)]
    worth = sum(mark.correct for mark in marks) / len(marks)
    parts = {**known.parts, "taught": worth}
    return Ended(own, Verdict(known.outcome, worth, parts, known.feedback, f"{known.rule}, by teaching", known.version))


def exam_of(task: Task, n: int, source: TaskSource) -> list[Task]:
    """Up to n other training tasks of the arm, the same for all who answer this one."""
    size, found = source.size(task.arm, "train"), dict[str, Task]()
    for attempt in range(4 * n):
        index = derive(0, "exam", task.id, attempt) % (size or 2**31)
        other: Any = source.draw(task.arm, "train", index, 0)
        if other.prompt != task.prompt:
            found.setdefault(other.id, other)
        if len(found) == n:
            break
    return list(found.values())
