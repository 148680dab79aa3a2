"""Refusing what one cannot do, after an honest try: neither false answers nor laziness. Expert iteration with a moving
reward."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sharpen.core import Sample
from sharpen.data.lengths import steps_of
from sharpen.data.pairs import by_prompt

SAID = "I do not know."
REFUSED = re.compile(r"\bI (?:do not|don't) know\b|\bI am not sure\b|\bI cannot (?:answer|tell)\b", re.IGNORECASE)


def refusal(steps: float, c1: float, c2: float) -> float:
    """What a refusal after so many steps is worth, from -1 to 1: 0 at c1, less for one that hardly tried. Source: Auto-CEI
    (arXiv 2410.07627, equation 2)."""
    return math.tanh(c2 * (steps - c1) / 2)


def climbed(state: dict[str, Any], f: float) -> dict[str, Any]:
    """The next c1 of a hill climb, after `f` was found at this one: on in the same direction while it rises, else to the other
    side of the best, and to stay there once both sides were worse. `state` has c1 and step."""
    best, side = state.get("best"), state.get("side", 1)
    tried = [*state.get("tried", []), round(state["c1"], 6)]
    if best is None or f > best:
        state = {**state, "best": f, "best_c1": state["c1"]}
    else:
        side = -side
    following = state["best_c1"] + side * state["step"]
    if round(following, 6) in tried:
        following = state["best_c1"]
    return {**state, "side": side, "tried": tried, "c1": following}


def expert_iteration(
    samples: Sequence[Sample],
    start: float = 0.2,
    every: int = 10,
    lam: float = 0.2,
    tau: float = 0.5,
    *,
    progress: float,
    notes: dict[str, Any],
    retell: Callable[..., Sample],
) -> list[Sample]:
    """Right answers, and refusals by how long they tried: what Auto-CEI (arXiv 2410.07627) imitates.

    Up to the share `start` of the budget refusals are shown: of each prompt that nobody solved, the longest answer is told
    again with SAID behind it. Then an answer is worth 1 where it is right, -1 where it is wrong, and `refusal` where it says
    that it does not know. Those of -1 are dropped; each other one weighs 1 + n * its share in a softmax of worth / tau over its
    prompt's n answers: what resampling n of them adds on average. Every `every` steps c1 is climbed for (1 - lam) precision +
    lam (1 - refusal rate) of the steps since.
    """
    groups = by_prompt(samples)
    if progress < start:
        return shown(groups, retell)
    own = notes.setdefault("auto_cei", {"counts": [0, 0, 0], "steps": 0})
    tries = [s for group in groups for s in group if not s.verdict.correct and REFUSED.search(s.rollout.response)]
    lengths = [len(steps_of(s.rollout.response)) for s in tries]
    if "climb" not in own:
        spread = max(float(np.std(lengths)) if lengths else 0.0, 0.5)
        step = min(0.2 * spread, 0.5)
        centre = float(np.mean(lengths)) if lengths else 1.0
        own["climb"], own["c2"] = {"c1": centre + step, "step": step}, math.log(10) / (4 * spread)
    found: list[Sample] = []
    for group in groups:
        worth = np.array([worth_of(s, own["climb"]["c1"], own["c2"]) for s in group])
        share = np.exp((worth - worth.max()) / tau)
        share /= share.sum()
        more = len(group) * share
        found += [replace(s, weight=s.weight * (1 + m)) for s, w, m in zip(group, worth, more, strict=True) if w > -1]
    right = sum(s.verdict.correct for group in groups for s in group)
    added = [right, len(tries), sum(map(len, groups))]
    own["counts"] = [a + b for a, b in zip(own["counts"], added, strict=False)]
    own["steps"] += 1
    if own["steps"] % every == 0:
        own["climb"] = climbed(own["climb"], objective(own["counts"], lam))
        own["counts"] = [0, 0, 0]
    return found


def worth_of(sample: Sample, c1: float, c2: float) -> float:
    if sample.verdict.correct:
        return 1.0
    text = sample.rollout.response
    return refusal(len(steps_of(text)), c1, c2) if REFUSED.search(text) else -1.0


def objective(counts: Sequence[float], lam: float) -> float:
    """(1 - lam) * right among answered + lam * (1 - share refused); counts are right, refused and all answers."""
    right, refused, n = counts[:3]
    precision = right / (n - refused) if n > refused else 0.0
    return (1 - lam) * precision + lam * (1 - refused / n if n else 1.0)


def shown(groups: Sequence[Sequence[Sample]], retell: Callable[..., Sample]) -> list[Sample]:
    """Right answers, and a refusal after the longest answer to each prompt that has none."""
    found: list[Sample] = []
    for group in groups:
        right = [s for s in group if s.verdict.correct]
        found += right
        if not right and group:
            tried = max(group, key=lambda s: len(s.rollout.response))
            text = re.sub(r"</?answer>", "", tried.rollout.response).rstrip()
            # As an answer of the same worth: the verdict stays wrong, and only its text is imitated.
            found.append(retell(tried, tried.rollout.task.prompt, f"{text} {SAID}"))
    return found
