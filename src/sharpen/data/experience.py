"""Experience in words: insights that a run has learnt from its failures, and keeps by what they cause.

The library is what rollouts, select and grow ask for by the name `library`: a dict of JSON. Here it has

    insights  a list of {taxonomy, condition, explanation, example, positive, negative, missed}

1. An insight is of a family (`taxonomy`) and for questions with most of the words of its `condition`; "" is all of them.
   `explanation` is what the student is told, `example` the task that it was learnt from.
2. What it causes is counted (`noting`): questions answered right with it (positive), wrong with it (negative), and wrong
   without it in its family (missed); the last REMEMBERED of each.
3. Between rounds (`learn`) conditions are refined by these, harmful insights retired, and new ones taken in, once a task that
   was failed is solved with them and was not without.

Source: AlphaOPT, arXiv 2510.18428, whose conditions a model judges; here words do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sharpen.core import Arm, Ask, GrowthGenerator, Sample, Task
from sharpen.data import measures, screen
from sharpen.data.selection import keep_all
from sharpen.verify import verify

Insight = dict[str, Any]
COUNTS = ("positive", "negative", "missed")
REMEMBERED = 64  # questions of each kind
MOST = 200  # insights
WORD = re.compile(r"[^\W\d_]{2,}")
VARIANTS = 5
ASKED = (
    "This question was answered wrongly.\n{question}\nWhat was said: {said}\nRight is: {answer}\n"
    "In one sentence, what rule avoids this mistake?"
)
LONGEST = 400  # characters of an explanation, or of an example


def told(insights: Sequence[Insight]) -> str:
    """The system message that insights make; "" of none."""
    lines = [f"- {one['explanation']}" for one in insights]
    return "\n".join(["What was learnt from earlier mistakes:", *lines]) if lines else ""


def spoken(text: str) -> set[str]:
    return {word.casefold() for word in WORD.findall(text)}


def applies(condition: str, words: set[str]) -> bool:
    """Whether at least half of the condition's words are among these; always, of an empty one."""
    wanted = spoken(condition)
    return 2 * len(wanted & words) >= len(wanted)


def retrieved(library: Mapping[str, Any], task: Task, most: int = 2) -> list[Insight]:
    """The insights for a task, best first: those that were right more often than wrong, by the difference."""
    words = spoken(screen.text(task))
    fitting = [
        one for one in library.get("insights", []) if one["taxonomy"] == task.family and applies(one["condition"], words)
    ]
    return sorted(fitting, key=lambda one: len(one["negative"]) - len(one["positive"]))[:most]


def noting(samples: Sequence[Sample], most: int = 2, *, library: dict[str, Any]) -> list[Sample]:
    """`keep_all`; what was retrieved for each sample, and how it came out, is noted. `most` as in the rollout."""
    kept = keep_all(samples)
    for sample in kept:
        task = sample.rollout.task
        used = retrieved(library, task, most)
        for one in library.get("insights", []):
            if any(one is other for other in used):
                note(one, "positive" if sample.verdict.correct else "negative", task)
            elif one["taxonomy"] == task.family and not sample.verdict.correct:
                note(one, "missed", task)
    return kept


def note(one: Insight, kind: str, task: Task) -> None:
    one[kind] = [*one[kind], screen.text(task)[:LONGEST]][-REMEMBERED:]


def performance(condition: str, one: Insight) -> float:
    """(positives still retrieved + missed now retrieved + negatives no longer retrieved) / all of them; 1 of none."""
    kept = [applies(condition, spoken(text)) == (kind != "negative") for kind in COUNTS for text in one[kind]]
    return sum(kept) / len(kept) if kept else 1.0


def refined(one: Insight, variants: Sequence[str]) -> Insight:
    """The insight with the best of these conditions, where that beats the present one: positives / all.

    A new condition begins a new count.
    """
    counted = {kind: len(one[kind]) for kind in COUNTS}
    total = sum(counted.values())
    best = max(variants, key=lambda condition: performance(condition, one), default=one["condition"])
    if not total or performance(best, one) <= counted["positive"] / total or best == one["condition"]:
        return one
    return one | {"condition": best} | {kind: [] for kind in COUNTS}


