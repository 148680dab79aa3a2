"""How answers came out: what a gain is made of, in words and as the report's rows.

A gain has two parts, which add up to it task by task. Skill is what changed where the answers could be read both times. Form is
what changed because an answer can be read now and could not before, or the other way round. Whoever learns to answer in the
form that is asked for gains form; whether skill was there all along cannot be told from answers that nobody could read, so it
is not claimed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sharpen.core import Arm, Tally
from sharpen.estimate import Estimate, mean, share
from sharpen.guard import baseline
from sharpen.report import calls, charts, users
from sharpen.report.charts import percent
from sharpen.report.evidence import Evidence
from sharpen.report.points import points

PARTS = (("correct", "right"), ("wrong", "wrong"), ("malformed", "malformed"), ("cut_off", "cut off"))
ROWS = 60  # arms; with more, families


def readable(tally: Tally) -> Estimate | None:
    """The share of judged answers that could be read."""
    return share(tally.readable, tally.judged)


def right_of_readable(tally: Tally) -> Estimate | None:
    """The share of these that are right."""
    return share(tally.correct, tally.readable)


def together(evidence: Evidence, purpose: str) -> Tally:
    return sum(evidence.answers[purpose].values(), Tally())


def parts(evidence: Evidence) -> Mapping[str, Estimate | None]:
    """form and skill, each the mean over arms, as the gain is."""
    return {name: mean(list(skills.values())) for name, skills in evidence.parts.items()}


def sentences(evidence: Evidence) -> Sequence[str]:
    """What a gain is made of, how often tools were called, and what difficult users cost; nothing where it is not known."""
    return [*made_of(evidence), *filter(None, [calls.sentence(evidence.called), users.sentence(evidence.met)])]


def made_of(evidence: Evidence) -> Sequence[str]:
    """What a gain is made of."""
    was, now, gain = together(evidence, "before"), together(evidence, "test"), mean(list(evidence.change.values()))
    form, skill = parts(evidence)["form"], parts(evidence)["skill"]
    if not was.judged or not now.judged or gain is None or form is None or skill is None:
        return []
    said = [
        f"Readable answers: {percent(was.readable / was.judged, 1)} before, {percent(now.readable / now.judged, 1)} after; "
        f"right among readable: {_of(was)} before, {_of(now)} after."
    ]
    whole, both = evidence.pairs, evidence.pairs.both
    if whole.gained - whole.both_gained + whole.lost - whole.both_lost == 0:
        shown = not gain.low <= 0 <= gain.high
        return [*said, "None of it is form: no answer changed between right and unreadable."] if shown else said
    said.append(
        f"Of the {points(gain.value)} points, {_points(form)} are form, of answers that could not be read before or no longer "
        f"can, and {_points(skill)} are skill, of the {both:,} tasks read both times."
    )
    if skill.low <= 0 <= skill.high and not form.low <= 0 <= form.high:
        said.append("No change in skill is shown.")
    return said


def _of(tally: Tally) -> str:
    found = right_of_readable(tally)
    return percent(found.value, 1) if found else "unknown"


def _points(e: Estimate) -> str:
    return f"{points(e.value)} ({points(e.low)} to {points(e.high)})"


def word(evidence: Evidence, gain: Estimate) -> str:
    """The headline of a change that is shown, which calls form by its name."""
    form, skill, up = parts(evidence)["form"], parts(evidence)["skill"], gain.low > 0

    def shown(e: Estimate | None) -> bool:
        return e is not None and (e.low > 0 if up else e.high < 0)

    if shown(skill) or skill is None:
        return "The model got better." if up else "The model got worse."
    if shown(form):
        return "Better form. No gain in skill shown." if up else "Worse form: fewer answers can be read."
    return "More answers are right." if up else "Fewer answers are right."


def section(evidence: Evidence) -> Mapping[str, Any] | None:
    """What the page shows of it: a row for each arm, or family where there are many, and what is wrong. None before any."""
    purposes = [p for p in ("before", "test") if evidence.answers[p]]
    if not purposes:
        return None
    arms = sorted({arm for p in purposes for arm in evidence.answers[p]})
    many = len(arms) > ROWS
    names: dict[str, list[Arm]] = {}
    for arm in arms:
        names.setdefault(arm.family if many else str(arm), []).append(arm)
    rows = [("all answers", arms), *(names.items() if len(names) > 1 else ())]
    last = together(evidence, purposes[-1])
    return {
        "rows": [_row(evidence, name, own, purposes) for name, own in rows],
        "parts": PARTS,
        "when": "after" if purposes[-1] == "test" else "before",
        "words": baseline.words(last),
        "findings": [d.cure for d in baseline.look(last)],
        "form": parts(evidence)["form"],
        "skill": parts(evidence)["skill"],
        "both": evidence.pairs.both,
        "shares": [
            (name, [f(together(evidence, p)) for p in purposes])
            for name, f in (("Readable", readable), ("Right among readable", right_of_readable))
        ],
    }


def _row(evidence: Evidence, name: str, arms: Sequence[Arm], purposes: Sequence[str]) -> Mapping[str, Any]:
    bars = []
    for purpose in purposes:
        tally = sum((evidence.answers[purpose].get(arm, Tally()) for arm in arms), Tally())
        when = "before" if purpose == "before" else "after"
        bar = [
            (f"o-{key}", n / tally.judged, f"{name}, {when}: {percent(n / tally.judged, 1)} {said} ({n:,} of {tally.judged:,})")
            for key, said in PARTS
            if tally.judged and (n := getattr(tally, key))
        ]
        label = f"{name}, {when}: {baseline.words(tally)}"
        bars.append({"when": when, "chart": charts.stacked(bar, label=label, height=11), "read": readable(tally)})
    return {"name": name, "bars": bars}
