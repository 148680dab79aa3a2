"""Generators run side by side: what they yield at the same time is answered in batches, by kind and by role.

1. Programs and environments are started first, in threads of their own; then each role answers all that it is asked in one
   batch, the student first; then what was started is waited for, each until its own deadline.
2. A generator goes on as soon as all that it asked for has come, while others are still generated for.
3. What fails on our side is raised in the generator as `Failed`. A generator that raises costs only itself. A UserError passes
   through: it is about the run, not about one generator.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from sharpen.core import (
    Act,
    Ask,
    Failed,
    Measure,
    Rollout,
    RolloutGenerator,
    Run,
    Sampling,
    Span,
    Speaker,
    Task,
    Turn,
    UserError,
)
from sharpen.hashing import derive
from sharpen.rollouts.answers import act, measure, run, started
from sharpen.rollouts.asking import UNTOLD, Asking, asked

NOTHING = np.zeros(0)
Roles = Mapping[str, Speaker]


@dataclass
class Going:
    """A generator and what it has come to. `turns` are all that anybody said to it."""

    generator: Generator[Any, Any, Any]
    id: str
    seed: int  # of its first turn
    turns: list[Turn] = field(default_factory=list)
    wanted: Any = None  # what it waits for
    answers: dict[int, Any] = field(default_factory=dict)

    def events(self) -> list[Any]:
        return self.wanted if isinstance(self.wanted, list) else [self.wanted]


def perform(
    policy: Speaker,
    generators: Sequence[Generator[Any, Any, Any]],
    ids: Sequence[str],
    complete: Callable[[int, Going, Any], None],
    *,
    seed: int,
    max_tokens: int,
    sampling: Sampling,
    roles: Roles | None = None,
) -> None:
    """Run every generator to its end; `complete(i, what is known of it, what it returned, or the exception it raised)`.

    Generator i samples with derive(seed, ids[i], number of the turn), so a result does not depend on its neighbours.
    """
    going = [Going(generator, id, derive(seed, id, 0)) for generator, id in zip(generators, ids, strict=True)]
    waiting: dict[int, Going] = {}

    def resume(i: int, answer: Any) -> None:
        this = going[i]
        waiting.pop(i, None)
        try:
            wish = this.generator.throw(answer) if isinstance(answer, Failed) else this.generator.send(answer)
            while wish == []:  # nothing is asked, so nothing will come
                wish = this.generator.send([])
            this.wanted, this.answers = wish, {}
            waiting[i] = this
        except StopIteration as end:
            complete(i, this, end.value)
        except UserError:
            raise
        except Exception as error:  # the one boundary where what fails becomes data
            complete(i, this, error)

    def take(i: int, n: int, answer: Any) -> None:
        """Note the answer to one event; when a generator has all that it asked for, go on with it."""
        this = going[i]
        this.answers[n] = answer
        events = this.events()
        if len(this.answers) == len(events):
            got = [this.answers[k] for k in range(len(events))]
            this.turns += [a for a in got if isinstance(a, Turn)]
            failed = next((a for a, e in zip(got, events) if isinstance(a, Failed) and not getattr(e, "may_fail", False)), None)
            resume(i, failed if failed else got if isinstance(this.wanted, list) else got[0])

    for i in range(len(going)):
        resume(i, None)
    while waiting:
        _round(policy, roles or {}, dict(waiting), take, seed, max_tokens, sampling)


def _round(
    policy: Speaker,
    roles: Roles,
    waiting: Mapping[int, Going],
    take: Callable[[int, int, Any], None],
    seed: int,
    max_tokens: int,
    sampling: Sampling,
) -> None:
    """Answer all that is waited for now."""
    asks: dict[str, list[tuple[int, int, Ask, int]]] = {"": []}  # by role: generator, place in its list, ask, seed
    measures: dict[str, list[tuple[int, int, Measure]]] = {}
    outside = []
    for i, this in waiting.items():
        said = len(this.turns)
        for n, event in enumerate(this.events()):
            if isinstance(event, Ask):
                asks.setdefault(event.role, []).append((i, n, event, derive(seed, this.id, said) if said else this.seed))
                said += 1
            elif isinstance(event, Run | Act):
                outside.append((i, n, started(event, run if isinstance(event, Run) else act)))
            elif isinstance(event, Measure):
                measures.setdefault(event.role, []).append((i, n, event))
            else:
                outside.append((i, n, partial(Failed, f"{event!r:.200} is no Ask, Run, Act or Measure, nor a list of them")))
    for role, listed in asks.items():
        answer(whose(role, policy, roles), listed, take, waiting, max_tokens, sampling)
    for role, wanted in measures.items():
        found = measure(whose(role, policy, roles), [event for _, _, event in wanted])
        for (i, n, _), values in zip(wanted, found, strict=True):
            take(i, n, values)
    for i, n, finish in outside:
        take(i, n, finish())


def answer(
    policy: Speaker,
    listed: Sequence[tuple[int, int, Ask, int]],
    take: Callable[[int, int, Any], None],
    waiting: Mapping[int, Going],
    max_tokens: int,
    sampling: Sampling,
) -> None:
    """Have one policy answer everything that it is asked, in one batch."""
    if not listed:
        return
    placed = {place: sum(t.author == ask.role for t in waiting[i].turns) for place, (i, _, ask, _) in enumerate(listed)}
    beside: dict[tuple[int, str], int] = {}  # several turns of one list are numbered in its order
    for place, (i, _, ask, _) in enumerate(listed):
        placed[place] += beside.get((i, ask.role), 0)
        beside[i, ask.role] = beside.get((i, ask.role), 0) + 1

    def done(place: int, turn: Turn) -> None:
        i, n, ask, _ = listed[place]
        who = f"the role {ask.role!r}" if ask.role else "the student"
        take(i, n, Failed(f"{who} gave no answer: {turn.text}") if turn.stop == "failed" else spanned(ask, turn, placed[place]))

    policy.respond([ask for _, _, ask, _ in listed], [s for _, _, _, s in listed], max_tokens, sampling, done)


def spanned(ask: Ask, turn: Turn, number: int) -> Turn:
    """The turn with its spans: those of the turn that it continues, and its own."""
    begin = len(ask.after.tokens) if ask.after else 0
    if ask.after and turn.tokens[begin - 1] != ask.after.tokens[-1]:
        begin -= 1  # the mark that ended the turn before was taken back, so that the turn goes on
    before = tuple(replace(span, stop=min(span.stop, begin)) for span in ask.after.spans) if ask.after else ()
    new, end = turn.sampled[begin:], len(turn.tokens)
    start = begin + int(new.argmax()) if new.any() else end
    own = Span(start, end, ask.role, turn.version, number, turn.stop == "forced")
    # Thousands a step: `replace` takes three times as long.
    return Turn(turn.text, turn.tokens, turn.sampled, turn.logprobs, turn.stop, turn.version, (*before, own))


def whose(role: str, policy: Speaker, roles: Roles) -> Speaker:
    """The policy behind a role's name. UserError where nobody stands behind it."""
    if role and role not in roles:
        raise UserError(f"a rollout asks the role {role!r}, which the recipe does not name. Add Role({role!r}) to its roles.")
    return roles[role] if role else policy


