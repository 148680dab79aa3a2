"""Attempt, feedback, attempt, …: one rollout, whose feedback and stop rules are its parameters.

What the student wrote is kept token for token, and so is what it was told, which carries no loss. The verdict is on the last
attempt, or by `verify.each_turn` on each.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

import numpy as np

from sharpen.core import Ask, Message, RolloutGenerator, Sampling, Task, Turn, shortened
from sharpen.rollouts.feedback import Feedback, Said, judged, unary
from sharpen.rollouts.rollout import again, revision, self_correct, with_system
from sharpen.verify import INSTANT, answer_of, new_answer, turns, verify

LONGEST = 2000  # characters of feedback
SPOKEN = ("words", "ask", "wrong", "right", "again")  # parameters of a feedback that hold what it says
NOTHING = np.zeros(0)


def retry(
    task: Task,
    feedback: Feedback = unary,
    attempts: int = 2,
    system: str = "",
    until_right: bool = False,
    until_same: bool = False,
    window: int = 0,
    longest: int = LONGEST,
    context: int = 0,
    shown: bool = False,
) -> RolloutGenerator:
    """Attempts until nothing more is said, at most so many; returns the last, or with `window` all of them.

    feedback     what each is answered (feedback.py)
    until_right  a right attempt ends it: the verifier is asked, so this is an oracle
    until_same   an attempt that says what the one before it said ends it: whoever changes nothing has nothing to change
    window       > 0: each attempt is asked for anew, with the question and so many of the last attempts and answers before it:
                 long episodes in a short context (RISE, arXiv 2407.18219). 0: one conversation, nothing re-read
    longest      characters of a feedback that are passed on; of a longer one the middle is left out, which is said there
    context      tokens of the conversation from which on there is no further attempt; 0: no limit
    shown        what a warm-up learns from, `rollout.revision`, where the feedback needs neither a model nor a program
    """
    if shown:
        return (yield from revision(task, partial(words_on, task, feedback=feedback, until_right=until_right), system))
    made = [(yield Ask(with_system(task, system)))]
    told: list[Said] = []
    end = made[-1]
    while len(made) < attempts and not (context and len(end.tokens) >= context):
        if until_same and turns.repeats([turn.text for turn in made]):
            break
        if until_right and (yield from judged(task, made[-1].text)).correct:
            break
        said = yield from feedback(task, made)
        if said is None:
            break
        end = said.after or made[-1]
        if said.over:
            break
        told.append(Said(shortened(said.words, longest), end))
        made.append((yield next_ask(task, system, made, told, window)))
        end = made[-1]
    return tuple(made) if window else end


def phrases(rollout: Callable[..., RolloutGenerator]) -> list[str]:
    """What `self_correct` and `retry` say between two attempts, as far as it is always the same; of words with places for
    others, such as "Step {number} is wrong", what stands around these."""
    whole = partial(rollout)
    if whole.func is self_correct:
        return [again(rollout)]
    if whole.func is not retry:
        return []
    given = partial(whole.keywords.get("feedback", unary))
    known = {n: p.default for n, p in inspect.signature(given.func).parameters.items()} | given.keywords
    texts = [text for name in SPOKEN if isinstance(text := known.get(name), str)]
    return [piece for text in texts for piece in re.split(r"\{\w+\}", text) if piece]


def words_on(task: Task, attempt: str, feedback: Feedback, until_right: bool = False) -> str | None:
    """What a feedback says of an attempt that nobody sampled; None where it would ask somebody first, or where all is said."""
    if until_right and task.verifier in INSTANT and verify(task, attempt).correct:
        return None
    steps = feedback(task, [Turn(attempt, NOTHING.astype(np.int32), NOTHING > 0, NOTHING, "forced")])
    try:
        next(steps)
    except StopIteration as end:
        return None if end.value is None or end.value.over else shortened(end.value.words, LONGEST)
    steps.close()
    return None


def next_ask(task: Task, system: str, made: Sequence[Turn], told: Sequence[Said], window: int) -> Ask:
    """The request for the next attempt: after the conversation, or after the last of it, told anew."""
    if not window:
        return Ask(({"role": "user", "content": told[-1].words},), after=told[-1].after)
    earlier: list[Message] = []
    for turn, said in list(zip(made, told))[-window:]:
        earlier += [{"role": "assistant", "content": turn.text}, {"role": "user", "content": said.words}]
    return Ask((*with_system(task, system), *earlier))


def untried(
    task: Task,
    feedback: Feedback = unary,
    attempts: int = 4,
    draws: int = 8,
    heat: float = 0.15,
    coldest: float = 0.7,
    system: str = "",
) -> RolloutGenerator:
    """`retry` with what Feedback Friction tries against models that do not take feedback in: each attempt hotter than the one
    before, and of several draws one whose answer was not given before, the first draw where all were.

    draws  of each attempt after the first; heat, coldest: the temperature is coldest + heat * attempts so far, at most 1.5.
           The paper starts at 0 and draws 25. Source: arXiv 2506.11930, and its release (process, utils)
    """
    made = [(yield Ask(with_system(task, system)))]
    given = {answer_of(task, made[0].text)}
    while len(made) < attempts:
        said = yield from feedback(task, made)
        if said is None or said.over:
            break
        hot = Sampling(temperature=min(coldest + heat * len(made), 1.5))
        ask = Ask(({"role": "user", "content": shortened(said.words, LONGEST)},), after=said.after or made[-1], sampling=hot)
        drawn = yield [ask] * max(draws, 1)
        made.append(drawn[new_answer(task, [turn.text for turn in drawn], given)])
        given.add(answer_of(task, made[-1].text))
    return made[-1]


def rethink(
    task: Task,
    mistakes: Sequence[str] = (),
    rounds: int = 1,
    ask: str = "Does this make one of these mistakes: {mistakes}? Say yes or no.",
    again: str = "Then solve it again without it.",
    system: str = "",
) -> Generator[Any, Any, Turn]:
    """Self-rethinking: the student looks for mistakes of a kind that it is shown in its own answer, and answers again where it
    finds one, at most `rounds` times. Source: arXiv 2403.20046, section 4."""
    end = turn = yield Ask(with_system(task, system))
    question = ask.format(mistakes="; ".join(mistakes) or "a wrong step, a wrong number, a misread question")
    for _ in range(rounds):
        end = yield Ask(({"role": "user", "content": question},), after=turn, max_tokens=16)
        if "yes" not in end.text.lower():
            break
        end = turn = yield Ask(({"role": "user", "content": again},), after=end)
    return end


def common(answers: Sequence[str]) -> str:
    """The answer that was given most, the first of several: majority over the turns of an episode (RISE, arXiv 2407.18219)."""
    return Counter(a for a in answers if a).most_common(1)[0][0] if any(answers) else ""
