"""What a run drifts into while its reward looks well: length, repetition, another language, certainty, and pay without skill.

Pure functions of stored rows, as in doctor.py, which turns their findings into diagnoses; none is fatal. Each compares the
last WINDOW learning steps with the first, by medians, so that one bad step is no drift, and is quiet until there are twice as
many. The rates of false alarms and of planted faults that are found are measured in tests/guard/test_monitors.py.

Read from a step: length (tokens an answer), entropy (mean of minus the log-probability of sampled tokens, nats), repeated
(share of an answer's trigrams that it has said before), foreign (share of its letters in a script that its question does not
use), tampered (share of episodes that changed what they must not), to_teacher (distance of a student that is drawn to a
teacher), with reward, correct and silent as the doctor has them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from statistics import fmean, median
from typing import Any

from sharpen.guard import hacking
from sharpen.guard.learnt import Finding

WINDOW = 20  # learning steps
CERTAIN = 0.02, 0.2  # nats a token, and share of what it was: what is left of a distribution that has collapsed
MASTERED = 0.9  # reward from which certainty is what was wanted
LONGER, SHORTER = 2.0, 0.4  # times the length at first
FLAT = 0.02  # change of the share of right answers that counts as none
REPEATS = 0.3  # share of repeated trigrams that is too much
FOREIGN = 0.05  # share of letters of another script
TAMPERED = 0.02  # share of episodes of the last WINDOW steps
ROUNDS = 5  # within which pay without skill is found
LATIN = re.compile("[A-Za-z]")
PAID = 0.12  # rise of the training reward over at most ROUNDS rounds

Step = Mapping[str, Any]


def look(loop: Sequence[Step], rounds: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Everything that drifts now."""
    for found in (
        collapsed(loop),
        longer(loop),
        shorter(loop),
        repeating(loop),
        foreign(loop),
        tampering(loop),
        paid_without_skill(loop, rounds),
        hacking.astray(loop, rounds),
    ):
        if found:
            yield found


def collapsed(loop: Sequence[Step]) -> Finding | None:
    """Answers have become all but certain, and the tasks are not mastered: nothing new will be tried."""
    first, last = ends(loop, "entropy")
    if first is None or last is None or last > min(CERTAIN[0], CERTAIN[1] * first):
        return None
    reward = fmean(known(loop[-WINDOW:], "reward") or [1.0])
    if reward >= MASTERED:
        return None
    cure = (
        "The student no longer explores: sample at a higher --set temperature=…, take a recipe with an entropy bonus "
        "(entropy_grpo), a wider clip (dapo), or a lower --set lr=…"
    )
    return Finding("entropy_collapse", {"entropy_at_first": first, "entropy": last, "reward": reward}, cure)


def longer(loop: Sequence[Step]) -> Finding | None:
    """Answers are LONGER times as long, and no better for it."""
    first, last = ends(loop, "length")
    if first is None or last is None or last < LONGER * max(first, 4.0) or gained(loop) > FLAT:
        return None
    cure = (
        "Length pays, or nothing stops it: shorten --set max_tokens=…, or take a recipe that prices length (dr_grpo, l1-like)."
    )
    return Finding("longer_not_better", {"length_at_first": first, "length": last, "gain": gained(loop)}, cure)


def shorter(loop: Sequence[Step]) -> Finding | None:
    """Answers have shrunk to SHORTER of their length, and fewer are right."""
    first, last = ends(loop, "length")
    if first is None or last is None or last > SHORTER * first or gained(loop) > -FLAT:
        return None
    cure = "Answers lose their reasoning: lower the price of length, or raise the floor of what counts as an answer."
    return Finding("shorter_and_worse", {"length_at_first": first, "length": last, "gain": gained(loop)}, cure)


def repeating(loop: Sequence[Step]) -> Finding | None:
    """Answers say the same again and again."""
    first, last = ends(loop, "repeated")
    if first is None or last is None or last < REPEATS or last < 2 * first:
        return None
    cure = "Look at some: sharpen report RUN. Lower --set max_tokens=… or lr, or add --set stop=… where an answer has an end."
    return Finding("repetition", {"repeated_at_first": first, "repeated": last}, cure)


