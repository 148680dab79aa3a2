"""Rules that a run has found, kept where they are better on instances that nobody has seen.

The library (what rollouts and select ask for by the name `library`) has

    rules  a list of {text, gap}, best first, at most MOST

A rule is taken in only with its gap on instances of its own, the same for all (`ACCEPTANCE`): neither those of a question, nor
those that its answer was judged on. So a rule that fits its examples by luck does not get in.
Source: EDDC and MDDC, arXiv 2510.24013: evolution by a language model, fitness by the objective. Its islands are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sharpen.core import Sample
from sharpen.data.selection import keep_all
from sharpen.hashing import derive
from sharpen.verify import scheduling

MOST = 8
SHOWN = 3
ACCEPTANCE = derive(0, "accepted rules")
COUNT = 24  # instances
HEAD = "Rules that were found before, the best first:"


def known(library: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(library.get("rules", ())) or [measured(scheduling.EDD)]


def measured(text: str) -> dict[str, Any]:
    return {"text": text, "gap": scheduling.gap(text, scheduling.instances(ACCEPTANCE, scheduling.JOBS, COUNT))}


def told(library: Mapping[str, Any]) -> str:
    """The system message that shows the best rules."""
    return "\n".join([HEAD, *(f"{rule['text']} (gap {rule['gap']:.3f})" for rule in known(library)[:SHOWN])])


def accepting(samples: Sequence[Sample], *, library: dict[str, Any]) -> list[Sample]:
    """`keep_all`; rules that close more of EDD's gap than none are measured once more, and the best are kept in the library."""
    kept = keep_all(samples)
    rules = {rule["text"]: rule for rule in known(library)}
    for sample in kept:
        text = sample.rollout.response.strip().splitlines()[-1:] or [""]
        if sample.verdict.outcome != "malformed" and (sample.verdict.reward or 0) > 0 and text[0] not in rules:
            try:
                rules[text[0]] = measured(text[0])
            except scheduling.NoRule:  # it stood between the marks of an answer: what cannot be shown again is not kept
                continue
    library["rules"] = sorted(rules.values(), key=lambda rule: (rule["gap"], len(rule["text"]), rule["text"]))[:MOST]
    return kept
