"""Growth between two rounds: ask the grower, screen what it returns, try it, add what can teach, and record all of it.

1. It happens at the end of a round, once its weights are kept or gone back from, and is committed with the round.
2. What a grower does wrong is data: it raises, returns nothing, or what the screen refuses; it is counted by reason in the
   table `refusals`, said, and costs the run nothing else.
3. What is added is a row of `tasks` and of `grown`. All that a round of growth reads (the round's failures, what was met, what
   has grown) is a function of the store, so that a run that is resumed grows the same.
4. What the grower diagnosed is kept in `weaknesses`, proposals whose labels are in dispute in `disputes`. A label that it
   repairs is a row of `repairs`: from then on the source draws the mended task in place of the other, or another one. What
   people say of either is taken in here too (deciding.py).

From failure to batch, by SQL:

    SELECT f.id AS failure, t.id AS task, b.step AS batch FROM tasks t JOIN grown g ON g.task = t.id
    JOIN json_each(t.parents) p JOIN rollouts f ON f.task = p.value AND f.purpose = 'train'
    JOIN verdicts v ON v.rollout = f.id AND v.reward < 1
    JOIN rollouts r ON r.task = t.id AND r.purpose = 'train' JOIN batches b ON b.rollout = r.id
"""

from __future__ import annotations

import json
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sharpen import rollouts
from sharpen.core import GrowthGenerator, Sample, Task, TaskSource, UserError, growth
from sharpen.curriculum import trainable
from sharpen.data import diagnose, screen
from sharpen.guard import doctor
from sharpen.hashing import derive
from sharpen.loop import deciding
from sharpen.loop.offers import Moment
from sharpen.recipe import Recipe, describe
from sharpen.store import Store
from sharpen.store import growth as stored
from sharpen.tasks import with_grown
from sharpen.verify import Judges

if TYPE_CHECKING:
    from sharpen.loop.session import Run

LOOKED_AT = 16  # times grow_limit: proposals that the screen looks at in a round
SHOWN = 16  # failures of a weakness that are kept with it
HOPELESS = 3  # answers on which the verifier gives up (UserError), after which it is asked about no other


@dataclass
class Grown:
    """The source of a run, and what has grown beside it. Nothing but the source where the recipe grows nothing."""

    base: TaskSource
    wanted: bool
    source: TaskSource
    tasks: list[Task] = field(default_factory=list)
    made: dict[str, Task] = field(default_factory=dict)  # every task that was tried, by id
    tokens: int = 0  # generated for trying tasks
    failed: deque[Sample] = field(default_factory=lambda: deque(maxlen=growth.FAILED))  # of this round
    seen: deque[Sample] = field(default_factory=lambda: deque(maxlen=growth.SEEN))  # judged in this round
    tried: dict[str, str] = field(default_factory=dict)  # id of each training task that was tried -> signature
    known: screen.Known | None = None  # made when it is first needed
    repairs: dict[str, Task | None] = field(default_factory=dict)  # by id: what is drawn in place of a training task
    disputed: set[str] = field(default_factory=set)  # ids of the proposals whose labels are in dispute
    places: int = 0  # rows of repairs so far
    ruled: set[str] = field(default_factory=set)  # what people said of labels and was taken in: dispute-ID, repair-ID

    def observe(self, samples: Iterable[Sample]) -> None:
        """Take in a step's judged samples."""
        for sample in samples if self.wanted else ():
            task = sample.rollout.task
            if task.id not in self.tried:
                self.tried[task.id] = screen.signature(screen.text(task))
            if sample.verdict.reward is not None:
                self.seen.append(sample)
                if not sample.verdict.correct:
                    self.failed.append(sample)

    def add(self, tasks: Sequence[Task], repairs: Mapping[str, Task | None] | None = None) -> None:
        self.tasks += tasks
        self.repairs.update(repairs or {})
        self.source = with_grown(self.base, self.tasks, self.repairs)

    def close(self) -> None:
        """The round is over."""
        self.failed.clear()
        self.seen.clear()


def begin(recipes: Sequence[Recipe], source: TaskSource, store: Store, since: int = 0) -> Grown:
    """As of the last commit, of a run whose stages have these recipes, the present of which began after round `since`."""
    grown = Grown(source, any(recipe.grow is not growth.nothing for recipe in recipes), source)
    if grown.wanted:
        grown.add([task for _, task in stored.grown(store)], stored.repairs(store))
        grown.made.update((task.id, task) for task in stored.tasks(store, "t.operator <> ''"))
        grown.disputed.update(id for (id,) in store.rows("SELECT task FROM disputes"))
        grown.ruled.update(id for (id,) in store.rows("SELECT id FROM asked"))
        (grown.places,) = store.rows("SELECT count(*) FROM repairs")[0]
        (grown.tokens,) = store.rows(
            "SELECT coalesce(sum(n_sampled), 0) FROM rollouts WHERE purpose = 'grow' AND round > ?", [since]
        )[0]
    return grown


