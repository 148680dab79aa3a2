"""What each kind of simulated user costs: right answers with a user of its traits, less those with one who has none.

Only episodes whose task's data have `traits` are counted (environments/users.py): of the test split, before and after. The
drop is TraitBasis' (arXiv 2510.04491); its interval is MOVER's for two shares (Newcombe 1998, method 10).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sharpen.estimate import Estimate, share
from sharpen.report.charts import percent

SQL = """
SELECT json_extract(t.data, '$.traits'), sum(v.outcome = 'correct'), count(*)
FROM rollouts r JOIN verdicts v ON v.rollout = r.id JOIN tasks t ON t.id = r.task
WHERE r.purpose = ? AND r.round = (SELECT max(round) FROM rollouts WHERE purpose = ?) AND v.reward IS NOT NULL
  AND json_type(t.data, '$.traits') = 'object'
GROUP BY 1 ORDER BY 1
"""
PLAIN = "no trait"

Met = Mapping[str, Mapping[str, Estimate]]  # purpose (before, test) -> user -> share of right answers


def read(rows: Callable[..., Sequence[Any]]) -> Met:
    found: dict[str, Mapping[str, Estimate]] = {}
    for purpose in ("before", "test"):
        own = {named(json.loads(traits)): share(right, n) for traits, right, n in map(tuple, rows(SQL, (purpose, purpose)))}
        found |= {purpose: {name: known for name, known in own.items() if known}} if own else {}
    return found


def named(traits: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in sorted(traits.items())) or PLAIN


def drops(met: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """By user what its traits cost; nothing where nobody without a trait was met."""
    plain = met.get(PLAIN)
    return {name: less(found, plain) for name, found in met.items() if name != PLAIN} if plain else {}


def less(one: Estimate, other: Estimate) -> Estimate:
    """one - other, of different tasks."""
    value = one.value - other.value
    low = math.hypot(one.value - one.low, other.high - other.value)
    high = math.hypot(one.high - one.value, other.value - other.low)
    return Estimate(value, value - low, value + high, one.n + other.n)


def summary(met: Met) -> dict[str, Any] | None:
    """before, after: for each user accuracy, its interval and n, and drop, with its interval, against a user without traits."""
    names = {"before": "before", "test": "after"}
    made = {}
    for purpose, users in met.items():
        lost = drops(users)
        made[names[purpose]] = {
            name: {"accuracy": e.value, "ci95": [e.low, e.high], "n": e.n}
            | ({"drop": lost[name].value, "drop_ci95": [lost[name].low, lost[name].high]} if name in lost else {})
            for name, e in users.items()
        }
    return made or None


def sentence(met: Met) -> str:
    """The drops after training, else before, in words; "" where no user has traits."""
    users = met.get("test") or met.get("before") or {}
    if not (lost := drops(users)):
        return ""
    told = [f"{name} {100 * e.value:+.1f} points ({100 * e.low:+.1f} to {100 * e.high:+.1f})" for name, e in lost.items()]
    return f"With a user of no trait {percent(users[PLAIN].value, 1)} are right; with others: {'; '.join(told)}."
