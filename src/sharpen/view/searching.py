"""Rollouts: looked through from the latest back, one by one in full, and two evaluations side by side on the same tasks.

A search takes a bounded time and says how far it came, so that a page answers at once however many rollouts there are; it needs
no index of words, which would cost the run that writes it. What is read of a rollout for a list is its beginning.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sharpen.core import OUTCOMES, Arm, UserError
from sharpen.estimate import Estimate, change, mean
from sharpen.store import Store

PAGE = 40  # rows of a page
SECONDS = 0.4  # that a search takes at most, about
WINDOW = 512  # rollouts looked at in one query, at first
LONGEST = 200  # characters that are searched for
SHOWN = 100_000  # characters of a turn that a page shows
SIBLINGS = 128  # rollouts of a group that are listed
PURPOSES = ("train", "validation", "before", "test", "grow", "warmup", "demo", "told")
KINDS = {"fixed": (0, 1), "broken": (1, 0), "wrong": (0, 0), "right": (1, 1)}


@dataclass(frozen=True)
class Wanted:
    """What is searched for; "" and None are anything.

    text   in what was said or asked, blind to the case of ASCII letters
    arm    family/level, or a family alone
    turn   the number of the turn that `text` is in, from 1; or, without text, that there is such a turn
    """

    text: str = ""
    arm: str = ""
    outcome: str = ""
    purpose: str = ""
    turn: int | None = None

    def __bool__(self) -> bool:
        return any((self.text, self.arm, self.outcome, self.purpose, self.turn))


@dataclass(frozen=True)
class Page:
    """Rows from the latest back. `searched` of `total` rollouts were looked at, this page and earlier ones; `further` is where
    to go
    on, None at the end."""

    rows: Sequence[Mapping[str, Any]]
    searched: int
    total: int
    further: int | None


def read(given: Mapping[str, str]) -> Wanted:
    """From the fields of a form. Raises UserError."""
    text, outcome, purpose, turn = (given.get(key, "").strip() for key in ("text", "outcome", "purpose", "turn"))
    if len(text) > LONGEST:
        raise UserError(f"Search for at most {LONGEST} characters.")
    if outcome and outcome not in (*OUTCOMES, "not correct"):
        raise UserError(f"There is no outcome {outcome[:40]!r}: {', '.join(OUTCOMES)}.")
    if purpose and purpose not in PURPOSES:
        raise UserError(f"There is no purpose {purpose[:40]!r}: {', '.join(PURPOSES)}.")
    if turn and not (turn.isascii() and turn.isdigit() and 1 <= int(turn[:6]) <= 9999):
        raise UserError("A turn is a number from 1.")
    return Wanted(text, given.get("arm", "").strip()[:LONGEST], outcome, purpose, int(turn) if turn else None)


def conditions(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """As SQL on r, t and v, and its parameters. What costs least to look at stands first."""
    parts = ["r.rowid <= :high AND r.rowid > :low"]
    values: dict[str, Any] = {}
    if wanted.purpose:
        parts.append("r.purpose = :purpose")
        values["purpose"] = wanted.purpose
    if wanted.turn:
        parts.append("json_array_length(r.turns) >= :turn")
        values["turn"] = wanted.turn
    if wanted.text:
        said = "json_extract(r.turns, '$[' || (:turn - 1) || ']') LIKE :plain ESCAPE '~'" if wanted.turn else ""
        parts.append(said or "(r.turns LIKE :quoted ESCAPE '~' OR t.prompt LIKE :quoted ESCAPE '~')")
        # Turns and prompts are JSON, in which quotation marks and lines are escaped.
        for name, text in (("plain", wanted.text), ("quoted", json.dumps(wanted.text, ensure_ascii=False)[1:-1])):
            values[name] = "%" + text.replace("~", "~~").replace("%", "~%").replace("_", "~_") + "%"
    if wanted.arm:
        family, slash, level = wanted.arm.rpartition("/")
        exact = slash and level.isascii() and level.isdigit()
        parts.append("t.family = :family" + " AND t.level = :level" * bool(exact))
        values |= {"family": family, "level": int(level[:9])} if exact else {"family": wanted.arm}
    if wanted.outcome:
        parts.append("v.outcome <> 'correct'" if wanted.outcome == "not correct" else "v.outcome = :outcome")
        values["outcome"] = wanted.outcome
    return " AND ".join(parts), values


FOUND = """
SELECT r.rowid AS place, r.id, r.purpose, r.step, r.round, r.task, r.stop, r.n_sampled, json_array_length(r.turns) AS turns,
    CAST(substr(json_extract(r.turns, '$[#-1]'), 1, 240) AS BLOB) AS said, v.outcome, v.reward, t.family, t.level,
    substr(t.prompt, 1, 400) AS prompt
