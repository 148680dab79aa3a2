"""Answers that come about in several stages, of which the last is judged; what helped on the way is not in what is learnt.

staged       plan, solve, answer; after each stage somebody may change it, and what follows is made anew (NExT-Search)
guided       a general guideline, made concrete step by step, and the answer as if none had been given (ReGenesis)
deliberated  agents add thoughts about policies in turn until one has nothing to add (AIDSAFE)
tutored      a teacher writes an example, and the student answers after it: what the example is worth (ARTE, LbT)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sharpen.core import Ask, RolloutGenerator, Task
from sharpen.hashing import derive
from sharpen.rollouts.rollout import with_system
from sharpen.verify import final_answer

NUMBER = re.compile(r"[0-9]{1,4}")
STAGES = ("First say only what is asked and what is given.", "Now work it out step by step.", "Now give the answer only.")
SAME = "SAME"
EDIT = "An assistant wrote this stage of an answer:\n{said}\nIf it is right, say SAME. Else write the stage as it should be."

GUIDELINES = (
    "Break the problem into smaller parts.",
    "Work backwards from what is asked.",
    "Write down what is known, and what follows from it.",
    "Try a simple case first.",
    "Check each step before the next.",
    "Find a pattern.",
    "Estimate the answer, then work it out exactly.",
    "Name the unknowns, and write what holds between them.",
)
CHOOSE = "{question}\n\nDo not solve it yet. Which of these helps most? Say its number.\n{listed}"
ADAPT = "{question}\n\nDo not solve it yet. Say how this advice applies to it: {advice}"
STRUCTURE = "Do not solve it yet. Turn that into numbered steps."
SOLVE = "Now solve it by following the steps."
HINT = " The answer is {answer}; show how to get there."

POLICIES = ("Say what is asked.", "Say what is given.", "Check the result against what is asked.")
INTENT = "{question}\n\nSay what the person who asks this wants, also what is not said."
DRAFT = "Think about it in view of this, then answer."
REVIEW = (
    "{question}\n\nThoughts so far:\n{thoughts}\n\nPolicies:\n{policies}\n\n"
    "If all are followed, say AGREED. Else add what is missing."
)
AGREED = "AGREED"
REFINE = "{question}\n\nThoughts:\n{thoughts}\n\nLeave out what is repeated or untrue, and give the answer."

EXAMPLE = "Write a question of the same kind as this one, and its worked solution:\n{question}"


def question_of(task: Task) -> str:
    return str(task.prompt[-1]["content"])


def said(text: str) -> tuple[dict[str, str], ...]:
    return ({"role": "user", "content": text},)


def staged(task: Task, stages: Sequence[str] = STAGES, edited: bool = True) -> RolloutGenerator:
    """Each stage is a turn of its own. The role `editor` may write it anew: then that is what the student said, forced and so
    learnt from as a demonstration, and the later stages are made after it; nothing that was made before is used again.

    Only training answers are edited. Source: NExT-Search, arXiv 2505.14680: debug mode where a person is the editor, shadow
    mode where a model is (--role editor=…).
    """
    turn: Any = None
    for stage in stages:
        before, asked = turn, said(stage) if turn else (*with_system(task, "")[:-1], *said(f"{question_of(task)}\n\n{stage}"))
        turn = yield Ask(asked, after=before)
        if edited and task.split == "train":
            edit = yield Ask(said(EDIT.format(said=turn.text)), role="editor")
            text = edit.text.strip()
            if text and not text.upper().startswith(SAME) and text != turn.text.strip():
                turn = yield Ask(asked, after=before, answer=text)
    return turn


def advised(task: Task, guidelines: Sequence[str] = GUIDELINES, hint: bool = True) -> RolloutGenerator:
    """A guideline is adapted to the task, made a structure, and followed; what is learnt is the answer after the bare question.

    Which guideline, the student says; where it names none, its words decide, so that the rollouts of a task differ. Where the
    answer is wrong, the same once more with the right answer told (`hint`). On tasks that are not for training the question is
    asked alone. Source: ReGenesis, arXiv 2410.02108, sections 2 and 3; its 25 guidelines are not copied, eight stand for them.
    """
    if task.split != "train" or not guidelines:
        turn = yield Ask(with_system(task, ""))
        return turn
    listed = "\n".join(f"{i}. {advice}" for i, advice in enumerate(guidelines, 1))
    choice = yield Ask(said(CHOOSE.format(question=question_of(task), listed=listed)))
    advice = guidelines[chosen(choice.text, len(guidelines), task.id)]
    for told in ("", HINT) if hint and task.answer is not None else ("",):
        question = question_of(task) + told.format(answer=task.answer)
        turn = yield Ask(said(ADAPT.format(question=question, advice=advice)))
        turn = yield Ask(said(STRUCTURE), after=turn)
        turn = yield Ask(said(SOLVE), after=turn)
        if task.answer is None or final_answer(task, turn.text)[0] == task.answer.strip():
            break
    learnt = yield Ask(with_system(task, ""), answer=turn.text)
    return learnt


def chosen(text: str, n: int, task_id: str) -> int:
    """The number from 1 that a text names, as an index; one drawn by the text where it names none."""
    found = NUMBER.search(text)
    return int(found[0]) - 1 if found and 1 <= int(found[0]) <= n else derive(0, "guideline", task_id, text) % n


def deliberated(task: Task, rounds: int = 2, policies: Sequence[str] = POLICIES) -> RolloutGenerator:
    """The intents of the question, a first chain of thought, then so many rounds in which an agent adds what a policy misses,
    ended by the first who agrees; a last one leaves out what is not needed. What is learnt is that, after the bare question.

    The agents are the roles `intents`, `agent` and `refiner`. Source: AIDSAFE, arXiv 2505.21784, section 3. On tasks that are
    not for training the question is asked alone.
    """
    if task.split != "train" or rounds < 1:
        turn = yield Ask(with_system(task, ""))
        return turn
    question = question_of(task)
    intents = yield Ask(said(INTENT.format(question=question)), role="intents")
    first = yield Ask((*said(f"{question}\n\n{intents.text}\n\n{DRAFT}"),), role="agent")
    thoughts = [first.text]
    for _ in range(rounds):
        review = REVIEW.format(question=question, thoughts="\n".join(thoughts), policies="\n".join(policies))
        turn = yield Ask(said(review), role="agent")
        if AGREED in turn.text.upper():
            break
        thoughts.append(turn.text)
    refined = yield Ask(said(REFINE.format(question=question, thoughts="\n".join(thoughts))), role="refiner")
    learnt = yield Ask(with_system(task, ""), answer=refined.text)
    return learnt


def tutored(task: Task) -> RolloutGenerator:
    """The role `teacher` writes a worked example like the task, and the student answers after reading it.

    What the student makes of it is what the example is worth (`verify.taught` pays the teacher for it). The teacher sees no
    answer. Source: ARTE, arXiv 2406.19227: preference of the student for a draft by one-shot success; LbT, arXiv 2406.14629.
    On tasks that are not for training the question is asked alone.
    """
    if task.split != "train":
        turn = yield Ask(with_system(task, ""))
        return turn
    draft = yield Ask(said(EXAMPLE.format(question=question_of(task))), role="teacher")
    turn = yield Ask((*with_system(task, "")[:-1], *said(f"{draft.text}\n\n{question_of(task)}")))
    return turn
