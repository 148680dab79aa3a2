"""Help that is there when a training task is tried and, sooner or later, gone: what is learnt, and what is measured, is
without.

    begun       the student's own answer begins with a part of the worked solution, which carries no loss
    begun_until the same, as much as the arm's success without help leaves to be wished
    shown       a hint behind the question: a part of the solution, the answer, the goals on the way, criteria
    advised     a teacher's feedback is put into the answer, and the student goes on: ThinkTuning

What is shown is learnt from in one of three ways (`learnt`):

    absent   as if nothing had been shown: the bare question, the very tokens that were said, and the log-probabilities that
             they have there, measured anew. So a ratio begins at 1, as in RuscaRL's release; the samples come from elsewhere
             all the same, and nothing corrects that
    ratio    the same, with the log-probabilities that they were drawn with: a ratio is the true importance ratio of student
             without to student with the hint. They count as another version's, so no mismatch is seen in them
    present  the hint stays where it was, as context

A task that is not for training is asked alone, whatever was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sharpen.core import GREEDY, Ask, Measure, RolloutGenerator, Span, Task, Turn, UserError
from sharpen.data import hints
from sharpen.hashing import derive
from sharpen.rollouts.rollout import with_system
from sharpen.rollouts.search import whole

LEARNT = ("absent", "ratio", "present")
FEEDBACK = (
    "A student was asked:\n{question}\nThe student answered:\n{answer}\n"
    "Say in one or two sentences what to check or to try differently. Do not give the answer."
)


def begun(
    task: Task,
    share: float = 0.75,
    until: float = 0.5,
    spread: bool = True,
    imitated: bool = False,
    system: str = "",
    *,
    progress: float,
    place: tuple[int, int],
) -> RolloutGenerator:
    """The first `share` of the worked solution stands at the beginning of the answer, and the student goes on.

    until     share of the budget at which it has faded to nothing
    spread    the rollouts of a task have less and less of it, the last one nothing
    imitated  what was shown is learnt from too, as a worked solution is: with a sampling log-probability of 0
    """
    strength = hints.fading(progress, until)
    part = share * (hints.graded(strength, place) if spread else strength)
    return (yield from continued(task, part, imitated, system))


def begun_until(
    task: Task,
    share: float = 0.75,
    target: float = 0.5,
    system: str = "",
    *,
    library: Mapping[str, Any],
    place: tuple[int, int],
) -> RolloutGenerator:
    """`begun`, spread over the rollouts, with as much as `hints.by_success` says; `select=hints.noting` keeps what that
    reads."""
    return (yield from continued(task, share * hints.graded(hints.by_success(library, task, target), place), False, system))


def continued(task: Task, share: float, imitated: bool, system: str) -> Generator[Any, Any, Turn]:
    """The answer, its beginning given: plainly asked where nothing can be given."""
    start = hints.beginning(task, share) if task.split == "train" else ""
    if not start:
        return (yield Ask(with_system(task, system)))
    given = yield Ask(with_system(task, system), answer=start)
    turn = yield Ask((), after=given)
    own = turn.spans[-1].start
    return whole(turn if imitated else only_from(turn, own))


def only_from(turn: Turn, start: int) -> Turn:
    """The turn, of which nothing before this token is learnt from."""
    own = turn.sampled & (np.arange(len(turn.tokens)) >= start)
    spans = tuple(span for span in turn.spans if span.start >= start)
    return replace(turn, sampled=own, logprobs=np.where(own, turn.logprobs, 0).astype(np.float32), spans=spans)


def shown(
    task: Task,
    what: str = "beginning",
    share: float = 0.75,
    until: float = 0.5,
    sharpness: float = 0.0,
    spread: bool = True,
    learnt: str = "absent",
    words: str = "",
    system: str = "",
    *,
    progress: float,
    place: tuple[int, int],
) -> RolloutGenerator:
    """A hint behind the question, `share` of it at most, that fades until the share `until` of the budget.

    what       "beginning" of the worked solution, "answer", "goals" or "rubric" (data/hints.py)
    sharpness, spread  as in `hints.fading` and `hints.graded`
    learnt     "absent", "ratio" or "present": see above. UserError for another
    words      how it is said, with {hint} in it
    """
    if learnt not in LEARNT:
        raise UserError(f"learnt={learnt!r}: a hint is learnt from in one of these ways: {', '.join(LEARNT)}.")
    strength = hints.fading(progress, until, sharpness)
    part = share * (hints.graded(strength, place) if spread else strength)
    helped = hints.hinted(task, what, part, words) if task.split == "train" else task
    turn = yield Ask(with_system(helped, system))
    return turn if helped is task or learnt == "present" else (yield from bare(task, turn, learnt == "absent", system))


def bare(task: Task, turn: Turn, anew: bool = True, system: str = "") -> Generator[Any, Any, Turn]:
    """The turn as if the task had been asked alone: the tokens that were said, behind those of the bare question.

    anew  their log-probabilities are measured there; else they stay as drawn, and count as another version's
    """
    asked = yield Ask(with_system(task, system), answer="")
    prompt, said = asked.tokens[: asked.begin], slice(turn.begin, len(turn.tokens))
    zeros = np.zeros(len(prompt))
    moved = replace(
        turn,
        tokens=np.concatenate([prompt, turn.tokens[said]]),
        sampled=np.concatenate([zeros > 0, turn.sampled[said]]),
        logprobs=np.concatenate([zeros, turn.logprobs[said]]).astype(np.float32),
        spans=tuple(
            replace(span, start=span.start - turn.begin + len(prompt), stop=span.stop - turn.begin + len(prompt))
            for span in turn.spans
        ),
        begin=len(prompt),
        version=turn.version if anew else turn.version - 1,
    )
    if not anew or not moved.sampled.any():
        return moved
    measured = yield Measure((), "", turn=moved)
    logprobs = moved.logprobs.copy()
    logprobs[moved.sampled] = measured.logprobs
    return replace(moved, logprobs=logprobs)


def share_at(progress: float, start: float, end: float, over: float, off: float) -> float:
    """Share of the rollouts that get feedback: linear from `start` to `end` over the share `over` of the budget, and 0 from
    where it is `off` or less. ThinkTuning's release: 0.1, 0.01, a third, 0.06, so of 50 steps the first eight."""
    now = start + (end - start) * min(progress / over, 1.0) if over > 0 else end
    return now if now > off else 0.0


