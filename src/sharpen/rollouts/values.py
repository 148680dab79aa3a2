"""What a turn is worth, 0 to 1, as a search sees it: generators (task, turns) -> values, one for each turn.

    by_verifier    the verifier that the task names, on whole answers: it knows the right one, so on tasks that a model is
                   measured with, this is an upper bound
    by_playouts    the same, of a few continuations from here to the end: Monte Carlo
    by_steps       a function of task and text, such as one that checks each step so far; of an answer that ended, the verifier
    by_likelihood  the mean probability of the turn's own tokens as they were drawn: costs nothing
    by_certainty   how far the student is from guessing, from entropies: one pass
    by_role        a number that a role names
    by_reward      what a learnt reward model says: a role that gives scores

A value of a part of an answer is asked for as often as one of a whole; `turn.stop` says which it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from sharpen.core import GREEDY, Ask, Check, Measure, Score, Task, Turn, Verdict
from sharpen.verify import final_answer

Value = Callable[[Task, Sequence[Turn]], Generator[Any, Any, Sequence[float]]]

NUMBER = re.compile(r"\d+(?:\.\d+)?")
QUESTION = "How likely is it that this {what} is right so far? Answer with a number from 0 to 10."


def ended(turn: Turn) -> bool:
    """Whether the turn is an answer that is complete: the model ended it."""
    return turn.stop == "end"


def by_verifier(task: Task, turns: Sequence[Turn]) -> Generator[Any, Any, Sequence[float]]:
    """The reward of each answer; what has not ended is worth what the verifier makes of it as it is."""
    verdicts: list[Verdict] = yield [Check(task, turn.all_text) for turn in turns]
    return [float(verdict.reward or 0.0) for verdict in verdicts]


def by_playouts(task: Task, turns: Sequence[Turn], playouts: int = 1, longest: int | None = None) -> Generator[Any, Any, Any]:
    """The mean reward of `playouts` continuations of each turn to its end; of what has ended its own reward, once."""
    asks = [Ask((), after=t, cut=len(t.tokens), max_tokens=longest) for t in turns if not ended(t) for _ in range(playouts)]
    made = iter((yield asks) if asks else ())
    ends = [[turn] if ended(turn) else [next(made) for _ in range(playouts)] for turn in turns]
    rewards = iter((yield from by_verifier(task, [turn for own in ends for turn in own])))
    return [float(np.mean([next(rewards) for _ in own])) for own in ends]


def by_steps(task: Task, turns: Sequence[Turn], check: Callable[[Task, str], float]) -> Generator[Any, Any, Sequence[float]]:
    """`check(task, text so far)`, a function without I/O, of what goes on; the verifier's reward of what has ended, for a right
    beginning that ends is no answer."""
    whole = [turn for turn in turns if ended(turn)]
    judged = iter((yield from by_verifier(task, whole)) if whole else ())
    return [next(judged) if ended(turn) else check(task, turn.all_text) for turn in turns]


def by_likelihood(task: Task, turns: Sequence[Turn]) -> Generator[Any, Any, Sequence[float]]:
    """exp of the mean log-probability of the turn's tokens, under what they were drawn from."""
    yield from ()
    return [math.exp(np.mean(own)) if len(own := said(turn)) else 0.0 for turn in turns]


def by_certainty(task: Task, turns: Sequence[Turn]) -> Generator[Any, Any, Sequence[float]]:
    """exp(-mean entropy) of the distributions that the turn's tokens were drawn from, in nats.

    Self-certainty (arXiv 2502.18581) is the mean of KL(uniform || p) instead, which one token that cannot be drawn makes
    infinite; `verify.consensus.self_certainty` has it for groups of whole answers. Both are highest where p has one token.
    """
    measured = yield [Measure((), "", turn=turn) for turn in turns]
    return [math.exp(-float(np.mean(own.entropies))) if len(own.entropies) else 0.0 for own in measured]


def by_role(task: Task, turns: Sequence[Turn], role: str = "value", question: str = QUESTION) -> Generator[Any, Any, Any]:
    """The first number from 0 to 10 that the role names, over 10; a role that names none says 0.5."""
    asks = []
    for turn in turns:
        shown = {"role": "assistant", "content": turn.all_text}
        asked = {"role": "user", "content": question.format(what="answer" if ended(turn) else "beginning")}
        asks.append(Ask((*task.prompt, shown, asked), role=role, sampling=GREEDY, max_tokens=8))
    return [rated(answer.text) for answer in (yield asks)]


def by_reward(task: Task, turns: Sequence[Turn], role: str = "value") -> Generator[Any, Any, Sequence[float]]:
    """sigmoid of the reward model's score of the turn so far."""
    scored = yield [Score(tuple(task.prompt), (turn.all_text,), role) for turn in turns]
    return [1 / (1 + math.exp(-float(np.clip(one.values[-1], -50, 50)))) for one in scored]


def rated(text: str) -> float:
    """A number from 0 to 10 in a text, over 10."""
    found = NUMBER.search(text)
    return min(float(found.group()), 10.0) / 10 if found else 0.5


def said(turn: Turn) -> np.ndarray:
    """Log-probabilities of the tokens of the whole turn that were drawn."""
    return turn.logprobs[turn.begin :][turn.sampled[turn.begin :]]


def answer_of(task: Task, turn: Turn) -> str:
    """What counts as the turn's answer where answers vote, blind to case and spacing; "" where none can be read."""
    return " ".join(final_answer(task, turn.all_text)[0].casefold().split())
