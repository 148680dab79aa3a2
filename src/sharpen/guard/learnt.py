"""What goes wrong with a reward that is learnt, found in steps, rounds and audits, as doctor.py does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

ROUNDS = 6  # the last three rounds against the three before
RISE = 0.1  # of the learnt reward, over as many rounds, that the held-out verdict should show something of
BLIND = 0.55  # of pairs ranked rightly, below which a reward is hardly better than a coin
AUDITED = 40  # held-out answers before that is said
FOOLED = 0.5  # of tasks in which a hacker's wrong answer is paid as the right one


@dataclass(frozen=True)
class Finding:
    """As `doctor.Diagnosis`, which it becomes."""

    name: str
    evidence: Mapping[str, float]
    cure: str


def look(
    loop: Sequence[Mapping[str, Any]], rounds: Sequence[Mapping[str, Any]], audits: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    """Nothing of it is fatal: the guard keeps the weights from before, and the outcome is the verifier's all the time."""
    for found in (rises_alone(loop, rounds), blind(audits), *fooled(audits)):
        if found:
            yield found


def rises_alone(loop: Sequence[Mapping[str, Any]], rounds: Sequence[Mapping[str, Any]]) -> Finding | None:
    """The learnt reward is up by RISE, the last three rounds against the three before, and the held-out verdict is not: its
    rise, with two standard errors on top, is less than a third of that."""
    paid = {r["round"]: [s["learnt"] for s in loop if s["round"] == r["round"] and _known(s, "learnt")] for r in rounds}
    seen = [r for r in rounds if paid[r["round"]] and r["n"]][-ROUNDS:]
    if len(seen) < ROUNDS:
        return None
    was, now = (fmean(fmean(paid[r["round"]]) for r in part) for part in (seen[: ROUNDS // 2], seen[ROUNDS // 2 :]))
    before, after = (fmean(r["accuracy"] for r in part) for part in (seen[: ROUNDS // 2], seen[ROUNDS // 2 :]))
    middle = (before + after) / 2
    noise = math.sqrt(2 * middle * (1 - middle) / seen[-1]["n"] / (ROUNDS // 2))
    if now - was < RISE or after - before + 2 * noise >= (now - was) / 3:
        return None
    evidence = {"learnt_before": was, "learnt": now, "held_out_before": before, "held_out": after, "standard_error": noise}
    cure = (
        "The student learns what the reward model likes, and it likes what is not better: look at answers that it pays "
        "(`sharpen report RUN`) and at what fools it (`sharpen rewards RUN`), teach it at a higher rate, Role.lr, or pay a "
        "share of the verifier's own reward, --set blend=0.5."
    )
    return Finding("learnt_reward_rises_alone", evidence, cure)


def blind(audits: Sequence[Mapping[str, Any]]) -> Finding | None:
    """In the last three audits it ranks right above wrong answers hardly better than a coin."""
    last = [row["calibration"] for row in audits[-3:]]
    known = [c for c in last if c and c["auc"] is not None and c["n"] >= AUDITED]
    if len(known) < 3 or max(c["auc"] for c in known) >= BLIND:
        return None
    evidence = {"ranked_rightly": fmean(c["auc"] for c in known), "error": known[-1]["error"], "answers": float(known[-1]["n"])}
    cure = "It does not know right from wrong yet: give it more lessons before it pays, a higher Role.lr, or a larger model."
    return Finding("learnt_reward_blind", evidence, cure)


def fooled(audits: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """A scripted hacker gets by in the last two audits."""
    last = [{act["name"]: act for act in row["gallery"]} for row in audits[-2:]]
    if len(last) < 2:
        return
    for name in last[-1]:
        if all(name in acts and acts[name]["fooled"] >= FOOLED for acts in last):
            act = last[-1][name]
            evidence = {"fooled": float(act["fooled"]), "lift": float(act["lift"]), "tasks": float(act["n"])}
            cure = (
                f"Wrong answers in the dress {name!r} are paid as much as right ones: `sharpen rewards RUN` shows it. Answers "
                "of that kind will come once they pay: teach them as hard negatives, or ask another judge."
            )
            yield Finding(f"learnt_reward_fooled_{name}", evidence, cure)


def _known(step: Mapping[str, Any], key: str) -> bool:
    return step.get(key) is not None and math.isfinite(step[key])