def advised(
    task: Task,
    start: float = 0.1,
    end: float = 0.01,
    over: float = 0.32,
    off: float = 0.06,
    role: str = "teacher",
    feedback: str = FEEDBACK,
    longest: int = 96,
    system: str = "",
    *,
    progress: float,
    place: tuple[int, int],
) -> RolloutGenerator:
    """An answer; a share of them get a teacher's feedback behind it, within the same turn, and the student goes on.

    What the teacher wrote is learnt from, with a sampling log-probability of 0, which is how `hybrid.thinking` knows it.
    Source: ThinkTuning, arXiv 2508.07616.
    """
    first = yield Ask(with_system(task, system))
    share = share_at(progress, start, end, over, off) if task.split == "train" else 0.0
    if derive(0, "feedback", task.id, place[0], first.text) / 2**63 >= share:
        return first
    question = task.prompt[-1]["content"]
    said = ({"role": "user", "content": feedback.format(question=question, answer=first.text)},)
    told = yield Ask(said, role=role, max_tokens=longest, sampling=GREEDY)
    if not told.text.strip():
        return first
    turn = yield Ask((), after=first, insert=f"\n{told.text.strip()}\n")
    return whole(credited(turn))


def credited(turn: Turn) -> Turn:
    """The turn with all that was put into it learnt from, as forced words: sampling log-probability 0."""
    given = ~turn.sampled & (np.arange(len(turn.tokens)) >= turn.begin)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], given.astype(int), [0]])))
    number = turn.spans[-1].turn if turn.spans else 0
    put = [Span(int(a), int(b), "", turn.version, number, True) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    spans = tuple(sorted((*turn.spans, *put), key=lambda span: span.start))
    return replace(turn, sampled=turn.sampled | given, spans=spans)


def unfading(rollout: Callable[..., Any]) -> str:
    """What a person should know of a rollout whose hints never fade, in a sentence; "": nothing."""
    whole_of = rollout if isinstance(rollout, partial) else partial(rollout)
    if whole_of.func not in (begun, shown):
        return ""
    chosen = {"until": 0.5, "sharpness": 0.0, **whole_of.keywords}
    said = hints.unfading(float(chosen["until"]), float(chosen["sharpness"]))
    return f"{whole_of.func.__name__}: {said} (until={chosen['until']:g}); it is measured without" if said else ""