FROM rollouts r CROSS JOIN tasks t ON t.id = r.task CROSS JOIN verdicts v ON v.rollout = r.id
"""


def search(
    store: Store,
    wanted: Wanted,
    before: int | None = None,
    seconds: float = SECONDS,
    most: int = PAGE,
    clock: Callable[[], float] = time.monotonic,
) -> Page:
    """The latest rollouts that fit, of those before a place. It stops at `most`, or after about so many seconds."""
    (total,) = store.rows("SELECT coalesce(max(rowid), 0) FROM rollouts")[0]
    high = total if before is None else min(before, total)
    where, values = conditions(wanted)
    sql = f"{FOUND} WHERE {where} ORDER BY r.rowid DESC LIMIT :most"
    found: list[Mapping[str, Any]] = []
    end, window = clock() + seconds, WINDOW
    while high > 0 and len(found) < most:
        low = max(high - window, 0)
        began = clock()
        rows = store.rows(sql, {**values, "high": high, "low": low, "most": most - len(found)})
        found += [listed(dict(row)) for row in rows]
        high = rows[-1]["place"] - 1 if len(found) == most else low
        if clock() >= end:
            break
        # A window takes a tenth of the time, whatever a row holds.
        window = min(max(int(window * min(seconds / 10 / max(clock() - began, 1e-6), 4)), 16), 65_536)
    return Page(found, total - high, total, high if high > 0 else None)


def listed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **dict(row),
        "arm": f"{row['family']}/{row['level']}",
        "said": text_of(row["said"]),
        "prompt": asked_in(row["prompt"]),
    }


def text_of(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def asked_in(prompt: str) -> str:
    """The question in a prompt of which only the beginning may be there."""
    try:
        messages = json.loads(prompt)
        return text_of(messages[-1].get("content")) if messages else ""
    except (ValueError, AttributeError):
        return prompt.rpartition('"content": "')[2].replace("\\n", "\n")


ONE = """
SELECT r.id, r.purpose, r.step, r.round, r.grp, r.stop, r.n_prompt, r.n_sampled, r.version, r.parent,
    json_array_length(r.turns) AS n_turns, v.outcome, v.reward, v.parts, substr(v.feedback, 1, :shown) AS feedback, v.rule,
    v.isolation, v.credit, t.id AS task, t.family, t.level, t.split, t.prompt, substr(t.answer, 1, :shown) AS answer,
    t.verifier,
    t.parents, t.operator, substr(t.solution, 1, :shown) AS solution
