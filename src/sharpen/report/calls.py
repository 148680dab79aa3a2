"""How often tools were called, and how often for nothing: the test split before and after, by family.

Only verdicts that count their calls have it: the part `calls`, and `dummy`, those beyond what the task takes, where that is
known (`verify.counting_calls`, and environments that say so).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sharpen.report.charts import percent

SQL = """
SELECT t.family, count(*), sum(json_extract(v.parts, '$.calls')),
  sum(json_extract(v.parts, '$.dummy') > 0), count(json_extract(v.parts, '$.dummy'))
FROM rollouts r JOIN verdicts v ON v.rollout = r.id JOIN tasks t ON t.id = r.task
WHERE r.purpose = ? AND r.round = (SELECT max(round) FROM rollouts WHERE purpose = ?) AND v.parts LIKE '%"calls"%'
GROUP BY t.family ORDER BY t.family
"""


@dataclass(frozen=True)
class Calls:
    """Of so many answers: calls in all, and answers with a call that was not needed, of those where that is known."""

    answers: int
    calls: float
    idle: int
    known: int

    @property
    def each(self) -> float:
        return self.calls / self.answers

    @property
    def dummy(self) -> float | None:
        """The dummy-call rate: the share of answers with a call for nothing; None where nobody knows what is needed."""
        return self.idle / self.known if self.known else None


Called = Mapping[str, Mapping[str, Calls]]  # purpose (before, test) -> family -> its calls; empty where nobody counted


def read(rows: Callable[..., Sequence[Any]]) -> Called:
    found: dict[str, Mapping[str, Calls]] = {}
    for purpose in ("before", "test"):
        counted = {family: Calls(*numbers) for family, *numbers in map(tuple, rows(SQL, (purpose, purpose)))}
        found |= {purpose: counted} if counted else {}
    return found


def summary(called: Called) -> dict[str, Any] | None:
    """before, after: for each family answers, calls for each, and the share of answers with a dummy call (null: not known)."""
    names = {"before": "before", "test": "after"}
    made = {
        names[purpose]: {family: {"n": c.answers, "calls": c.each, "dummy": c.dummy} for family, c in families.items()}
        for purpose, families in called.items()
    }
    return made or None


def sentence(called: Called) -> str:
    """The same in words; "" where nobody counted."""
    if not called:
        return ""
    when = [purpose for purpose in ("before", "test") if purpose in called]
    families = sorted({family for purpose in when for family in called[purpose]})
    each = [
        f"{family} {_change([f'{called[p][family].each:.2f}' for p in when if family in called[p]])}" for family in families
    ]
    said = f"Calls of tools for each answer: {', '.join(each)}."
    rates = [_rate(called[purpose]) for purpose in when]
    return (
        said
        if None in rates
        else f"{said} Answers with a dummy call: {_change([percent(r, 1) for r in rates if r is not None])}."
    )


def _change(values: Sequence[str]) -> str:
    return " → ".join(values)


def _rate(families: Mapping[str, Calls]) -> float | None:
    known = sum(c.known for c in families.values())
    return sum(c.idle for c in families.values()) / known if known else None
