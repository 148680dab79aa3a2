"""Is the verifier itself right? Five checks of every task of a file, with responses whose verdict is known (variants.py).

gold         the task's own answer, or its reference solution, is correct
equivalent   so is the same in another form: spaces, phrases, boxes, fences, 7.0 for 7
spoilt       what differs, if by little, is not
again        judging everything once more, in other processes and in another order, gives the same
second       another implementation agrees, where there is one: number and math, exact and math, choices and letters, JSON and
             plain equality

A verdict that does not come out as it must is a dispute: the verifier may be wrong, or the task's answer, or the probe. A
person decides (decisions.py). What no probe covers is not audited; a task without an answer or a solution has none but spoilt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sharpen import verify
from sharpen.audit import offline
from sharpen.audit.offline import TaskLine
from sharpen.audit.variants import Probe, probes
from sharpen.core import Task, UserError, Verdict, plural, suggest
from sharpen.hashing import digest
from sharpen.tasks import Ruling, decisions
from sharpen.verify import Judges

CHECKS = ("gold", "equivalent", "spoilt", "again", "second")
OTHERS = 2  # solutions to other tasks that a task must refuse
WINDOW = 256  # tasks judged together
SHOWN = 2  # disputes of one task that a person is shown


@dataclass(frozen=True)
class Dispute:
    """A verdict that is not what it must be. `expected` and `found` are outcomes, or what else differs."""

    id: str
    line: int
    check: str
    verifier: str
    response: str
    expected: str
    found: str
    rule: str
    feedback: str

    @property
    def key(self) -> str:
        return digest([self.check, self.response, self.expected, self.found])


@dataclass(frozen=True)
class Audit:
    """checks: (asked, in dispute) by name. decided: number of tasks for each decision that still holds."""

    tasks: int
    checks: Mapping[str, tuple[int, int]]
    disputes: tuple[Dispute, ...]
    decided: Mapping[str, int]


def audit(path: Path, jobs: int | None = None, isolation: str = "full", only: Sequence[str] = (), columns: str = "") -> Audit:
    """Audit a file of tasks; with `only`, these ids. Tasks that were dropped are left out, settled disputes are not listed.

    Raises UserError for a line that is no task, and where code cannot be judged here.
    """
    lines = offline.read_tasks(path, audited=True, map=columns)
    made = decisions.read(path)
    rulings = {line.content: made[line.content] for line in lines.values() if line.content in made}
    dropped = {content for content, ruling in rulings.items() if ruling.decision == "drop"}
    used = {id: line for id, line in lines.items() if line.content not in dropped and (not only or id in only)}
    offline.require(used, isolation)
    asked, open_ = dict.fromkeys(CHECKS, 0), []
    with Judges(verify.verify, workers=jobs) as first, Judges(verify.verify, workers=jobs) as second:
        ids = list(used)
        for start in range(0, len(ids), WINDOW):
            listed = [probe for id in ids[start : start + WINDOW] for probe in probes(id, used[id], _others(used, id))]
            for check, dispute in _judged(used, listed, first, second):
                asked[check] += 1
                ruling = rulings.get(used[dispute.id].content) if dispute else None
                if dispute and not (ruling and ruling.decision == "right" and dispute.key in ruling.settled):
                    open_.append(dispute)
    lost = {check: sum(d.check == check for d in open_) for check in CHECKS}
    counts = {kind: sum(r.decision == kind for r in rulings.values()) for kind in decisions.KINDS}
    return Audit(len(used), {c: (asked[c], lost[c]) for c in CHECKS}, tuple(open_), counts)


def _judged(
    used: Mapping[str, TaskLine], listed: Sequence[Probe], first: Judges, second: Judges
) -> Iterator[tuple[str, Dispute | None]]:
    """(check, dispute or None) for everything that is asked of these probes."""
    for number, probe in enumerate(listed):
        first.submit(str(number), used[probe.id].task, probe.response)
    once = first.collect()
    for number, probe in reversed(list(enumerate(listed))):
        second.submit(str(number), used[probe.id].task, probe.response)
    again = second.collect()
    for number, probe in enumerate(listed):
        line, verdict, repeated = used[probe.id], once[str(number)], again[str(number)]
        right = "correct" if probe.right else "not correct"
        agrees = verdict.outcome != "unscorable" and verdict.correct == probe.right
        yield probe.check, None if agrees else _dispute(line, probe, verdict, probe.check, right, verdict.outcome)
        steady = same(verdict, repeated)
        yield "again", None if steady else _dispute(line, probe, verdict, "again", shown(verdict), shown(repeated))
        opinion = second_opinion(line.task, probe.response)
        if opinion is not None:
            said = "correct" if opinion else "not correct"
            agrees = opinion == verdict.correct
            yield "second", None if agrees else _dispute(line, probe, verdict, "second", said, verdict.outcome)


def _dispute(line: TaskLine, probe: Probe, verdict: Verdict, check: str, expected: str, found: str) -> Dispute:
    return Dispute(probe.id, line.line, check, line.named, probe.response, expected, found, verdict.rule, verdict.feedback)


def same(one: Verdict, other: Verdict) -> bool:
    return shown(one) == shown(other)


def shown(verdict: Verdict) -> str:
    return f"{verdict.outcome}, reward {verdict.reward}, {verdict.rule}"


def second_opinion(task: Task, response: str) -> bool | None:
    """Whether another implementation calls a response correct; None where there is none, or where it cannot tell."""
    name, answer = task.verifier, (task.answer or "").strip()
    if name == "json":
        if "schema" in task.data or not response.strip().startswith(("{", "[", '"')):
            return None
        try:
            return json.dumps(json.loads(response), sort_keys=True) == json.dumps(json.loads(answer), sort_keys=True)
        except ValueError:
            return False
    text, how = verify.final_answer(task, response)
    if name == "multiple_choice":
        made, gold = (options_named(said, task.data.get("choices")) for said in (text, answer))
        return made == gold if how in ("tag", "box") and len(made) == len(gold) == 1 else None
    numeric = verify.read_number(answer) is not None
    if name == "math" and numeric:
        verdict = verify.number(task, text)
    elif (name in ("number", "exact") and numeric) and "accept" not in task.data:
        verdict = verify.verify(replace(task, verifier="math"), response)
        if name == "exact" and verdict.correct and text.strip() != answer:
            return None  # the same number, written otherwise: exact is stricter by intent
    else:
        return None
    return verdict.correct if verdict.outcome in ("correct", "wrong") else None


def options_named(text: str, choices: Mapping[str, str] | Sequence[str] | None) -> set[str]:
    """Letters of the options that a text may mean: by its bare letter, or in the option's own words."""
    listed = choices.items() if isinstance(choices, Mapping) else zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", choices or ())
    options = {str(letter).upper(): " ".join(str(words).split()).casefold() for letter, words in listed}
    bare, words = text.strip("(). ").upper(), " ".join(text.split()).casefold()
    letters = {bare} if bare in options or (not options and len(bare) == 1) else set()
    return letters | {letter for letter, said in options.items() if said == words}


