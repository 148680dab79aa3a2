"""Generators run side by side: what they yield at the same time is answered in batches, by kind and by role.

1. Programs and environments are started first; then each role answers all that it is asked in one batch, the student first;
   then what was started is waited for, each until its own deadline. Where many were started, the last few that take far longer
   than the others are gone on without, and taken up again when they come.
2. A generator goes on as soon as all that it asked for has come, while others are still generated for.
3. What fails on our side is raised in the generator as `Failed`. A generator that raises costs only itself. A UserError passes
   through: it is about the run, not about one generator.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import groupby
from typing import Any

import numpy as np

from sharpen.core import (
    Act,
    Ask,
    Check,
    Ended,
    Failed,
    Ledger,
    Measure,
    Rollout,
    RolloutGenerator,
    Run,
    Sampling,
    Score,
    Searched,
    Span,
    Speaker,
    Spending,
    Task,
    Turn,
    UserError,
)
from sharpen.hashing import derive
from sharpen.recipe import asked_for
from sharpen.rollouts.answers import Pending, awaited, first, measure, score, started
from sharpen.rollouts.asking import UNTOLD, Asking, asked
from sharpen.verify import Judges, verify

NOTHING = np.zeros(0)
Roles = Mapping[str, Any]  # a Speaker, or what scores
Checks = Callable[[str, Check], Callable[[], Any]]  # begins a verdict under a key; what is returned waits for it
Late = dict[tuple[int, int], Pending]  # by generator and place in its list


@dataclass
class Going:
    """A generator and what it has come to. `turns` are all that anybody said to it, `spent` what that cost."""

    generator: Generator[Any, Any, Any]
    id: str
    seed: int  # of its first turn
    turns: list[Turn] = field(default_factory=list)
    wanted: Any = None  # what it waits for
    answers: dict[int, Any] = field(default_factory=dict)
    spent: Spending = field(default_factory=Spending)
    since: float = 0.0  # when it began to wait

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
    spending: Sequence[Spending] | None = None,
    checks: Checks | None = None,
) -> None:
    """Run every generator to its end; `complete(i, what is known of it, what it returned, or the exception it raised)`.

    Generator i samples with derive(seed, ids[i], number of the turn), so a result does not depend on its neighbours. A turn
    that goes on as if it had never been interrupted keeps its own seed.

    spending  where what each costs is added up, so that it can read it on its way
    """
    roles, ledgers = roles or {}, spending or [Spending() for _ in generators]
    going = [Going(g, own, derive(seed, own, 0), spent=spent) for g, own, spent in zip(generators, ids, ledgers, strict=True)]
    waiting: dict[int, Going] = {}

    def resume(i: int, answer: Any) -> None:
        this = going[i]
        waiting.pop(i, None)
        try:
            wish = this.generator.throw(answer) if isinstance(answer, Failed) else this.generator.send(answer)
            while wish == []:  # nothing is asked, so nothing will come
                wish = this.generator.send([])
            this.wanted, this.answers, this.since = wish, {}, time.monotonic()
            waiting[i] = this
        except StopIteration as end:
            complete(i, this, end.value)
        except UserError:
            raise
        except Exception as error:  # the one boundary where what fails becomes data
            complete(i, this, error)

    def take(i: int, n: int, answer: Any) -> None:
        """Note the answer to one event; when a generator has all that it asked for, go on with it."""
        this, events, got = going[i], going[i].events(), [answer]
        if isinstance(this.wanted, list):
            this.answers[n] = answer
            if len(this.answers) < len(events):
                return
            got = [this.answers[k] for k in range(len(events))]
        this.spent.add(cost(events, got, time.monotonic() - this.since, roles))
        this.turns += [a for a in got if isinstance(a, Turn)]
        resume(i, failed(events, got) or (got if isinstance(this.wanted, list) else answer))

    for i in range(len(going)):
        resume(i, None)
    with ExitStack() as held:
        for speaker in {id(s): s for s in (policy, *roles.values()) if hasattr(s, "remembering")}.values():
            held.enter_context(speaker.remembering())
        judges = lazily(lambda: held.enter_context(Judges(verify)))
        checks = checks or partial(judged, judges)
        in_rounds(waiting, take, partial(_round, policy, roles, take, seed, max_tokens, sampling, checks))


def in_rounds(
    waiting: Mapping[int, Going], take: Callable[[int, int, Any], None], begin: Callable[[Mapping[int, Going]], Late]
) -> None:
    """Go on until nobody waits for anything: those that can go on together, and who takes long whenever he comes."""
    late: Late = {}
    while waiting:
        busy = {i for i, _ in late}
        begun = begin({i: this for i, this in waiting.items() if i not in busy})
        late |= begun
        idle = len(waiting) - len({i for i, _ in late})  # generators that can go on now
        awaited(list(begun.values()), idle)
        if not idle:
            first(late.values())
        for i, n in sorted(late):
            if late[i, n].over:
                take(i, n, late.pop((i, n)).result())


def failed(events: Sequence[Any], got: Sequence[Any]) -> Failed | None:
    """The first failure that is to be raised where it was asked for: not that of an event that may fail."""
    return next((a for e, a in zip(events, got) if isinstance(a, Failed) and not getattr(e, "may_fail", False)), None)


def _round(
    policy: Speaker,
    roles: Roles,
    take: Callable[[int, int, Any], None],
    seed: int,
    max_tokens: int,
    sampling: Sampling,
    checks: Checks,
    waiting: Mapping[int, Going],
) -> Late:
    """Answer all that is waited for now, but what is done elsewhere: that is begun, and comes back by generator and place."""
    asks: dict[str, list[tuple[int, int, Ask, int]]] = {"": []}  # by role: generator, place in its list, ask, seed
    measures: dict[tuple[str, type], list[tuple[int, int, Any]]] = {}
    outside: Late = {}
    verdicts = []
    for i, this in waiting.items():
        said = len(this.turns)
        for n, event in enumerate(this.events()):
            if isinstance(event, Ask):
                fresh = derive(seed, this.id, said) if said else this.seed
                asks.setdefault(event.role, []).append((i, n, bound(event, policy, roles), resumed(event) or fresh))
                said += 1
            elif isinstance(event, Run | Act):
                outside[i, n] = started(event)
            elif isinstance(event, Measure | Score):
                measures.setdefault((event.role, type(event)), []).append((i, n, event))
            elif isinstance(event, Check):
                verdicts.append((i, n, checks(f"{this.id}.{said}.{n}", event)))
            else:
                outside[i, n] = no_event(event)
    for role, listed in asks.items():
        answer(whose(role, policy, roles), listed, take, waiting, max_tokens, sampling)
    for (role, kind), wanted in measures.items():
        say = measure if kind is Measure else score
        found = say(whose(role, policy, roles), [event for _, _, event in wanted])
        for (i, n, _), values in zip(wanted, found, strict=True):
            take(i, n, values)
    for i, n, finish in verdicts:
        take(i, n, finish())
    return outside


def no_event(event: Any) -> Pending:
    """What came of something that is no event."""
    future: Future[Any] = Future()
    future.set_exception(Failed(f"{event!r:.200} is no Ask, Run, Act, Measure, Score or Check, nor a list of them"))
    return Pending(event, future, 0.0, 0.0)


def lazily(make: Callable[[], Any]) -> Callable[[], Any]:
    """What `make` makes, when it is first asked for, and the same from then on."""
    return lru_cache(maxsize=1)(make)


def judged(judges: Callable[[], Judges], key: str, event: Check) -> Callable[[], Any]:
    """Hand an answer over to be judged; what is returned waits for the verdict. One that nobody can give is Failed."""
    judges().submit(key, event.task, event.response)

    def finish() -> Any:
        verdict = judges().take(key)[0]
        return Failed(f"no verdict: {verdict.feedback}") if verdict.reward is None else verdict

    return finish


def bound(ask: Ask, policy: Speaker, roles: Roles) -> Ask:
    """The ask, its hook's roles with who stands behind them."""
    if ask.hook is None or not any(one.role for one in ask.hook.beside):
        return ask
    beside = tuple(replace(one, speaker=whose(one.role, policy, roles)) if one.role else one for one in ask.hook.beside)
    return replace(ask, hook=replace(ask.hook, beside=beside))