def recall(this: Run, number: int) -> None:
    """What this round has failed, and all rounds have met, as of the last commit."""
    if this.grown.wanted:
        met = stored.tasks(this.store, "t.id IN (SELECT task FROM rollouts WHERE purpose IN ('train', 'warmup'))")
        this.grown.tried.update((task.id, screen.signature(screen.text(task))) for task in met)
        this.grown.observe(this.store.read_rollouts("train", round=number))


def grow(this: Run, step: int, number: int, spent: float) -> doctor.Diagnosis | None:
    """The growth that follows a round, and what the doctor says of who wrote. `spent` is the share of the budget used; once it
    is 1, nothing is grown for nobody."""
    grows = this.recipe.grow is not growth.nothing
    said = deciding.said(this) if this.grown.wanted and spent < 1 else deciding.Said()
    if spent >= 1 or not (grows or said):
        return None
    refusals = screen.Refusals()
    with this.timed("grow", step):
        deciding.settle(this, said, lambda listed: checked(this.recipe, listed, refusals))
        found = Found.of(proposed(this, step, number, spent, refusals) if grows else (), refusals)
        mended = repaired(this, found.repairs, refusals)
        candidates = screened(this, [*said.proposals, *found.proposals], refusals)
    added = tried(this, step, number, candidates, refusals)
    with this.timed("grow", step):
        record(this, number, found, mended, added, refusals)
        tasks = [task for task, _, _ in added]
        deciding.record(this, step, number, said, tasks)
        this.grown.add(tasks, {item.task.id: task for item, task in mended})
        this.state.grow(this.grown.source, tasks)
        this.grown.close()
    say(this, number, tasks, refusals, found, mended)
    refused = {**refusals.n, diagnose.TOO_FEW: 0}  # that is no proposal
    return doctor.growth_fails(len(tasks) + sum(refused.values()), refused)


@dataclass
class Found:
    """What a grower returned, by what it is."""

    proposals: list[Any] = field(default_factory=list)
    weaknesses: list[growth.Weakness] = field(default_factory=list)
    repairs: list[growth.Repair] = field(default_factory=list)
    disputes: dict[str, growth.Refused] = field(default_factory=dict)  # by the task's id

    @classmethod
    def of(cls, returned: Sequence[Any], refusals: screen.Refusals) -> Found:
        found = cls()
        for item in returned:
            if isinstance(item, growth.Weakness):
                found.weaknesses.append(item)
            elif isinstance(item, growth.Repair):
                found.repairs.append(item)
            elif isinstance(item, growth.Refused):
                refusals.add(item.reason, item.example)
                if item.task is not None and (task := screen.plain(item.task)) is not None:
                    found.disputes.setdefault(task.id, replace(item, task=task))
            else:
                found.proposals.append(item)
        return found


def record(
    this: Run,
    number: int,
    found: Found,
    mended: Sequence[tuple[growth.Repair, Task | None]],
    added: Sequence[tuple[Task, int, int]],
    refusals: screen.Refusals,
) -> None:
    """Rows for the commit that comes."""
    store, first = this.store, len(this.grown.tasks)
    store.add_tasks([task for task, _, _ in added])
    store.add_rows("grown", ((first + i, number, task.id, n, k) for i, (task, n, k) in enumerate(added)))
    store.add_rows("refusals", ((number, why, n, refusals.example[why]) for why, n in sorted(refusals.n.items())))
    weak = enumerate(found.weaknesses)
    shown = [json.dumps([s.rollout.id for s in w.samples[:SHOWN]]) for w in found.weaknesses]
    store.add_rows("weaknesses", ((number, i, w.name, w.kind, w.failed, w.n, w.low, w.high, shown[i]) for i, w in weak))
    store.add_tasks([task for _, task in mended if task is not None])
    place, this.grown.places = this.grown.places, this.grown.places + len(mended)
    store.add_rows(
        "repairs",
        (
            (place + i, number, item.task.id, task.id if task else None, item.kind, item.reason)
            for i, (item, task) in enumerate(mended)
        ),
    )
    new = {id: item for id, item in found.disputes.items() if id not in this.grown.disputed}
    this.grown.disputed.update(new)
    store.add_tasks([item.task for item in new.values() if item.task is not None])
    store.add_rows("disputes", ((number, id, item.reason, item.example[:2000]) for id, item in new.items()))


