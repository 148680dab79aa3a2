"""Rollouts in which something is said of an answer: checks, critiques that are worth what they cause, programs that are run and
checked, and steps that are searched with a checker.

A conversation that is returned is learnt from; what the student said in others is read by the verdict, and carries no loss.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from sharpen.core import GREEDY, Ask, Message, RolloutGenerator, Run, Task, Turn, shortened
from sharpen.rollouts.feedback import AGAIN, CRITIC, Feedback, judged, verdict
from sharpen.rollouts.feedback import OWN as CHECK
from sharpen.rollouts.retry import retry
from sharpen.rollouts.rollout import single, with_system
from sharpen.verify import says_right, steps
from sharpen.verify.code import extract

CRITICISE = "Say in one sentence what is wrong with this answer, without giving the right one."
PROGRAM = "Write a Python program that prints the answer."
FINISH = (
    "It prints {output!r}. Does the program do what was asked, and can this be the answer? If so, give the answer; else say no."
)


def checked(task: Task, question: str = CHECK, system: str = "", tokens: int = 32) -> RolloutGenerator:
    """An answer, and in a conversation of its own the student's check of it, which is told no more than somebody else would be;
    both are learnt from. Source: RISE, arXiv 2505.13445, whose verification prompts are made of the batch's own answers."""
    attempt = yield Ask(with_system(task, system))
    asked = (*with_system(task, system), *after(attempt.text, question))
    check = yield Ask(asked, max_tokens=tokens)
    return attempt, check


def after(answer: str, words: str) -> tuple[Message, Message]:
    return {"role": "assistant", "content": answer}, {"role": "user", "content": words}


def critique(task: Task, revisions: int = 4, ask: str = CRITICISE, again: str = AGAIN, tokens: int = 48) -> RolloutGenerator:
    """A greedy answer, a critique of it, and revisions that follow the critique: the critique alone is learnt from.

    The answer is greedy so that all critiques of a group are of the same one. The student's turns are the answer, the critique
    and the revisions, in this order. Source: MultiCritique (arXiv 2410.15287, MARV), where others revise.
    """
    attempt = yield Ask(task.prompt, sampling=GREEDY)
    asked = (*task.prompt, *after(attempt.text, ask))
    said = yield Ask(asked, max_tokens=tokens)
    yield [Ask(({"role": "user", "content": again},), after=said)] * revisions
    return said


def meta_critique(
    task: Task,
    critics: Sequence[str] = ("critic",),
    judge: str = "judge",
    question: str = CRITIC,
    tokens: int = 128,
) -> Generator[Any, Any, Turn]:
    """Several critics' remarks, one a line, each kept or dropped by a judge by itself; what is left is told to the student, who
    answers again. Remarks are not debated: agreement lowers what is found. Source: arXiv 2410.15287, section 3."""
    import json

    attempt = yield Ask(task.prompt)
    material = json.dumps({"question": [dict(m) for m in task.prompt], "answer": attempt.text})
    asked = ({"role": "user", "content": question.format(quoted=material)},)
    found = yield [Ask(asked, role=role, max_tokens=tokens) for role in critics]
    remarks = list(dict.fromkeys(line.strip() for turn in found for line in turn.text.splitlines() if line.strip()))
    wanted = [
        f"{question.format(quoted=material)}\nA critic says: {json.dumps(r)}. Is this remark right? Say yes or no."
        for r in remarks
    ]
    ruled = yield [Ask(({"role": "user", "content": w},), role=judge, max_tokens=16, sampling=GREEDY) for w in wanted]
    kept = [remark for remark, turn in zip(remarks, ruled, strict=True) if says_right(turn.text) is not False]
    if not kept:
        return attempt
    return (yield Ask(({"role": "user", "content": shortened(" ".join([*kept, AGAIN]), 2000)},), after=attempt))