def resumed(ask: Ask) -> int:
    """The seed of a turn that goes on as if it had never been interrupted; 0: there is none."""
    return ask.after.drawn[0] if ask.after and ask.goes_on and not ask.insert and ask.cut is None else 0


def cost(events: Sequence[Any], got: Sequence[Any], seconds: float, roles: Roles) -> Ledger:
    """What the answers to these events cost, which came together."""
    sampled = read = calls = runs = 0
    money = 0.0
    for event, answer in zip(events, got, strict=True):
        if isinstance(event, Ask) and isinstance(answer, Turn) and answer.stop != "forced":
            own = answer.spans[-1] if answer.spans else None
            new = own.stop - own.start if own else 0
            before = len(answer.tokens) - new
            sampled, read, calls = sampled + new, read + before, calls + 1
            if event.role:
                asked, wrote = getattr(roles.get(event.role), "price", (0.0, 0.0))
                money += (asked * before + wrote * new) / 1e6
        runs += isinstance(event, Run | Act)
    return Ledger(sampled, read, calls, runs, seconds, money)


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

    def done(place: int, turn: Turn) -> bool:
        i, n, ask, _ = listed[place]
        who = f"the role {ask.role!r}" if ask.role else "the student"
        take(i, n, Failed(f"{who} gave no answer: {turn.text}") if turn.stop == "failed" else spanned(ask, turn, placed[place]))
        return i in waiting and any(follows(event, turn) for event in waiting[i].events())

    policy.respond([ask for _, _, ask, _ in listed], [s for _, _, _, s in listed], max_tokens, sampling, done)


