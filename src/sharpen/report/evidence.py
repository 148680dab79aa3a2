"""What a run's store shows, read into plain data for the report.

Every sum is taken by SQL and the table of rollouts is never loaded: what a report holds in memory is O(arms x rounds + steps),
however many rollouts there are. Works while the run goes on: what is not there yet is None or empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from sharpen.core import Arm, Decision, Tally
from sharpen.estimate import Estimate, change, mean, share
from sharpen.report import calls, flows, growth, streams, users
from sharpen.report.growth import Growth
from sharpen.store import Store
from sharpen.verify import turns

Rows = Callable[..., Sequence[Any]]  # Store.rows
Skills = Mapping[Arm, Estimate | None]  # None: no task of this arm could be judged

# One row for each test task: how it went before and, where it was tried again, after. Unscorable attempts are nobody's result.
# Beside max(), SQLite takes the other columns from the row that holds the maximum.
PAIRS = """
WITH judged AS (
  SELECT r.purpose, r.task, max(r.id) AS rollout, v.outcome = 'correct' AS ok, v.outcome <> 'malformed' AS read
  FROM rollouts r JOIN verdicts v ON v.rollout = r.id
  WHERE r.purpose IN ('before', 'test') AND v.outcome <> 'unscorable' GROUP BY r.purpose, r.task),
pairs AS (
  SELECT b.task, t.family, t.level, b.rollout AS first, b.ok AS was, a.rollout AS last, a.ok AS became,
    b.read AND a.read AS both
  FROM judged b JOIN tasks t ON t.id = b.task LEFT JOIN judged a ON a.task = b.task AND a.purpose = 'test'
  WHERE b.purpose = 'before')