FROM rollouts r JOIN verdicts v ON v.rollout = r.id JOIN tasks t ON t.id = r.task WHERE r.id = :id
"""
# As bytes: a lone surrogate, escaped in JSON, is no UTF-8 once it is taken out.
TURNS = """
SELECT CAST(substr(j.value, 1, :shown) AS BLOB) AS said, length(j.value) AS length
FROM rollouts r, json_each(r.turns) j WHERE r.id = :id
"""
GROUP = """
SELECT r.id, v.outcome, v.reward, r.n_sampled FROM rollouts r JOIN verdicts v ON v.rollout = r.id
WHERE r.purpose = ? AND r.step = ? AND r.grp = ? ORDER BY r.id LIMIT ?
"""


def one(store: Store, id: str) -> dict[str, Any]:
    """A rollout with its task, its turns and those of its group. Of a text at most SHOWN characters are read. Raises UserError
    where
    there is no such rollout."""
    rows = store.rows(ONE, {"id": id, "shown": SHOWN})
    if not rows:
        raise UserError(f"There is no rollout {id[:80]!r} in this run.")
    row = dict(rows[0])
    turns = [
        {"said": text_of(r["said"]), "left_out": max(r["length"] - SHOWN, 0)}
        for r in store.rows(TURNS, {"id": id, "shown": SHOWN})[:200]
    ]
    group = [dict(r) for r in store.rows(GROUP, (row["purpose"], row["step"], row["grp"], SIBLINGS))]
    prompt = [(str(m.get("role", "")), text_of(m.get("content"))) for m in json.loads(row["prompt"])]
    texts = {key: None if row[key] is None else text_of(row[key]) for key in ("feedback", "answer", "solution", "operator")}
    more = {
        "arm": f"{row['family']}/{row['level']}",
        "turns": turns,
        "group": group if len(group) > 1 else [],
        "prompt": prompt,
    }
    return row | texts | more | {"parents": json.loads(row["parents"]), "parts": json.loads(row["parts"])}


def learnt(store: Store, id: str) -> bool:
    """Whether a step has learnt from a rollout. It walks the table of batches, which has no index: for one, not for many."""
    return bool(store.rows("SELECT 1 FROM batches WHERE rollout = ? LIMIT 1", (id,)))


def evaluations(store: Store) -> list[dict[str, Any]]:
    """What can be set side by side, latest first: purpose, round, accuracy, and what became of the round."""
    sql = (
        "SELECT e.purpose, e.round, sum(e.n) AS n, avg(1.0 * e.correct / e.n) AS accuracy, d.answer FROM evaluations e"
        " LEFT JOIN decisions d ON d.round = e.round AND e.purpose = 'validation' WHERE e.n > 0 GROUP BY e.purpose, e.round"
        " ORDER BY e.purpose = 'validation', e.round DESC"
    )
    return [{**dict(r), "key": f"{r['purpose']}:{r['round']}"} for r in store.rows(sql)]


ANSWERS = """
SELECT r.task, r.id, v.outcome, t.family, t.level
FROM rollouts r CROSS JOIN verdicts v ON v.rollout = r.id CROSS JOIN tasks t ON t.id = r.task
WHERE r.id >= :first AND r.id < :last
"""


@dataclass(frozen=True)
class Side:
    """Two evaluations on the tasks that both have: the change, each arm counting alike; by kind how many; and a page of one
    kind as (task, id, id)."""

    n: int
    gain: Estimate | None
    counts: Mapping[str, int]
    arms: Mapping[Arm, Mapping[str, int]]
    rows: Sequence[tuple[str, str, str]]


def answers(store: Store, key: str) -> dict[str, Any]:
    """By task, the answer to it in an evaluation ("validation:3"). Raises UserError for what is no evaluation."""
    purpose, _, number = key.partition(":")
    if purpose not in ("validation", "before", "test") or not (number.isascii() and number.isdigit() and len(number) < 8):
        raise UserError(f"{key[:40]!r} is no evaluation: such as validation:3, before:0 or test:5.")
    prefix = f"{purpose}.{int(number):05d}"
    return {row["task"]: row for row in store.rows(ANSWERS, {"first": f"{prefix}.", "last": f"{prefix}/"})}


def beside(
    first: Mapping[str, Any], second: Mapping[str, Any], kind: str, arm: str = "", start: int = 0, most: int = 12
) -> Side:
    """Set the answers of two evaluations side by side, in the order of the first."""
    counts, rows = dict.fromkeys(KINDS, 0), []
    arms: dict[Arm, dict[str, int]] = {}
    for task, a in first.items():
        b = second.get(task)
        if b is None or "unscorable" in (a["outcome"], b["outcome"]):
            continue
        went = (int(a["outcome"] == "correct"), int(b["outcome"] == "correct"))
        name = next(name for name, ways in KINDS.items() if ways == went)
        counts[name] += 1
        of = Arm(a["family"], a["level"])
        arms.setdefault(of, dict.fromkeys(KINDS, 0))[name] += 1
        if name == kind and arm in ("", str(of)):
            rows.append((task, a["id"], b["id"]))
    gain = mean([change(own["fixed"], own["broken"], sum(own.values())) for own in arms.values()])
    return Side(sum(counts.values()), gain, counts, dict(sorted(arms.items())), rows[start : start + most])


def both(stores: tuple[Store, Store], rows: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """The two rollouts of each task."""
    return [{"task": task, "sides": [one(store, id) for store, id in zip(stores, ids)]} for task, *ids in rows]


CHILDREN = """
SELECT g.round, g.tries, g.correct, t.id, t.family, t.level, t.prompt, t.operator FROM grown g JOIN tasks t ON t.id = g.task
JOIN json_each(t.parents) p JOIN tasks o ON o.id = p.value WHERE o.family = ? AND o.level = ?
GROUP BY g.task ORDER BY g.place DESC LIMIT 20
"""


def children(store: Store, name: str) -> list[dict[str, Any]]:
    """The latest tasks that were grown from an arm's."""
    try:
        arm = Arm.parse(name)
    except ValueError:
        return []
    return [{**dict(r), "prompt": asked_in(r["prompt"])} for r in store.rows(CHILDREN, (arm.family, arm.level))]
