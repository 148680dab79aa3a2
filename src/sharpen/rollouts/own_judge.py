"""Rollouts in which a model is its own judge: it picks among its answers, learns to judge them, or mends what they miss.

In an evaluation nothing but answering is measured where judging is only taught (`co_evolved`); where judging is the method
(`best_by_own`, `ticked_again`) it is part of what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sharpen.core import GREEDY, PLAIN, Ask, Check, Message, RolloutGenerator, Task, Turn, Verdict
from sharpen.rollouts.rollout import with_system
from sharpen.verify import asking, final_answer, judgement, read_list, read_steps, read_yes

PAIR = "Which of the two answers, A or B, is right or nearer to it? Say A or B."
REFLECT = "Your answer above is wrong. Find the mistake and answer again."
AGAIN = "Your answer does not meet this:\n{missing}\nAnswer again, and meet it."


def rating(text: str, count: int) -> float:
    """What a judgement is worth in comparing answers: the verdict first, then the share of right steps; -1 where it cannot be
    read."""
    read = read_steps(text, count)
    return -1.0 if read is None else float(read[1]) + sum(read[0]) / max(count, 1) / 2


def best_by_own(
    task: Task, split: Callable[[str], Sequence[str]], k: int = 4, role: str = "judge", tokens: int = 200
) -> RolloutGenerator:
    """The best of k answers as the policy itself judges them, step by step: Self-PRM (arXiv 2505.11227, section 5). Of equals
    the answer that most of them give, then the first. The answers are drawn at temperature 1, in evaluations too."""
    ask = Ask(with_system(task, ""), sampling=PLAIN)
    answers: list[Turn] = yield [ask] * k
    cut = [tuple(split(turn.text)) for turn in answers]
    asks = [
        Ask(
            asking(task, turn.text, judgement.STEPS, steps=dict(enumerate(steps, 1))),
            role=role,
            max_tokens=tokens,
            sampling=GREEDY,
        )
        for turn, steps in zip(answers, cut)
    ]
    judged = yield asks
    said = [final_answer(task, turn.text)[0] for turn in answers]
    worth = [(rating(turn.text, len(steps)), said.count(s)) for turn, steps, s in zip(judged, cut, said)]
    return answers[max(range(k), key=lambda i: (*worth[i], -i))]


def co_evolved(task: Task, tokens: int = 16) -> RolloutGenerator:
    """Two answers; whether the first is right; which of them is better; and the first mended, where the verifier finds it
    wrong. Each is a conversation of its own and is learnt from: policy and reward in one model. `verify.co_evolved` credits
    them. Source: SPARK, arXiv 2509.22624, section 3.
    """
    ask = Ask(with_system(task, ""))
    if task.split != "train":
        return (yield ask)
    first, second = yield [ask, ask]
    point, pair = yield [
        Ask(asking(task, first.text, judgement.RIGHT), max_tokens=tokens),
        Ask(asking(task, first.text, PAIR, **{"answer B": second.text}), max_tokens=tokens),
    ]
    known: Verdict = yield Check(task, first.text)
    if known.outcome in ("correct", "unscorable"):
        return second, point, pair, first
    return second, point, pair, (yield Ask(({"role": "user", "content": REFLECT},), after=first))


def ticked_again(task: Task, most: int = 5, role: str = "judge", tokens: int = 200) -> RolloutGenerator:
    """An answer, a checklist for the question that is blind to it, what of it is not met, and a second answer that is told:
    STICK (arXiv 2410.03608, section 5). Where all is met, or nothing can be read, the first answer stands."""
    first = yield Ask(with_system(task, ""))
    listed = yield Ask(asking(task, "", judgement.CHECKLIST.format(most=most)), role=role, max_tokens=tokens, sampling=GREEDY)
    questions = read_list(listed.text, most)
    if not questions:
        return first
    turns = yield [
        Ask(asking(task, first.text, judgement.TICK.format(question=q)), role=role, max_tokens=16, sampling=GREEDY)
        for q in questions
    ]
    missing = [q for q, turn in zip(questions, turns) if read_yes(turn.text) is False]
    if not missing:
        return first
    told: Message = {"role": "user", "content": AGAIN.format(missing="\n".join(f"- {q}" for q in missing))}
    return (yield Ask((told,), after=first))
