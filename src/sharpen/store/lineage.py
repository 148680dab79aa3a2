"""From a failure to a change in skill: what a task, or the tasks of an arm, came from and what came of them.

    failure → new task → verdicts → batch → checkpoint → change in skill

Every arrow is a row of the store (`tasks.parents`, `grown`, `verdicts`, `batches`, `commits`, `evaluations`); none is inferred.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sharpen import estimate
from sharpen.core import Arm, UserError, suggest
from sharpen.store.store import Store

MOST = 100_000  # tasks of an arm
DEADLINE = 600.0  # seconds

CHOSEN = "SELECT value FROM json_each(:ids)"
OUTCOMES = f"""
SELECT r.round, r.purpose, v.outcome, count(*) AS n FROM rollouts r JOIN verdicts v ON v.rollout = r.id
WHERE r.task IN ({CHOSEN}) GROUP BY r.round, r.purpose, v.outcome ORDER BY r.round"""
LEARNT = f"""
SELECT r.round, count(*) AS n, min(b.step) AS first, max(b.step) AS last FROM rollouts r JOIN batches b ON b.rollout = r.id
WHERE r.task IN ({CHOSEN}) GROUP BY r.round ORDER BY r.round"""
FAILURE = """
SELECT r.id, r.step, r.turns, v.outcome, v.feedback FROM rollouts r JOIN verdicts v ON v.rollout = r.id
WHERE r.task = :task AND r.purpose IN ('train', 'grow') AND v.outcome NOT IN ('correct', 'unscorable')
ORDER BY r.rowid LIMIT 1"""
CHECKPOINTS = "SELECT round, checkpoint FROM commits WHERE checkpoint NOT NULL AND phase = 'loop' ORDER BY n"
SKILL = "SELECT round, family, level, solved FROM evaluations WHERE purpose = 'validation' ORDER BY round"
TASKS = "SELECT id, family, level, split, prompt, answer, parents, operator FROM tasks"


def trace(store: Store, name: str) -> dict[str, Any]:
    """What the store knows of a task (its id, or the beginning of one) or of an arm, as JSON.

    tasks     the task, or how many an arm has: id, arm, question, answer, operator, parents, and of a grown one the round in
              which it was added, and in how many of how many tries it was solved before
    origins   of each parent, at most ten: id, arm, question, and the first answer that failed, verbatim
    rounds    of each round: outcomes of its rollouts by purpose; learnt, how many were in a batch, of which steps; the
              checkpoint that the round left; the guard's answer; and the change in skill on validation of the arms in `watched`
    children  tasks that were made of it, by operator

    Raises UserError where the run has no such task or arm.
    """
    found = chosen(store, name)
    ids = {"ids": json.dumps([row["id"] for row in found])}
    parents = list(dict.fromkeys(parent for row in found for parent in json.loads(row["parents"])))
    origins = [origin(store, parent) for parent in parents[:10]]
    watched = watching(store, found, parents)
    grown = {row["task"]: row for row in store.rows(f"SELECT * FROM grown WHERE task IN ({CHOSEN})", ids, DEADLINE)}
    children = store.rows(
        f"SELECT t.operator, count(DISTINCT t.id) AS n FROM tasks t JOIN json_each(t.parents) p WHERE p.value IN ({CHOSEN}) "
        "GROUP BY t.operator",
        ids,
        DEADLINE,
    )
    return {
        "name": name,
        "count": len(found),
        "tasks": [described(row) | grown_in(grown.get(row["id"])) for row in found[:10]],
        "parents": len(parents),
        "origins": [o for o in origins if o],
        "watched": [str(arm) for arm in watched],
        "rounds": rounds(store, ids, watched),
        "children": {row["operator"]: row["n"] for row in children},
    }


def chosen(store: Store, name: str) -> list[Any]:
    """The rows of the tasks that a name stands for."""
    if "/" in name:
        try:
            arm = Arm.parse(name)
        except ValueError:
            raise UserError(f"{name} is no arm: one is written FAMILY/LEVEL, such as chain_sum/2.") from None
        found = store.rows(f"{TASKS} WHERE family = ? AND level = ? LIMIT {MOST}", (arm.family, arm.level), DEADLINE)
        if found:
            return found
        arms = [f"{f}/{n}" for f, n in store.rows("SELECT DISTINCT family, level FROM tasks")]
        raise UserError(f"{store.directory} has met no task of {name}.{suggest(name, arms)} It has: {', '.join(arms[:20])}.")
    if not name or not set(name) <= set("0123456789abcdef"):
        raise UserError(f"{name!r} is neither an arm, such as chain_sum/2, nor the id of a task. `sharpen query` lists both.")
    found = store.rows(f"{TASKS} WHERE id BETWEEN ? AND ? LIMIT 2", (name, f"{name}g"), DEADLINE)
    if len(found) == 1:
        return found
    what = "more than one task begins with" if found else "no task of the run begins with"
    raise UserError(f"{what} {name}. Give more of its id, as the table `tasks` has it.")


def described(row: Any) -> dict[str, Any]:
    question = "\n".join(
        str(message.get("content", "")) for message in json.loads(row["prompt"]) if message["role"] != "system"
    )
    keys = ("id", "split", "answer", "operator")
    made = {"arm": f"{row['family']}/{row['level']}", "question": question, "parents": json.loads(row["parents"])}
    return {key: row[key] for key in keys} | made


def grown_in(row: Any) -> dict[str, Any]:
    return {} if row is None else {"grown": {"round": row["round"], "tries": row["tries"], "correct": row["correct"]}}


def origin(store: Store, task: str) -> dict[str, Any] | None:
    """A parent, and the first answer to it that failed."""
    rows = store.rows(f"{TASKS} WHERE id = ?", (task,))
    if not rows:
        return None
    failed = store.rows(FAILURE, {"task": task})
    said: dict[str, Any] = {"failure": None}
    if failed:
        row = failed[0]
        turns = json.loads(row["turns"])
        answer = {"rollout": row["id"], "step": row["step"], "outcome": row["outcome"], "feedback": row["feedback"]}
        said = {"failure": answer | {"response": turns[-1] if turns else ""}}
    return described(rows[0]) | said


def watching(store: Store, found: Sequence[Any], parents: Sequence[str]) -> list[Arm]:
    """The arms whose skill may have changed by these tasks and that are measured: their own, else those of their ancestors."""
    measured = {Arm(f, n) for f, n in store.rows("SELECT DISTINCT family, level FROM evaluations WHERE purpose = 'validation'")}
    arms, seen = {Arm(row["family"], row["level"]) for row in found}, {row["id"] for row in found}
    above = list(parents)
    while not arms & measured and above:
        rows = store.rows(f"{TASKS} WHERE id IN ({CHOSEN})", {"ids": json.dumps(above)}, DEADLINE)
        seen.update(above)
        arms = {Arm(row["family"], row["level"]) for row in rows}
        above = [parent for row in rows for parent in json.loads(row["parents"]) if parent not in seen]
    return sorted(arms & measured)


def rounds(store: Store, ids: dict[str, str], watched: Sequence[Arm]) -> list[dict[str, Any]]:
    outcomes: dict[int, dict[str, dict[str, int]]] = {}
    for number, purpose, outcome, n in store.rows(OUTCOMES, ids, DEADLINE):
        outcomes.setdefault(number, {}).setdefault(purpose, {})[outcome] = n
    learnt = {row["round"]: {"n": row["n"], "steps": [row["first"], row["last"]]} for row in store.rows(LEARNT, ids, DEADLINE)}
    left = {number: checkpoint for number, checkpoint in store.rows(CHECKPOINTS)}
    answers = {number: decision.answer for number, decision in store.decisions().items()}
    solved: dict[int, str] = {}
    for number, family, level, marks in store.rows(SKILL):
        if Arm(family, level) in watched:
            solved[number] = solved.get(number, "") + marks
    found, before = [], None
    for number in sorted({*outcomes, *learnt, *solved}):
        now = solved.get(number)
        found.append(
            {
                "round": number,
                "outcomes": outcomes.get(number, {}),
                "learnt": learnt.get(number),
                "checkpoint": left.get(number),
                "answer": answers.get(number),
                "skill": skill(now),
                "change": change(before, now),
            }
        )
        before = now or before
    return found


def skill(solved: str | None) -> float | None:
    judged = (solved or "").replace("?", "")
    return judged.count("1") / len(judged) if judged else None


def change(before: str | None, now: str | None) -> dict[str, Any] | None:
    """Of the same tasks, both times judged: the change in the share solved, with its 95 % interval."""
    if not before or not now or len(before) != len(now):
        return None
    pairs = [(a, b) for a, b in zip(before, now, strict=True) if "?" not in (a, b)]
    found = estimate.change(pairs.count(("0", "1")), pairs.count(("1", "0")), len(pairs))
    return {"value": found.value, "ci95": [found.low, found.high], "n": found.n} if found else None