def _others(used: Mapping[str, TaskLine], id: str) -> list[str]:
    """Solutions to the next tasks in the same language that ask for something else."""
    line = used[id]
    if line.task.verifier != "code_io":
        return []
    ids = list(used)
    at, found = ids.index(id), []
    for other in (used[ids[(at + step) % len(ids)]] for step in range(1, min(len(ids), 50))):
        alike = other.task.verifier == "code_io" and other.task.data["language"] == line.task.data["language"]
        if alike and other.solution and other.task.data["tests"] != line.task.data["tests"] and other.solution != line.solution:
            found.append(other.solution)
    return found[:OTHERS]


def decide(path: Path, texts: Sequence[str], jobs: int | None = None, isolation: str = "full", columns: str = "") -> list[str]:
    """Keep what a person decided, such as "a=drop". Returns a sentence for each. Raises UserError for an unknown task."""
    wanted = dict(map(decisions.parse, texts))
    lines, kept = offline.read_tasks(path, audited=True, map=columns), decisions.read(path)
    for id in wanted:
        if id not in lines:
            raise UserError(f"--decide {id}={wanted[id]}: {path} has no task with the id {id!r}.{suggest(id, lines)}")
    for id in wanted:
        kept.pop(lines[id].content, None)
    decisions.write(path, kept)
    settling = [id for id, decision in wanted.items() if decision == "right"]
    found = audit(path, jobs, isolation, settling, columns).disputes if settling else ()
    for id, decision in wanted.items():
        settled = tuple(sorted({d.key for d in found if d.id == id})) if decision == "right" else ()
        kept[lines[id].content] = Ruling(id, decision, lines[id].content, settled)
    decisions.write(path, kept)
    return [f"{id}: {decision}, kept in {decisions.beside(path)}" for id, decision in wanted.items()]


def plain(found: Audit) -> dict[str, Any]:
    """As JSON."""
    checks = {name: {"asked": asked, "disputed": lost} for name, (asked, lost) in found.checks.items()}
    return {
        "tasks": found.tasks,
        "checks": checks,
        "disputes": [asdict(d) for d in found.disputes],
        "decided": dict(found.decided),
    }


def words(dispute: Dispute) -> str:
    """A dispute for a person, on a few lines."""
    response = dispute.response if len(dispute.response) <= 400 else dispute.response[:400] + "…"
    why = f"\n    it said: {dispute.feedback.strip()}" if dispute.feedback else ""
    return (
        f"{dispute.id} (line {dispute.line}, {dispute.verifier}), {dispute.check}: expected {dispute.expected}, "
        f"found {dispute.found} by the rule {dispute.rule!r}{why}\n    response: {response!r}"
    )


def listing(found: Audit) -> Iterator[str]:
    """The disputes for a person, the first SHOWN of each task."""
    number: dict[str, int] = {}
    for dispute in found.disputes:
        number[dispute.id] = number.get(dispute.id, 0) + 1
        if number[dispute.id] <= SHOWN:
            yield words(dispute)
    for id, count in number.items():
        if count > SHOWN:
            yield f"{id}: {count - SHOWN} more disputes; --json shows all."


def summary(found: Audit) -> str:
    decided = ", ".join(f"{n} {kind}" for kind, n in found.decided.items() if n)
    more = f" Decided: {decided}." if decided else ""
    if not found.disputes:
        return f"{plural(found.tasks, 'task')}, no dispute.{more}"
    tasks = len({d.id for d in found.disputes})
    return (
        f"{plural(found.tasks, 'task')}, {plural(len(found.disputes), 'dispute')} over {tasks} of them.{more} Mend the tasks, "
        f"or decide: --decide {found.disputes[0].id}=right (the verifier is right), wrong, or drop."
    )