def repaired(this: Run, repairs: Sequence[growth.Repair], refusals: screen.Refusals) -> list[tuple[growth.Repair, Task | None]]:
    """What is drawn in place of each training task: the task with the new label, where its verifier accepts that, or None.

    Of a task that was not tried in training, or was repaired before, nothing is repaired.
    """
    found: dict[str, tuple[growth.Repair, Task | None]] = {}
    wanted: dict[str, tuple[growth.Repair, Task]] = {}
    for item in repairs:
        task = item.task
        settled = task.id in this.grown.repairs or f"repair-{task.id}" in this.grown.ruled
        if task.id not in this.grown.tried or task.split != "train" or settled or task.id in found:
            refusals.add(screen.NOT_OURS, screen.text(task))
        elif item.answer is None and item.solution is None:
            found[task.id] = item, None
        else:
            new = replace(task, answer=task.answer if item.answer is None else item.answer, solution=item.solution)
            made = screen.plain(replace(new, parents=(task.id,), operator=item.kind))
            if made is None or made.id in this.grown.repairs or (item.answer is not None and made.id == task.id):
                refusals.add(screen.NO_TASK, f"{item.answer!r:.200}")
            else:
                wanted[made.id] = item, made
    for task in checked(this.recipe, [task for _, task in wanted.values()], refusals):
        item, _ = wanted[task.id]
        found.setdefault(item.task.id, (item, task))
    return list(found.values())


def proposed(this: Run, step: int, number: int, spent: float, refusals: screen.Refusals) -> Sequence[Any]:
    """What the grower returns, as a list; what it raises instead is a refusal."""
    rng = np.random.default_rng(derive(this.seed, step, "grow"))
    arms = trainable(this.grown.source)
    found: list[Any] = []

    def complete(i: int, grower: Any, value: Any) -> None:
        found.append(value)

    moment = Moment(this, step, number, spent)
    failed = list(this.grown.failed)
    grower = within(lambda: moment.ask("grow", failed, arms, rng))
    settings: dict[str, Any] = dict(max_tokens=this.recipe.max_tokens, sampling=this.recipe.sampling, roles=this.roles)
    rollouts.perform(this.policy, [grower], [f"grow.{number:05d}"], complete, seed=this.seed, **settings)
    (value,) = found
    if isinstance(value, Exception):
        refusals.add(screen.RAISED, "".join(traceback.format_exception(value, limit=-3)))
        return ()
    if not isinstance(value, list | tuple):
        refusals.add(screen.NO_LIST, f"{describe(this.recipe.grow)} returned {type(value).__name__}")
        return ()
    moment.adopt()
    return value


def within(begin: Callable[[], GrowthGenerator]) -> GrowthGenerator:
    """The grower; a UserError that it raises is one of its failures, and not about the run."""
    try:
        return (yield from begin())
    except UserError as error:
        raise RuntimeError(str(error)) from error


def screened(this: Run, proposals: Sequence[Any], refusals: screen.Refusals) -> list[Task]:
    """At most grow_limit of the proposals: those that pass the screen and whose verifier accepts their own answer."""
    if not proposals:
        return []
    grown, limit = this.grown, this.recipe.grow_limit
    if grown.known is None:
        measured = [task for arms in this.held_out.values() for listed in arms.values() for task in listed]
        grown.known = screen.known(grown.base, measured, this.seed)
        if grown.known.beyond:
            this.progress.say(f"of the held-out tasks {grown.known.beyond:,} that are not measured are unknown to the screen")
    grown.known.met.update(grown.tried.values(), (screen.signature(screen.text(task)) for task in grown.tasks))
    grown.known.ids.update(grown.tried, (task.id for task in grown.tasks))
    failed = {sample.rollout.task.id: sample.rollout.task for sample in grown.failed}
    grown.known.recent.clear()
    grown.known.recent.extend([*failed.values(), *grown.tasks])
    left = screen.sift(proposals, grown.known, refusals, LOOKED_AT * limit)
    accepted: list[Task] = []
    while left and len(accepted) < limit:
        portion, left = left[:limit], left[limit:]
        accepted += checked(this.recipe, portion, refusals)
    beyond = [*accepted[limit:], *left]
    if beyond:
        refusals.add(screen.BEYOND, screen.text(beyond[0]), len(beyond))
    return [grown.made.setdefault(task.id, task) for task in accepted[:limit]]


