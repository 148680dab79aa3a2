"""The report of a run: did the model get better, by how much with what certainty, at what, at what cost, and can it be trusted.

1. `summary` is the evidence (evidence.py) as JSON: what `sharpen report DIR --json` prints.
2. `render` is the same as one HTML page (page.py), which needs nothing else and works offline.
3. Accuracy is the mean over arms of each arm's accuracy; intervals are 95 % (estimate.py).

A run that is still going, or has no rounds or no evaluation, has a report too, which says what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sharpen.core import Arm, Tally
from sharpen.estimate import Estimate, mean, share
from sharpen.guard import baseline
from sharpen.report import answers, calls, growth, page, streams, users
from sharpen.report.evidence import Skills, gather, samples
from sharpen.store import Store, evaluations
from sharpen.verify import turns


def summary(directory: Path | str) -> dict[str, Any]:
    """The run as one JSON object, without NaN: what is not known yet is null.

    recipe, seed, finished, steps, seconds (all phases), tokens (sampled, evaluations included, worked solutions not)
    rounds      decided ones, without the start: round, answer, accepted (the answer is better), reason, numbers, stage where
                there are several; accuracy,
                ci95, n of the validation stream
    retention   of each evaluation on questions that are never trained on: round, accuracy, ci95, n; empty where there was none
    before, after  test split: accuracy = mean over arms of the arm's accuracy, ci95 = MOVER of the arms' Wilson intervals
                (`estimate.mean`), n = tasks, share = the same of all answers together, outcomes = their numbers by how they
                came out (`core.Tally`; null where not known), readable and right_of_readable = shares of these;
                arms = the same for each "family/level"
    difference  after - before on the tasks tried both times: accuracy, ci95 = MOVER of the arms' paired intervals
                (`estimate.change`), n, share, arms as above; form and skill, which add up to it (answers.py); read_both = tasks
                whose answers could be read both times; says = that in words; fell, rose: the arms whose own interval leaves out
                zero
    growth      what was diagnosed, grown, refused, repaired, and is in dispute (growth.py); null where nothing grows
    stream      of a run over task sets: sets, start, matrix, curve and numbers (streams.py); null of any other
    calls, users  of tools by family (calls.py), and of simulated users accuracy and drop (users.py), before, after; or null
    turns       before, after: accuracy by attempt, friction, and between each two attempts what was mended and spoilt, with
                confidence level, critique score, copies and cost (`verify.turns.figures`); null where nobody tried twice
    examples    in `after`, else in `before`: three answers, verbatim; findings = what is wrong with them
    Raises UserError where the directory is not a run.
    """
    with Store.open(Path(directory), write=False) as store:
        evidence = gather(store)
        shown = {purpose: _examples(store, purpose) for purpose in ("before", "test")}
    difference = _overall(evidence.change)
    if difference:
        made = {name: _fields(e) for name, e in answers.parts(evidence).items()}
        difference |= {**made, "share": _fields(evidence.pairs.change), "read_both": evidence.pairs.both}
        difference |= {"says": [said.replace("\u202f", " ") for said in answers.sentences(evidence)]}
        difference |= {"fell": [str(a) for a, _ in evidence.fallen], "rose": [str(a) for a, _ in evidence.risen]}
    return _clean(
        {
            "recipe": evidence.meta.get("recipe"),
            "seed": evidence.meta.get("seed"),
            "finished": evidence.finished,
            "steps": len(evidence.steps),
            "seconds": sum(evidence.seconds.values()),
            "tokens": sum(tokens for _, tokens in evidence.tokens.values()),
            "rounds": [
                ({"stage": r.stage} if r.stage else {})
                | {"round": r.number, "accepted": r.decision.accepted}
                | vars(r.decision)
                | _fields(r.accuracy)
                for r in evidence.rounds
                if r.decision and r.state != "start"
            ],
            "retention": [{"round": number} | _fields(e) for number, e in evidence.retained],
            "before": _measured(evidence.before, evidence.answers["before"], shown["before"]),
            "after": _measured(evidence.after, evidence.answers["test"], shown["test"]),
            "difference": difference,
            "growth": growth.summary(evidence.grown),
            "stream": streams.summary(evidence.stream),
            "calls": calls.summary(evidence.called),
            "users": users.summary(evidence.met),
            "turns": {n: turns.figures(evidence.attempts[p]) or None for n, p in (("before", "before"), ("after", "test"))},
        }
    )


def render(directory: Path | str, target: Path | None = None) -> Path:
    """Write the page (`report.html` in the run's directory unless told otherwise) and return where it is.

    The page is replaced in one piece. Raises UserError where the directory is not a run or the page cannot be written.
    """
    directory = Path(directory)
    with Store.open(directory, write=False) as store:
        shown = _examples(store, "test") or _examples(store, "before")
        text = page.html(directory, gather(store), samples(store, page.SAMPLES), shown)
    return page.write(text, target or directory / "report.html")


def _fields(estimate: Estimate | None, name: str = "accuracy") -> dict[str, Any]:
    if estimate is None:
        return {name: None, "ci95": None, "n": 0}
    return {name: estimate.value, "ci95": [estimate.low, estimate.high], "n": estimate.n}


def _measured(skills: Skills, tallies: Mapping[Arm, Tally], shown: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Accuracy, and how the answers came out."""
    found = _overall(skills)
    if not found:
        return None
    whole = sum(tallies.values(), Tally())
    for arm, tally in tallies.items():
        found["arms"][str(arm)] |= _came_out(tally)
    right = sum(e.value * e.n for e in skills.values() if e)
    findings = [d.cure for d in baseline.look(whole)]
    return found | {"share": _fields(share(right, found["n"]))} | _came_out(whole) | {"findings": findings, "examples": shown}


def _came_out(tally: Tally) -> dict[str, Any]:
    if not tally.judged:
        return {"outcomes": None, "readable": None, "right_of_readable": None}
    shares = {"readable": answers.readable(tally), "right_of_readable": answers.right_of_readable(tally)}
    return {"outcomes": vars(tally)} | {name: _fields(e, "value") for name, e in shares.items()}


def _examples(store: Store, purpose: str) -> list[dict[str, Any]]:
    """Answers of the last evaluation of this purpose, verbatim."""
    return [baseline.example(sample) for sample in evaluations.examples(store.rows, purpose)]


def _overall(skills: Skills) -> dict[str, Any] | None:
    total = mean(list(skills.values()))
    return _fields(total) | {"arms": {str(arm): _fields(e) for arm, e in skills.items()}} if total else None


def _clean(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, Mapping):
        return {k: _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