def variants(one: Insight) -> list[str]:
    """Conditions that tell where it helps from where it harms: of the words by which these differ most, the first 1, 2, …"""
    good = [spoken(text) for kind in ("positive", "missed") for text in one[kind]]
    bad = [spoken(text) for text in one["negative"]]
    known = sorted({word for words in [*good, *bad] for word in words})
    share = {w: share_of(w, good) - share_of(w, bad) for w in known}
    ranked = sorted(known, key=lambda word: (-share[word], word))
    return ["", *(" ".join(ranked[:n]) for n in range(1, VARIANTS) if ranked[:n])]


def share_of(word: str, texts: Sequence[set[str]]) -> float:
    return sum(word in words for words in texts) / max(len(texts), 1)


def harmful(one: Insight, least: int = 4) -> bool:
    """Whether it was wrong more often than right, of at least so many times."""
    right, wrong = len(one["positive"]), len(one["negative"])
    return right + wrong >= least and wrong > right


def learn(
    failed: Sequence[Sample],
    arms: Sequence[Arm],
    rng: np.random.Generator,
    each: int = 4,
    tries: int = 3,
    writer: str = "",
    *,
    library: dict[str, Any],
) -> GrowthGenerator:
    """Refine the library, then learn from at most `each` failures, of different families first. Grows no tasks.

    writer  role that words the insights; "": the student. An insight is taken in where the student, told it, solves the failed
            task in some of `tries` tries, and in fewer without it
    """
    insights = [refined(one, variants(one)) for one in library.get("insights", []) if not harmful(one)]
    library["insights"] = insights
    chosen = of_each_family([s for s in failed if s.rollout.task.verifier not in measures.IN_PROCESS], each, rng)
    if not chosen:
        return []
    asked = [
        ASKED.format(
            question=screen.text(t := s.rollout.task), said=s.rollout.response[:LONGEST], answer=t.solution or t.answer
        )
        for s in chosen
    ]
    lessons = yield [Ask(({"role": "user", "content": text},), role=writer) for text in asked]
    tests: list[tuple[int, bool, Ask]] = []
    for i, (sample, lesson) in enumerate(zip(chosen, lessons, strict=True)):
        task = sample.rollout.task
        one = insight(task, lesson.text)
        system: dict[str, Any] = {"role": "system", "content": told([one])}
        bare = tuple(m for m in task.prompt if m.get("role") != "system")
        tests += [
            (i, with_it, Ask((system, *bare) if with_it else task.prompt)) for with_it in (True, False) for _ in range(tries)
        ]
    turns = yield [ask for _, _, ask in tests]
    right = {(i, with_it): 0 for i in range(len(chosen)) for with_it in (True, False)}
    for (i, with_it, _), turn in zip(tests, turns, strict=True):
        right[i, with_it] += verify(chosen[i].rollout.task, turn.text).correct
    for i, (sample, lesson) in enumerate(zip(chosen, lessons, strict=True)):
        if lesson.text.strip() and right[i, True] > right[i, False]:
            insights.append(insight(sample.rollout.task, lesson.text))
    library["insights"] = insights[-MOST:]
    return []


def insight(task: Task, explanation: str) -> Insight:
    text = " ".join(explanation.split())[:LONGEST]
    example = screen.text(task)[:LONGEST]
    return {"taxonomy": task.family, "condition": "", "explanation": text, "example": example} | {kind: [] for kind in COUNTS}


def of_each_family(samples: Sequence[Sample], n: int, rng: np.random.Generator) -> list[Sample]:
    """At most n samples in random order, of each family one before any gets a second."""
    order = [samples[i] for i in rng.permutation(len(samples))]
    seen: dict[str, int] = {}
    rank = []
    for i, sample in enumerate(order):
        family = sample.rollout.task.family
        rank.append((seen.get(family, 0), i))
        seen[family] = seen.get(family, 0) + 1
    return [order[i] for _, i in sorted(rank)[:n]]