def drive(
    policy: Speaker,
    rollout: Callable[[Task], RolloutGenerator],
    tasks: Sequence[Task],
    ids: Sequence[str],
    *,
    seed: int,
    max_tokens: int,
    sampling: Sampling,
    finished: Callable[[int, Rollout], None] | None = None,
    roles: Roles | None = None,
    asking: Asking = UNTOLD,
) -> list[Rollout]:
    """Run one rollout for each task; everything that is asked at the same time is generated in one batch.

    Rollout i samples with derive(seed, ids[i], number of the turn), so a result does not depend on its neighbours. A generator
    that raises becomes a rollout with stop "failed" and the error as its text, and costs only itself; `judge` makes it
    unscorable. A UserError passes through: it is about the run, not about one rollout.

    finished  is called with the number of a rollout and the rollout as soon as it is complete, while others go on, so that
              it can be judged beside them
    roles     who stands behind the roles that are asked
    asking    what the student is told beside the questions
    """
    done: dict[int, Rollout] = {}

    def complete(i: int, this: Going, returned: Any) -> None:
        if isinstance(returned, Exception):
            why = "".join(traceback.format_exception(returned, limit=-3))
            returned = Turn(why, NOTHING.astype(np.int32), NOTHING > 0, NOTHING, "failed")
            this.turns.append(returned)
        done[i] = record(tasks[i], this, returned)
        if finished:
            finished(i, done[i])

    generators = [asked(rollout(task), task, asking) for task in tasks]
    perform(policy, generators, ids, complete, seed=seed, max_tokens=max_tokens, sampling=sampling, roles=roles)
    return [done[i] for i in range(len(tasks))]


def record(task: Task, this: Going, returned: Turn | tuple[Turn, ...]) -> Rollout:
    """The rollout of what a generator returned: its last turn is judged, the others are learnt from beside it, and each
    conversation of a role is kept."""
    *more, last = returned if isinstance(returned, tuple) else (returned,)
    texts = tuple(turn.text for turn in this.turns if not turn.author)
    arrays = last.tokens, last.sampled, last.logprobs
    others = (*more, *_ends([turn for turn in this.turns if turn.author]))
    return Rollout(task, *arrays, texts, last.stop, last.version, this.seed, this.id, spans=last.spans, others=others)


def _ends(turns: Sequence[Turn]) -> list[Turn]:
    """Of turns, those that no later one goes on from: a conversation is kept once, whole."""
    return [
        turn
        for k, turn in enumerate(turns)
        if not any(later.spans[: len(turn.spans)] == turn.spans and later.spans != turn.spans for later in turns[k + 1 :])
    ]
