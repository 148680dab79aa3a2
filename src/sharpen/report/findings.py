"""A run in words: the verdict in one sentence, and what speaks for and against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sharpen import guard
from sharpen.estimate import Estimate, mean
from sharpen.report import answers
from sharpen.report.charts import percent
from sharpen.report.evidence import Evidence
from sharpen.report.points import points


def duration(seconds: float) -> str:
    """3725 -> '1 h 2 min'."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def verdict(evidence: Evidence) -> Mapping[str, str]:
    """The run in one sentence: `tone` (better, worse, same, open), `word` and `sentence`."""
    before, after, gain = (mean(list(s.values())) for s in (evidence.before, evidence.after, evidence.change))
    if after is None or before is None or gain is None:
        return {"tone": "open", "word": "Not measured yet.", "sentence": _interim(evidence)}
    zero = ", which includes zero" if gain.low <= 0 <= gain.high else ""
    numbers = (
        f"On the same {gain.n:,} held-out tasks, accuracy went from {percent(before.value, 1)} to {percent(after.value, 1)}: "
        f"{points(gain.value)} points, 95\u202f% interval {points(gain.low)} to {points(gain.high)}{zero}"
        f"{_of_answers(evidence, before, after)}"
    )
    made = "".join(f" {sentence}" for sentence in answers.sentences(evidence)[1:])
    if gain.low > 0 or gain.high < 0:
        tone = "better" if gain.low > 0 else "worse"
        return {"tone": tone, "word": answers.word(evidence, gain), "sentence": f"{numbers}.{made}"}
    return {"tone": "same", "word": "No difference shown.", "sentence": f"{numbers}.{made}{_unmoved(evidence)}"}


def _of_answers(evidence: Evidence, before: Estimate, after: Estimate) -> str:
    """The share of all answers, where it is another figure than the mean over arms."""
    known = [[e for e in skills.values() if e] for skills in (evidence.before, evidence.after)]
    said = [percent(sum(e.value * e.n for e in own) / sum(e.n for e in own), 1) for own in known]
    if said == [percent(before.value, 1), percent(after.value, 1)]:
        return ""
    return f" (mean over arms; of all answers {said[0]} to {said[1]})"


def _unmoved(evidence: Evidence) -> str:
    states = [r.state for r in evidence.rounds]
    if "kept" in states or not {"rolled back", "unclear"} & set(states):
        return ""
    what = "No round was shown to be better" if "unclear" in states else "Every round was rolled back"
    return f" {what}, so the weights are those from before the loop."


def _interim(evidence: Evidence) -> str:
    sentence = "There is no test evaluation after the loop" + ("." if evidence.finished else " yet: the run is not finished.")
    known = [r for r in evidence.rounds if r.accuracy]
    kept = [r for r in known if r.state == "kept"]
    if kept and known[0].accuracy and kept[-1].accuracy:
        sentence += (
            f" On the validation stream, which decides what is kept, accuracy went from {percent(known[0].accuracy.value, 1)}"
            f" to {percent(kept[-1].accuracy.value, 1)} by round {kept[-1].number}."
        )
    return sentence


def _guarded(evidence: Evidence) -> Sequence[tuple[str, str, str]]:
    """How often the validation tasks were looked at, what became of what nobody trained on, and where the curve was going."""
    found = []
    if looked := guard.exhausted([r.decision for r in evidence.rounds if r.decision]):
        tired, said = looked
        found.append(
            (
                "warn" if tired else "ok",
                "Validation exhausted" if tired else "Validation looked at",
                f"{said[0].upper()}{said[1:]}.",
            )
        )
    if evidence.retained:
        (_, first), (number, last) = evidence.retained[0], evidence.retained[-1]
        said = f"Of {last.n} questions that are never trained on, {percent(first.value, 1)} were right at the start, "
        said += f"{percent(last.value, 1)} after round {number}."
        found.append(("ok" if last.value >= first.value - KEPT else "warn", "What is not practised", said))
    rounds = [r for r in evidence.rounds if r.decision and r.accuracy]
    told = [
        {"answer": r.decision.answer, "accuracy": r.accuracy.value, "n": r.accuracy.n}
        for r in rounds
        if r.decision and r.accuracy
    ]
    if evidence.finished and (half := _half_way(told)):
        found.append(("note", "Half way", half))
    return found


def _half_way(told: Sequence[Mapping[str, Any]]) -> str:
    """What half of the rounds promised, and what came."""
    half = told[: len(told) // 2 + 1]
    end = guard.prediction.of_rounds(half, (len(half) - 1) / max(len(told) - 1, 1))
    if end is None or len(half) == len(told):
        return ""
    came = told[-1]["accuracy"]
    right = "within" if end.low <= came <= end.high else "outside"
    return (
        f"Half of the rounds promised {end} on validation at the end; {percent(came, 1)} came, {right} the 90\u202f% interval."
    )


KEPT = 0.02  # of what is not practised, that may be lost without a warning


def checks(evidence: Evidence) -> Sequence[tuple[str, str, str]]:
    """What speaks for and against the result: (ok, warn, bad or note; claim; detail)."""
    found = []
    tests = sum(e.n for e in evidence.before.values() if e)
    pairs = sum(e.n for e in evidence.change.values() if e)
    if evidence.after:
        state = "ok" if pairs == tests else "warn"
        found.append((state, "Same tasks before and after", f"{pairs:,} of {tests:,} test tasks were judged both times."))
    if evidence.shared:
        found.append(("bad", "Training saw test questions", f"Questions in both splits, word for word: {evidence.shared:,}."))
    else:
        found.append(("ok", "No test question in training", "No question is in both splits, word for word."))
    judged = sum(n for counts in evidence.outcomes.values() for n in counts.values())
    lost = sum(counts.get("unscorable", 0) for counts in evidence.outcomes.values())
    if judged:
        state = "ok" if lost == 0 else "warn" if lost < 0.01 * judged else "bad"
        found.append(
            (
                state,
                "Every attempt judged" if lost == 0 else "Attempts not judged",
                f"{lost:,} of {judged:,} test attempts were unscorable.",
            )
        )
        late = sum(counts.get("timeout", 0) for counts in evidence.outcomes.values())
        if late:
            found.append(("warn", "Programs out of time", f"{late:,} of {judged:,} test attempts ran out of time and score 0."))
        cut, total = max(((evidence.cut[p], sum(c.values())) for p, c in evidence.outcomes.items()), key=lambda x: x[0] / x[1])
        state = "ok" if cut < 0.05 * total else "warn"
        found.append(
            (
                state,
                "Answers have room" if state == "ok" else "Answers cut off",
                f"At most {percent(cut / total, 1)} of test answers ran out of tokens.",
            )
        )
    found += _guarded(evidence)
    if evidence.diagnoses:
        fatal = any(d["fatal"] for d in evidence.diagnoses)
        named = ", ".join(sorted({str(d["name"]) for d in evidence.diagnoses}))
        found.append(
            (
                "bad" if fatal else "warn",
                "The doctor stopped the run" if fatal else "The doctor has findings",
                f"{named}; see below.",
            )
        )
    else:
        found.append(("ok", "The doctor found nothing", "No silent failure was seen during the run."))
    found.append(
        (
            "note",
            "One seed",
            "The intervals cover the choice of test tasks, not the luck of training: repeat with other seeds to cover that.",
        )
    )
    return found