def checked(recipe: Recipe, listed: Sequence[Task], refusals: screen.Refusals) -> list[Task]:
    """The tasks whose verifier accepts their own answer and worked solution, and not an empty answer.

    A verifier that gives up on a task (UserError: an unknown name, say) refuses that task, and the others get a new process.
    """
    good: list[Task] = []
    place, gave_up = 0, 0
    while place < len(listed):
        with Judges(recipe.verify, deadline_s=recipe.verdict_s) as judges:
            try:
                while place < len(listed):
                    reason = label_fault(judges, listed[place])
                    if reason:
                        refusals.add(reason, screen.text(listed[place]))
                    else:
                        good.append(listed[place])
                    place += 1
            except UserError as error:
                gave_up += 1
                rest = len(listed) - place if gave_up == HOPELESS else 1
                refusals.add(screen.GAVE_UP, str(error), rest)
                place += rest
    return good


def label_fault(judges: Judges, task: Task) -> str:
    """What speaks against a task's label, "" for nothing."""
    said = screen.responses(task)
    for i, response in enumerate([*said, ""]):
        judges.submit(f"{task.id}.{i}", task, response)
    *own, empty = judges.collect().values()
    if not own or any(verdict.reward is None for verdict in own):
        return screen.UNJUDGED
    if not all(verdict.correct for verdict in own):
        return screen.REFUSED
    return screen.LAX if empty.correct else ""


def tried(
    this: Run, step: int, number: int, candidates: Sequence[Task], refusals: screen.Refusals
) -> list[tuple[Task, int, int]]:
    """(task, scored rollouts, successes) of those that the policy, as it is now, solves sometimes and not always."""
    recipe, k = this.recipe, this.recipe.grow_tries
    if not k:
        return [(task, 0, 0) for task in candidates]
    listed = [(i, task) for i, task in enumerate(candidates) for _ in range(k)]
    with this.timed("generate", step):
        made = rollouts.drive(
            this.policy,
            rollouts.unaided(Moment(this, step, number, 0.0).bound("rollout")),
            [task for _, task in listed],
            [f"g{number:05d}.{i:04d}.{j % k:03d}" for j, (i, _) in enumerate(listed)],
            seed=derive(this.seed, step, "grow", "rollout"),
            max_tokens=recipe.max_tokens,
            sampling=recipe.sampling,
            finished=this.judges.begin,
            roles=this.roles,
            asking=this.asking,
        )
    with this.timed("verify", step):
        samples = this.judges.judge(made, [i for i, _ in listed])
    this.store.add_samples("grow", step, number, samples)
    this.grown.tokens += sum(s.rollout.n_sampled for s in samples)
    scored = Counter(s.group for s in samples if s.verdict.reward is not None)
    right = Counter(s.group for s in samples if s.verdict.correct)
    good = []
    for i, task in enumerate(candidates):
        if reason := screen.hopeful(right[i], scored[i], recipe.grow_low, recipe.grow_high):
            refusals.add(reason, screen.text(task))
        else:
            good.append((task, scored[i], right[i]))
    return good


def say(
    this: Run,
    number: int,
    tasks: Sequence[Task],
    refusals: screen.Refusals,
    found: Found,
    mended: Sequence[tuple[growth.Repair, Task | None]],
) -> None:
    """One line for what grew, was repaired and was refused; of a grower that raised, what it said."""
    arms = Counter(task.arm for task in tasks)
    new = ", ".join(f"{arm} {n}" for arm, n in sorted(arms.items())[:6]) + (", …" if len(arms) > 6 else "")
    why = ", ".join(f"{reason} {n}" for reason, n in sorted(refusals.n.items()) if reason != screen.RAISED)
    worst = ", ".join(f"{w.name} {w.rate:.0%} of {w.n}" for w in found.weaknesses[:3])
    kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(Counter(item.kind for item, _ in mended).items()))
    said = f"round {number}: {len(tasks)} tasks grown{f' ({new})' if new else ''}{f'; refused: {why}' if why else ''}"
    said += f"; fails most: {worst}" * bool(worst) + f"; labels: {kinds}" * bool(kinds)
    if raised := refusals.example.get(screen.RAISED):
        said += f"; grow={describe(this.recipe.grow)} raised {raised.strip().splitlines()[-1]} (traceback: table refusals)"
    elif not tasks and not why and not kinds:
        said += f"; grow={describe(this.recipe.grow)} returned none"
    this.progress.say(said)