def follows(event: Any, turn: Turn) -> bool:
    """Whether this is the next turn of that conversation, or what is done before it."""
    return (
        isinstance(event, Run | Act) or isinstance(event, Ask) and event.after is not None and event.after.tokens is turn.tokens
    )


def spanned(ask: Ask, turn: Turn, number: int) -> Turn:
    """The turn with its spans: those of the turn that it continues, and its own."""
    begin = 0
    before: tuple[Span, ...] = ()
    if ask.after:
        begin = ask.cut if ask.cut is not None else len(ask.after.tokens)
        if begin and (len(turn.tokens) < begin or turn.tokens[begin - 1] != ask.after.tokens[begin - 1]):
            begin -= 1  # the mark that ended the turn before was taken back, so that the turn goes on
        left = [span for span in ask.after.spans if span.start < begin]
        before = tuple(span if span.stop <= begin else replace(span, stop=begin) for span in left)
    new, end = turn.sampled[begin:], len(turn.tokens)
    first_drawn = int(new.argmax()) if len(new) else 0
    start = begin + first_drawn if len(new) and new[first_drawn] else end
    own = Span(start, end, ask.role, turn.version, number, turn.stop == "forced")
    # Thousands a step: `replace` takes three times as long.
    said = turn.text, turn.tokens, turn.sampled, turn.logprobs, turn.stop, turn.version
    return Turn(*said, (*before, own), turn.begin, turn.whole, turn.drawn)


def whose(role: str, policy: Speaker, roles: Roles) -> Speaker:
    """The policy behind a role's name. UserError where nobody stands behind it."""
    if role and role not in roles:
        raise UserError(f"a rollout asks the role {role!r}, which the recipe does not name. Add Role({role!r}) to its roles.")
    return roles[role] if role else policy


def drive(
    policy: Speaker,
    rollout: Callable[..., RolloutGenerator],
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

    spending = [Spending() for _ in tasks]
    asks = asked_for(rollout)
    late = [dict(ledger=spent, place=place) for spent, place in zip(spending, places(tasks), strict=True)] if asks else []
    named = [{k: v for k, v in own.items() if k in asks} for own in late] or [{}] * len(tasks)
    begun = [rollout(task, **own) for task, own in zip(tasks, named, strict=True)]
    generators = [asked(one, task, asking) for one, task in zip(begun, tasks, strict=True)]
    settings: dict[str, Any] = dict(seed=seed, max_tokens=max_tokens, sampling=sampling, roles=roles, spending=spending)
    perform(policy, generators, ids, complete, **settings)
    return [done[i] for i in range(len(tasks))]


def places(tasks: Sequence[Task]) -> list[tuple[int, int]]:
    """For each rollout which of its task's it is, from 0, and how many these are: those that stand side by side."""
    runs = [len(list(same)) for _, same in groupby(tasks, key=id)]
    return [(i, n) for n in runs for i in range(n)]


def record(task: Task, this: Going, returned: Turn | tuple[Turn, ...] | Searched | Ended) -> Rollout:
    """The rollout of what a generator returned: its last turn is judged, the others are learnt from beside it, and each
    conversation of a role is kept. A turn that was chosen among several, or put together of parts, is judged as a whole."""
    if len(this.turns) == 1 and returned is this.turns[0] and not returned.author:  # nearly always: one question, one answer
        arrays = returned.tokens, returned.sampled, returned.logprobs
        said = (returned.text,), returned.stop, returned.version
        return Rollout(task, *arrays, *said, this.seed, this.id, None, returned.spans, (), this.spent.now)
    by = returned.by if isinstance(returned, Ended) else None
    branches = returned.branches if isinstance(returned, Searched) else ()
    chosen = returned.turn if isinstance(returned, Searched) else returned.turns if isinstance(returned, Ended) else returned
    *more, last = chosen if isinstance(chosen, tuple) else (chosen,)
    own = [turn for turn in this.turns if not turn.author]
    texts = tuple(turn.text for turn in own)
    if by is None and not last.author and (not own or last is not own[-1]):
        texts = (*texts, last.text)
    arrays = last.tokens, last.sampled, last.logprobs
    others = (*more, *conversations([turn for turn in this.turns if turn.author]))
    made = Rollout(task, *arrays, texts, last.stop, last.version, this.seed, this.id, None, last.spans, others, this.spent.now)
    return replace(made, branches=branches, by=by) if branches or by is not None else made


def conversations(turns: Sequence[Turn]) -> list[Turn]:
    """Of turns, those that no later one goes on from: a conversation is kept once, whole."""
    return [
        turn
        for k, turn in enumerate(turns)
        if not any(later.spans[: len(turn.spans)] == turn.spans and later.spans != turn.spans for later in turns[k + 1 :])
    ]