def corrected_half(task: Task, feedback: Feedback = verdict, share: float = 0.5, system: str = "") -> RolloutGenerator:
    """For that share of the training tasks, chosen by their hashes, an attempt, the verifier's words and a second attempt, of
    which the second alone is learnt from; for the others one attempt. Held-out tasks are asked as the former are.

    Source: Goedel-Prover-V2 (arXiv 2508.03613, section 3): half of the inputs are first-round corrections.
    """
    if task.split == "train" and int(task.id[:8], 16) / 2**32 >= share:
        return (yield from single(task, system))
    attempts = yield from retry(task, feedback, 2, system, window=1)
    return attempts[-1] if isinstance(attempts, tuple) else attempts


def worked_by_program(
    task: Task, rounds: int = 3, again: str = "Then write another program.", seconds: float = 5.0
) -> RolloutGenerator:
    """A program, what it printed, a check with the answer in it; over again while the check says no: CoSC (arXiv
    2410.10735)."""
    first = f"{task.prompt[-1]['content']}\n{PROGRAM}"
    turn = yield Ask((*task.prompt[:-1], {**task.prompt[-1], "content": first}))
    for left in reversed(range(rounds)):
        ran = yield Run(program_in(turn.text), "python", seconds=seconds)
        output = ran.stdout.strip() if ran.status == "ok" else f"{ran.status}: {ran.stderr.strip()[-200:]}"
        turn = yield Ask(({"role": "user", "content": FINISH.format(output=shortened(output, 500))},), after=turn)
        if says_right(turn.text) is not False or not left:
            break
        turn = yield Ask(({"role": "user", "content": again},), after=turn)
    return turn


def program_in(text: str) -> str:
    from sharpen.verify.code import language_of

    return extract(text, language_of("python"))[0]


# Steps.


def pruned(
    task: Task, width: int = 5, best: bool = True, most: int = 16, mark: str = " ", tokens: int = 12
) -> RolloutGenerator:
    """An answer step by step: of so many next steps one that keeps the working right (or, with `best` False, one that does not)
    is gone on from, the first where they are alike. Which is right the task's checker says.

    mark  what stands between steps; a step that writes the final answer is the last. Source: SPHERE (arXiv 2503.04813, stage
          1), whose process reward model is the checker here
    """
    turn, said = None, ""
    for i in range(most):
        ask = (
            Ask(task.prompt, max_tokens=tokens, stop=(mark,))
            if turn is None
            else Ask((), turn, insert=mark, stop=(mark,), max_tokens=tokens)
        )
        drawn = yield [ask] * width
        texts = [f"{said}{mark if said else ''}{one.text}" for one in drawn]
        right = [all(steps.checked(task, text) or [True]) and wrong_end(task, text) is not True for text in texts]
        at = next((n for n, good in enumerate(right) if good is best), 0)
        turn, said = drawn[at], texts[at]
        if turn.stop == "end" or (turn.stop == "length" and i > 0):
            break
    return turn if turn is not None else (yield Ask(task.prompt))


def wrong_end(task: Task, text: str) -> bool | None:
    """Whether a text that has come to its answer has a wrong one; None where it has not come there."""
    from sharpen.verify import INSTANT, verify

    ended = "</answer>" in text and task.verifier in INSTANT
    return not verify(task, text).correct if ended else None


def reflected(task: Task, weak: str = "small", ask: str = "Look at your steps again.", system: str = "") -> RolloutGenerator:
    """An attempt; a wrong one of a training task is reflected on and made again; beside a right one a weaker model answers the
    same task. So every task has a right and a wrong answer: SPHERE's stages 2 and 3 (arXiv 2503.04813)."""
    turn = yield Ask(with_system(task, system))
    if task.split != "train":
        return turn
    found = yield from judged(task, turn.text)
    if found.correct:
        yield Ask(task.prompt, role=weak)
        return turn
    return (yield Ask(({"role": "user", "content": ask},), after=turn))