"""
STATES = {"better": "kept", "unclear": "unclear", "worse": "rolled back"}


@dataclass(frozen=True)
class Round:
    """One round: what the guard decided (None where it has not yet), and accuracy on the validation stream before that.

    step   the last learning step of the round; the start, with which the first round is compared, has none, nor has the round
           between two stages
    stage  the stage that the round belongs to, "" where a recipe has none; the round between two closes the earlier one
    """

    number: int
    decision: Decision | None
    accuracy: Estimate | None
    step: int | None
    stage: str = ""

    @property
    def state(self) -> str:
        """start, kept, unclear, rolled back or undecided; of a round between stages handed over or refused."""
        if self.step is None and self.number == 0:
            return "start"
        if self.step is None and self.decision is not None:
            return "handed over" if self.decision.accepted else "refused"
        return "undecided" if self.decision is None else STATES[self.decision.answer]


@dataclass(frozen=True)
class Pairs:
    """Tasks that were judged before and after: how many, of these newly solved and no longer solved, and the same three of the
    tasks whose answers could be read both times."""

    n: int = 0
    gained: int = 0
    lost: int = 0
    both: int = 0
    both_gained: int = 0
    both_lost: int = 0

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def change(self) -> Estimate | None:
        return change(self.gained, self.lost, self.n)

    @property
    def skill(self) -> Estimate | None:
        """The part of the change that is of tasks read both times."""
        return change(self.both_gained, self.both_lost, self.n)

    @property
    def form(self) -> Estimate | None:
        """The rest of it."""
        return change(self.gained - self.both_gained, self.lost - self.both_lost, self.n)


@dataclass(frozen=True)
class Evidence:
    """Everything the report says, as numbers.

    before, after  skills on the test split; empty where not evaluated
    change         for each arm, how the same tasks went before and after
    parts          the same change in parts that add up to it: "skill", of tasks whose answers could be read both times, and
                   "form", of those whose answers could not be read before, or no longer can
    answers        purpose (before, test) -> arm -> how the answers came out
    pairs          tasks tried both times: judged, newly solved, lost; and of those read both times
    rounds         those decided or evaluated
    retained       (round, accuracy) on questions that are never trained on, the start's first; empty where none were asked
    chosen         (round, arm) -> (rollouts, successes) of the learning steps
    steps          stats of the learning steps (phase loop), in order, each with `step` and `round`
    seconds        by phase
    tokens         (rollouts, sampled tokens) by purpose, without worked solutions, which are given
    outcomes       purpose (before, test) -> outcome -> number of attempts
    cut            attempts at the test split that ran out of tokens, by purpose
    attempts       purpose (before, test) -> attempts at each task, where the verdicts note them
    called         the same -> family -> calls of tools, where they count them
    met            the same -> simulated user -> share of right answers (users.py)
    stream         accuracy by task set and moment; None where the run is over no stream
    shared         test questions that are also training questions, word for word
    grown          what was diagnosed, grown, refused and repaired; empty where the recipe grows nothing
    """

    meta: Mapping[str, Any]
    finished: bool
    before: Skills
    after: Skills
    change: Skills
    parts: Mapping[str, Skills]
    pairs: Pairs
    answers: Mapping[str, Mapping[Arm, Tally]]
    rounds: Sequence[Round]
    retained: Sequence[tuple[int, Estimate]]
    chosen: Mapping[tuple[int, Arm], tuple[int, int]]
    steps: Sequence[Mapping[str, Any]]
    warmup_steps: int
    seconds: Mapping[str, float]
    sessions: int
    tokens: Mapping[str, tuple[int, int]]
    outcomes: Mapping[str, Mapping[str, int]]
    cut: Mapping[str, int]
    shared: int
    diagnoses: Sequence[Mapping[str, Any]]
    grown: Growth
    attempts: Mapping[str, Sequence[turns.Episode]]
    called: calls.Called
    met: users.Met
    stream: streams.Streamed | None = None

    @property
    def fallen(self) -> list[tuple[Arm, Estimate]]:
        """Arms that fell by more than their own paired 95 % interval explains, worst first."""
        return sorted(((a, e) for a, e in self.change.items() if e and e.high < 0), key=lambda item: item[1].value)

    @property
    def risen(self) -> list[tuple[Arm, Estimate]]:
        """Arms that rose by more than their own paired 95 % interval explains, best first."""
        return sorted(((a, e) for a, e in self.change.items() if e and e.low > 0), key=lambda item: -item[1].value)


def gather(store: Store) -> Evidence:
    """Read the evidence from a store that is open for reading."""
    rows = store.rows
    last = store.last_commit()
    steps, pairs = store.steps(), _pairs(rows)
    seconds = {r["phase"]: r["seconds"] for r in rows("SELECT phase, sum(seconds) AS seconds FROM timings GROUP BY phase")}
    outcomes: dict[str, dict[str, int]] = {}
    cut: dict[str, int] = {}
    for r in rows(
        "SELECT r.purpose, v.outcome, count(*) AS n, sum(r.stop = 'length') AS cut FROM rollouts r JOIN verdicts v"
        " ON v.rollout = r.id WHERE r.purpose IN ('before', 'test') GROUP BY 1, 2"
    ):
        outcomes.setdefault(r["purpose"], {})[r["outcome"]] = r["n"]
        cut[r["purpose"]] = cut.get(r["purpose"], 0) + r["cut"]
    shared = rows(
        "SELECT count(DISTINCT prompt) FROM tasks"
        " WHERE split = 'train' AND prompt IN (SELECT prompt FROM tasks WHERE split = 'test')"
    )
    diagnoses = rows("SELECT step, name, fatal, evidence, cure FROM diagnoses ORDER BY fatal DESC, step")
    return Evidence(
        meta=store.meta(),
        finished=bool(last and last.finished),
        before=skills(rows, "before"),
        after=skills(rows, "test"),
        change={arm: p.change for arm, p in pairs.items()},
        parts={"form": {a: p.form for a, p in pairs.items()}, "skill": {a: p.skill for a, p in pairs.items()}},
        pairs=sum(pairs.values(), Pairs()),
        answers={purpose: _answers(store, purpose) for purpose in ("before", "test")},
        rounds=rounds(store),
        retained=_retained(rows),
        chosen=chosen(rows),
        steps=[s for s in steps if s["phase"] == "loop"],
        warmup_steps=sum(s["phase"] == "warmup" for s in steps),
        seconds=dict(sorted(seconds.items(), key=lambda item: -item[1])),
        sessions=rows("SELECT count(DISTINCT session) FROM timings")[0][0],
        tokens=_tokens(rows),
        outcomes=outcomes,
        cut=cut,
        shared=shared[0][0],
        diagnoses=[{**r, "evidence": json.loads(r["evidence"])} for r in diagnoses],
        grown=growth.read(rows),
        attempts={purpose: flows.episodes(store, purpose) for purpose in ("before", "test")},
        called=calls.read(rows),
        met=users.read(rows),
        stream=streams.read(store),
    )


def _tokens(rows: Rows) -> Mapping[str, tuple[int, int]]:
    # Worked solutions are given, not sampled, and so are no cost of generation.
    sql = (
        "SELECT purpose, count(*) AS n, sum(n_sampled) AS tokens FROM rollouts"
        " WHERE purpose NOT IN ('warmup', 'demo') AND stop <> 'forced' GROUP BY purpose"
    )
    return {r["purpose"]: (r["n"], r["tokens"]) for r in rows(sql)}


def chosen(rows: Rows) -> Mapping[tuple[int, Arm], tuple[int, int]]:
    """As in `Evidence`."""
    found = rows(
        "SELECT s.round, a.family, a.level, sum(a.n) AS n, sum(a.successes) AS successes FROM arm_stats a"
        " JOIN steps s ON s.step = a.step WHERE s.phase = 'loop' GROUP BY 1, 2, 3"
    )
    return {(r["round"], Arm(r["family"], r["level"])): (r["n"], r["successes"]) for r in found}


def skills(rows: Rows, purpose: str) -> Skills:
    """The last evaluation of this purpose."""
    sql = (
        "SELECT family, level, n, correct FROM evaluations WHERE purpose = ?"
        " AND round = (SELECT max(round) FROM evaluations WHERE purpose = ?) ORDER BY family, level"
    )
    return {Arm(r["family"], r["level"]): share(r["correct"], r["n"]) for r in rows(sql, (purpose, purpose))}


def _pairs(rows: Rows) -> Mapping[Arm, Pairs]:
    sql = PAIRS + (
        "SELECT family, level, count(*) AS n, sum(became > was), sum(became < was), sum(both),"
        " sum(both AND became > was), sum(both AND became < was) FROM pairs"
        " WHERE became IS NOT NULL GROUP BY family, level ORDER BY family, level"
    )
    return {Arm(family, level): Pairs(*counts) for family, level, *counts in map(tuple, rows(sql))}


def _answers(store: Store, purpose: str) -> Mapping[Arm, Tally]:
    last = store.rows("SELECT max(round) FROM evaluations WHERE purpose = ?", (purpose,))[0][0]
    found = None if last is None else store.evaluation(last, purpose)
    return dict(sorted(found.tallies.items())) if found else {}


def rounds(store: Store) -> Sequence[Round]:
    """As in `Evidence`."""
    parts: dict[int, list[Estimate | None]] = {}
    decisions = store.decisions()
    first = 1 if split(decisions.values()) else 0  # of two tasks: those by which nothing was chosen
    for r in store.rows("SELECT round, solved FROM evaluations WHERE purpose = 'validation'"):
        own = r["solved"][first :: first + 1].replace("?", "")
        parts.setdefault(r["round"], []).append(share(own.count("1"), len(own)))
    ends = dict(map(tuple, store.rows("SELECT round, max(step) FROM steps WHERE phase = 'loop' GROUP BY round")))
    begun = [(stage["round"], stage["name"]) for stage in store.meta().get("stages", [])]
    stages = {number: [name for first, name in begun if first < max(number, 1)] for number in parts.keys() | decisions.keys()}
    return [
        Round(number, decisions.get(number), mean(parts.get(number, ())), ends.get(number), (stages[number] or [""])[-1])
        for number in sorted(parts.keys() | decisions.keys())
    ]


def split(decisions: Iterable[Decision]) -> bool:
    """Whether a guard chose by half of the validation tasks, so that the other half is to be told."""
    return any("reported" in d.numbers for d in decisions)


def _retained(rows: Rows) -> Sequence[tuple[int, Estimate]]:
    """(round, accuracy) on the questions that are never trained on, in order."""
    parts: dict[int, list[Estimate | None]] = {}
    for r in rows("SELECT round, n, correct FROM evaluations WHERE purpose = 'retention' ORDER BY round"):
        parts.setdefault(r["round"], []).append(share(r["correct"], r["n"]))
    return [(number, found) for number, own in parts.items() if (found := mean(own))]


def samples(store: Store, each: int) -> Sequence[Mapping[str, Any]]:
    """Up to `each` test tasks of every kind: newly solved, newly broken, still wrong, right both times, not tried again.

    The choice is a pure function of the store: within a kind, families take turns, and within a family the ids of the tasks
    (hashes) decide. Each has its task and, as `first` and `last`, both attempts; `last` is None where there was none.
    """
    sql = PAIRS + (
        ", turns AS (SELECT *, row_number() OVER (PARTITION BY was, became, family ORDER BY task) AS turn FROM pairs)"
        ", ranked AS (SELECT *, row_number() OVER (PARTITION BY was, became ORDER BY turn, family) AS place FROM turns)"
        "SELECT p.*, t.prompt, t.answer FROM ranked p JOIN tasks t ON t.id = p.task WHERE place <= ? ORDER BY place"
    )
    return [
        {**p, "answer": _text(p["answer"]), "first": _attempt(store, p["first"]), "last": _attempt(store, p["last"])}
        for p in map(dict, store.rows(sql, (each,)))
    ]


def _attempt(store: Store, rollout: str | None) -> Mapping[str, Any] | None:
    sql = (
        "SELECT r.turns, r.stop, r.n_sampled, v.outcome, v.reward, v.feedback, v.rule FROM rollouts r"
        " JOIN verdicts v ON v.rollout = r.id WHERE r.id = ?"
    )
    if rollout is None:
        return None
    found = dict(store.rows(sql, (rollout,))[0])
    return {**found, "feedback": _text(found["feedback"])}


def _text(value: str | bytes | None) -> str | None:
    """The store keeps text that is no UTF-8 (a lone surrogate) as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