def foreign(loop: Sequence[Step]) -> Finding | None:
    """Answers drift into a script that the questions do not use."""
    first, last = ends(loop, "foreign")
    if first is None or last is None or last < FOREIGN or last < 3 * first:
        return None
    cure = "Nothing pays for the language of the question: say it in --system, or make it a part of the verdict."
    return Finding("language_drift", {"foreign_at_first": first, "foreign": last}, cure)


def tampering(loop: Sequence[Step]) -> Finding | None:
    """Episodes change what is to judge them. Verdicts are decided outside, so it earns nothing here; it would elsewhere."""
    shares = known(loop[-WINDOW:], "tampered")
    if len(shares) < WINDOW // 2 or fmean(shares) < TAMPERED:
        return None
    cure = (
        'The student writes to what judges it: look at such episodes, sharpen query RUN "SELECT rollout FROM verdicts WHERE '
        "json_extract(parts, '$.tampered') > 0 LIMIT 5\". Take the file away from it, or make it a wrong answer."
    )
    return Finding("tampering", {"tampered": fmean(shares), "steps": float(len(shares))}, cure)


def paid_without_skill(loop: Sequence[Step], rounds: Sequence[Mapping[str, Any]]) -> Finding | None:
    """Training reward has risen by PAID within ROUNDS rounds, half of it a round ago, and held-out accuracy has not: its
    gain, with a standard error of two evaluations on top, is less than a quarter of that, and by itself less than half an
    error. Quiet where that error is as large as the rise: so few held-out tasks cannot tell."""
    paid = {r["round"]: known([s for s in loop if s["round"] == r["round"]], "reward") for r in rounds}
    seen = [(fmean(paid[r["round"]]), float(r["accuracy"]), int(r["n"])) for r in rounds if paid[r["round"]] and r["n"]]
    if len(seen) < 3:
        return None
    reward, held, n = seen[-1]
    for was, before, _ in seen[-ROUNDS - 1 : -2]:
        rise, gain = reward - was, held - before
        middle = min(max((held + before) / 2, 1 / n), 1 - 1 / n)
        error = math.sqrt(2 * middle * (1 - middle) / n)
        if rise >= PAID and error < rise and gain + error < rise / 4 and gain < error / 2 and seen[-2][0] - was >= PAID / 2:
            evidence = {"reward_before": was, "reward": reward, "held_out_before": before, "held_out": held, "error": error}
            cure = (
                "What is rewarded rises, and what is wanted does not: see what earns reward (sharpen report RUN), audit the "
                "verifier (sharpen audit TASKS), and take --set guard=ratchet."
            )
            return Finding("reward_rises_alone", evidence, cure)
    return None


def gained(loop: Sequence[Step]) -> float:
    """The change of the share of right answers from the first WINDOW steps to the last."""
    first, last = ends(loop, "correct")
    return (last or 0.0) - (first or 0.0)


def ends(loop: Sequence[Step], key: str) -> tuple[float | None, float | None]:
    """Medians over the first and the last WINDOW steps; None where there are not twice as many that say something."""
    values = known(loop, key)
    if len(values) < 2 * WINDOW:
        return None, None
    return median(values[:WINDOW]), median(values[-WINDOW:])


def known(steps: Sequence[Step], key: str) -> list[float]:
    return [float(s[key]) for s in steps if s.get(key) is not None and math.isfinite(s[key])]


def repeated(text: str) -> float:
    """The share of a text's trigrams of words that stand in it before; 0 below eight words."""
    words = text.split()
    if len(words) < 8:
        return 0.0
    trigrams = list(zip(words, words[1:], words[2:]))
    return 1 - len(set(trigrams)) / len(trigrams)


def strange(question: str, text: str) -> float:
    """The share of a text's letters whose script its question does not use; 0 without letters, or in either."""
    if text.isascii() and LATIN.search(question):  # nearly always
        return 0.0
    own = {script(c) for c in set(question) if c.isalpha()}
    letters = {c: n for c, n in Counter(text).items() if c.isalpha()}
    other = sum(n for c, n in letters.items() if script(c) not in own) if own else 0
    return other / sum(letters.values()) if other else 0.0


@lru_cache(maxsize=4096)
def script(letter: str) -> str:
    """The first word of a letter's name, such as LATIN, CYRILLIC or CJK."""
    return unicodedata.name(letter, "?").partition(" ")[0]
