"""Verifiers that need no gold answer: format, length, repetition, a rubric; and `composite`, which adds verifiers up.

Each is a verifier (task, response) -> Verdict with settings as keyword arguments, so a recipe holds a `functools.partial` of
one. Format, length and repetition say nothing about whether a response is right: alone they are easily satisfied by an empty
thought, so they belong into a `composite` with a verifier of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import regex

from sharpen.core import OUTCOMES, Task, UserError, Verdict, suggest
from sharpen.verify import judge_model, verdicts
from sharpen.verify.maths import NUMBERS, without_thoughts
from sharpen.verify.verdicts import Verifier, read_number

VERSION = "1"
LONGEST = 200_000  # characters of a response that a rubric reads
LONGEST_PATTERN = 1_000  # characters
LONGEST_MATCH = 0.5  # seconds of one pattern on one response


def format_tags(task: Task, response: str, tags: Sequence[str] = ("think", "answer")) -> Verdict:
    """Each tag opened and closed exactly once, in this order, none inside another, and nothing but spaces outside them."""
    at = 0
    for tag in tags:
        opened, closed = f"<{tag}>", f"</{tag}>"
        if response.count(opened) != 1 or response.count(closed) != 1:
            return _format(False, f"<{tag}> must be opened and closed exactly once.")
        start, end = response.find(opened), response.find(closed)
        if start < at or response[at:start].strip() or end < start:
            return _format(False, f"<{tag}> is not where it belongs: {', '.join(tags)}, with nothing between or around them.")
        at = end + len(closed)
    if response[at:].strip():
        return _format(False, f"Nothing may follow </{tags[-1]}>." if tags else "Nothing may be said.")
    return _format(True, "")


def _format(right: bool, feedback: str) -> Verdict:
    return Verdict("correct" if right else "malformed", float(right), feedback=feedback, rule="format", version=VERSION)


def length_budget(task: Task, response: str, limit: int, cache: int, unit: str = "words") -> Verdict:
    """1 up to limit - cache, from there falling linearly to 0 at limit: 1 + the soft overlong punishment of DAPO.

    Source: arXiv 2503.14476, section 3.4 (in tokens; `data.soft_overlong` counts those). Here `unit` is "words" or
    "characters". Outcome `limit` where anything is taken off. Raises UserError unless 0 < cache <= limit.
    """
    if not 0 < cache <= limit or unit not in ("words", "characters"):
        raise UserError(f"length_budget needs 0 < cache <= limit and words or characters, got {limit=}, {cache=}, {unit=}")
    length = len(response.split()) if unit == "words" else len(response)
    reward = 1.0 - min(max(length - (limit - cache), 0) / cache, 1.0)
    if reward == 1:
        return Verdict("correct", 1.0, rule="length", version=VERSION)
    return Verdict(
        "limit", reward, feedback=f"The response has {length} {unit}; at most {limit - cache}.", rule="length", version=VERSION
    )


def repetition(task: Task, response: str, n: int = 4, least: float = 0.8) -> Verdict:
    """The share of different n-grams among all n-grams of words, blind to case; 1 for fewer than n + 1 words.

    Outcome `correct` from `least` on. With the share d, 1 - d is the repetition penalty of "Demystifying Long
    Chain-of-Thought", arXiv 2502.03373, section 4.4 (counted per n-gram, not per token). Raises UserError unless n >= 1.
    """
    if n < 1:
        raise UserError(f"repetition needs n >= 1, got {n}")
    words = response.casefold().split()
    grams = list(zip(*(words[i:] for i in range(n))))
    share = len(set(grams)) / len(grams) if grams else 1.0
    feedback = "" if share >= least else "The response repeats itself."
    return Verdict(
        "correct" if share >= least else "wrong", share, feedback=feedback, rule=f"distinct {n}-grams", version=VERSION
    )


def rubric(task: Task, response: str, endpoint: judge_model.Endpoint | None = None) -> Verdict:
    """A checklist: reward is the weight of the items that are met over the weight of all; correct where every item is met.

    Thoughts are not looked at.

    Task data `rubric`: a list of {"kind", "value"} objects, which may have `weight` (1), `name`, and `not` (true: must not be
    so). Kinds: contains, starts_with, ends_with (texts, blind to case), regex (searched; a match that takes too long is an
    unmet item), number (a number of this value stands in the text), max_words, min_words, max_characters, min_characters, and
    judge (a question to the judge model, see `judge_model`; all of them are asked at once). Parts: each item's 0 or 1 by its
    name. `unscorable`: a rubric that cannot be read, or a judge that does not answer.
    """
    items = task.data.get("rubric") or ()
    if problem := rubric_problem(items):
        return Verdict("unscorable", None, feedback=problem, rule="rubric", version=VERSION)
    response = without_thoughts(response)
    if not response.strip():
        return Verdict("malformed", 0.0, feedback="There is no answer.", rule="rubric", version=VERSION)
    if len(response) > LONGEST:
        return Verdict(
            "limit", 0.0, feedback=f"The response has more than {LONGEST} characters.", rule="rubric", version=VERSION
        )
    version = VERSION
    scores: dict[int, float] = {}
    if questions := {i: str(item["value"]) for i, item in enumerate(items) if item["kind"] == "judge"}:
        ruling = judge_model.ask(task, response, list(questions.values()), endpoint or judge_model.from_environment())
        version = f"{VERSION}, {ruling.version}"
        if ruling.scores is None:
            return Verdict("unscorable", None, feedback=ruling.feedback, rule="rubric: judge", version=version)
        scores = {i: float(score >= 0.5) for i, score in zip(questions, ruling.scores)}
    parts: dict[str, float] = {}
    won = 0.0
    for i, item in enumerate(items):
        met = _met(item, response, scores.get(i))
        won += met * item.get("weight", 1)
        parts[item.get("name") or f"{i + 1}. {item['kind']}"] = float(met)
    total = sum(item.get("weight", 1) for item in items)
    missed = [name for name, met in parts.items() if not met]
    feedback = f"Not met: {', '.join(missed)}." if missed else ""
    return Verdict("wrong" if missed else "correct", won / total if missed else 1.0, parts, feedback, "rubric", version)


def rubric_problem(items: Any) -> str:
    """What is wrong with a rubric, or ""."""
    if not isinstance(items, Sequence) or isinstance(items, str) or not items:
        return "the task's rubric is not a list with items"
    names = set()
    for i, item in enumerate(items, 1):
        if not isinstance(item, Mapping) or item.get("kind") not in KINDS:
            kind = str(item.get("kind")) if isinstance(item, Mapping) else str(item)
            return f"item {i} of the rubric has no known kind: {kind!r}.{suggest(kind, KINDS)} There are: {', '.join(KINDS)}."
        if unknown := set(item) - {"kind", "value", "weight", "name", "not"}:
            return f"item {i} of the rubric has an unknown field {sorted(unknown)[0]!r}"
        value, weight = item.get("value"), item.get("weight", 1)
        wanted = KINDS[item["kind"]]
        if isinstance(value, bool) or not isinstance(value, (int, float) if wanted == "number" else str) or value == "":
            return f"item {i} of the rubric: {item['kind']} needs a {wanted} as its value"
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < 1e9:
            return f"item {i} of the rubric: the weight must be a number above 0"
        name = item.get("name") or f"{i}. {item['kind']}"
        if name in names:
            return f"two items of the rubric are called {name!r}"
        names.add(name)
        if item["kind"] == "regex" and (problem := _pattern_problem(str(value))):
            return f"item {i} of the rubric: {problem}"
    return ""


def _pattern_problem(pattern: str) -> str:
    if len(pattern) > LONGEST_PATTERN:
        return f"a pattern of more than {LONGEST_PATTERN} characters"
    try:
        regex.compile(pattern)
    except regex.error as e:
        return f"no pattern: {e}"
    return ""


def _met(item: Mapping[str, Any], response: str, score: float | None) -> bool:
    """Whether an item is met. A pattern that takes too long is met neither way round."""
    kind, value, text = item["kind"], item["value"], response.strip()
    if kind == "judge":
        found = bool(score)
    elif kind == "regex":
        try:
            found = regex.search(value, response, timeout=LONGEST_MATCH) is not None
        except TimeoutError:
            return False
    elif kind == "number":
        wanted = Fraction(str(value))
        written = (re.sub(r"[$€£¥%!\s]", "", match) for match in re.findall(NUMBERS, text))
        found = any(read_number(part) == wanted for match in written for part in re.split(r"[*/^×÷·:–]|or|and|to", match))
    elif kind.endswith(("_words", "_characters")):
        length = len(text.split()) if kind.endswith("words") else len(text)
        found = length <= value if kind.startswith("max") else length >= value
    else:
        folded, wanted_text = text.casefold(), value.casefold()
        tests = {
            "contains": wanted_text in folded,
            "starts_with": folded.startswith(wanted_text),
            "ends_with": folded.endswith(wanted_text),
        }
        found = tests[kind]
    return found != bool(item.get("not", False))


KINDS = {
    **dict.fromkeys(("contains", "starts_with", "ends_with", "regex", "judge"), "text"),
    **dict.fromkeys(("number", "max_words", "min_words", "max_characters", "min_characters"), "number"),
}


def composite(task: Task, response: str, parts: Mapping[str, tuple[Verifier, float]], gate: Sequence[str] = ()) -> Verdict:
    """The weighted mean of several verifiers' rewards; the outcome is that of the first, which should be the answer's.

    parts  name -> (verifier, weight above 0). With {"answer": (maths.math, 0.9), "format": (format_tags, 0.1)} a right answer
           in the wrong format has reward 0.9 and is still correct, a wrong one in the right format has 0.1 and is wrong.
    gate   names of parts that must have reward 1, or the whole reward is 0 and the outcome that part's.
    `unscorable` where any part is. Verdict parts: each verifier's reward by its name. Raises UserError for bad settings.
    """
    if not parts or any(weight <= 0 for _, weight in parts.values()) or set(gate) - set(parts):
        raise UserError("composite needs parts, each with a weight above 0, and gates that are names of parts")
    verdicts = {name: verifier(task, response) for name, (verifier, _) in parts.items()}
    main = next(iter(verdicts.values()))
    version = "; ".join(f"{name} {verdict.version}" for name, verdict in verdicts.items())
    rule = "; ".join(f"{name}: {verdict.rule}" for name, verdict in verdicts.items())
    feedback = " ".join(verdict.feedback for verdict in verdicts.values() if verdict.feedback)
    if any(verdict.reward is None for verdict in verdicts.values()):
        return Verdict("unscorable", None, feedback=feedback, rule=rule, version=version)
    rewards = {name: verdict.reward or 0.0 for name, verdict in verdicts.items()}
    outcome = main.outcome
    total = sum(weight for _, weight in parts.values())
    reward = sum(rewards[name] * weight for name, (_, weight) in parts.items()) / total
    if shut := [name for name in gate if rewards[name] < 1]:
        reward, outcome = 0.0, verdicts[shut[0]].outcome
        outcome = "wrong" if outcome == "correct" else outcome
    assert outcome in OUTCOMES
    return Verdict(outcome, reward, rewards, feedback, rule, version)


def hints(task: Task, response: str, longest: int = 400) -> Verdict:
    """The verdict by the verifier that the task names, and as parts two things that are no part of it: `format`, 1 where the
    final answer stands in <answer>…</answer> and nothing behind it, and `short`, from 1 for an empty response to 0 for one of
    `longest` characters."""
    found = verdicts.verify(task, response)
    ends = response.rstrip().endswith("</answer>") and response.count("<answer>") == 1
    parts = {"format": float(ends), "short": max(1 - len(response) / longest, 0.0)}
    return replace(found, parts={**found.parts, **parts})
