"""The prompt itself is searched: a tree of system messages, each scored by what the student does under it.

The library (what rollouts, select and grow ask for by the name `library`) has

    prompts  a list of {text, parent, level, n, right, failures}: failures counts of each kind of failure

1. A training task is asked under the prompt that its id draws among the live ones; any other under the best so far.
2. Between rounds (`improve`) the best prompts get children: a writer is told what kinds of failure there were, in words that
   people wrote (RULES), and the prompts that led here.
3. A model of the score, ridge regression on the wording, is fitted to the prompts that were tried; of the children the more
   promising half is kept once there are enough.

Source: PROMST, arXiv 2402.08702, sections 3 and 4; the release leaves its score model out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sharpen.core import Arm, Ask, GrowthGenerator, Sample, Task, came_out
from sharpen.data import clusters
from sharpen.data.selection import keep_all
from sharpen.estimate import interval
from sharpen.hashing import derive

Prompt = dict[str, Any]
START = ""  # no instruction
RULES: Mapping[str, str] = {
    "malformed": "The answer could not be found in what was said. Say how the answer has to be written.",
    "cut_off": "The answer was too long and was cut off. Ask for less.",
    "wrong": "The answer was wrong. Ask for each step to be checked.",
    "timeout": "The program took too long. Ask for a faster one.",
    "crash": "The program crashed. Ask for unusual input to be looked after.",
}
WRITE = (
    "A model is given this instruction before each question:\n{text}\nIt came from: {ancestry}\nWhat went wrong:\n{summary}\n"
    "Write a better instruction, in one or two sentences. Write nothing else."
)
LONGEST = 600  # characters of a prompt
FITTED = 8  # prompts that were tried, from which on the score model is asked
TRIED = 4  # answers, from which on a prompt counts as tried
RIDGE = 1.0
LIVE = 8  # prompts that training tasks are asked under


def prompts(library: Mapping[str, Any]) -> list[Prompt]:
    return list(library.get("prompts", ())) or [prompt(START)]


def prompt(text: str, parent: int = -1, level: int = 0) -> Prompt:
    return {"text": text, "parent": parent, "level": level, "n": 0, "right": 0, "failures": {}}


def score(one: Prompt) -> float:
    """The lower end of the success rate's interval: a prompt tried twice is no better than one tried often."""
    return interval(one["right"], one["n"])[0]


def live(library: Mapping[str, Any]) -> list[int]:
    """Numbers of the prompts under which training tasks are asked: the newest LIVE, and the best."""
    known = prompts(library)
    return sorted({*range(max(len(known) - LIVE, 0), len(known)), best(known)})


def best(known: Sequence[Prompt]) -> int:
    return max(range(len(known)), key=lambda i: (score(known[i]), -i))


def chosen(library: Mapping[str, Any], task: Task) -> int:
    """Number of the prompt that a task is asked under."""
    known = live(library)
    return known[derive(0, "prompt", task.id) % len(known)] if task.split == "train" else best(prompts(library))


def scoring(samples: Sequence[Sample], *, library: dict[str, Any]) -> list[Sample]:
    """`keep_all`; how each answer came out is noted at the prompt that it was given under."""
    kept = keep_all(samples)
    numbers = [chosen(library, sample.rollout.task) for sample in kept]
    library["prompts"] = known = [dict(one) for one in prompts(library)]
    for sample, number in zip(kept, numbers, strict=True):
        one = known[number]
        one["n"], one["right"] = one["n"] + 1, one["right"] + int(sample.verdict.correct)
        if not sample.verdict.correct:
            kind = sample.verdict.outcome
            kind = came_out(kind, sample.rollout.stop) if kind in ("wrong", "malformed") else kind
            one["failures"] = {**one["failures"], kind: one["failures"].get(kind, 0) + 1}
    return kept


def improve(
    failed: Sequence[Sample],
    arms: Sequence[Arm],
    rng: np.random.Generator,
    expanded: int = 2,
    children: int = 4,
    min_level: int = 2,
    writer: str = "",
    *,
    library: dict[str, Any],
) -> GrowthGenerator:
    """Children of the `expanded` best prompts, as far as the branch still rises. Grows no tasks.

    writer  role that words them; "": the student
    """
    known = prompts(library)
    tried = [i for i, one in enumerate(known) if one["n"] >= TRIED]
    order = sorted(tried, key=lambda i: -score(known[i]))[:expanded]
    parents = [i for i in order if not fallen(known, i, min_level)]
    if not parents:
        library["prompts"] = known
        return []
    asks = [Ask(({"role": "user", "content": wanted(known, i)},), role=writer) for i in parents for _ in range(children)]
    turns = yield asks
    made: dict[str, Prompt] = {}
    for place, turn in enumerate(turns):
        text, parent = " ".join(turn.text.split())[:LONGEST], parents[place // children]
        if text and all(text != one["text"] for one in known):
            made.setdefault(text, prompt(text, parent, known[parent]["level"] + 1))
    fresh = promising(list(made.values()), [known[i] for i in tried])
    library["prompts"] = [*known, *fresh]
    return []


def wanted(known: Sequence[Prompt], number: int) -> str:
    """What the writer is told: the prompt, where it comes from, and each kind of failure with its rule."""
    one = known[number]
    line, above = [], one["parent"]
    while above >= 0:
        line.append(known[above]["text"] or "(none)")
        above = known[above]["parent"]
    counts: Counter[str] = Counter(one["failures"])
    summary = "\n".join(f"- {n} times: {RULES.get(kind, kind)}" for kind, n in counts.most_common())
    return WRITE.format(
        text=one["text"] or "(none)", ancestry=" ← ".join(line) or "nothing before it", summary=summary or "- nothing"
    )


def fallen(known: Sequence[Prompt], number: int, min_level: int) -> bool:
    """Whether a branch is given up: deep enough, and the success rate fell in each of its last two levels."""
    rates: list[float] = []
    above = number
    while above >= 0 and len(rates) < 3:
        rates.append(known[above]["right"] / max(known[above]["n"], 1))
        above = known[above]["parent"]
    return known[number]["level"] >= min_level and len(rates) == 3 and rates[0] < rates[1] < rates[2]


def promising(fresh: Sequence[Prompt], tried: Sequence[Prompt]) -> list[Prompt]:
    """The half (rounded up) that the score model likes best, in order; all, where too few prompts were tried to fit one."""
    if len(tried) < FITTED or not fresh:
        return list(fresh)
    expected = predicted(
        [one["text"] for one in fresh], [one["text"] for one in tried], [one["right"] / one["n"] for one in tried]
    )
    keep = np.argsort(-expected, kind="stable")[: (len(fresh) + 1) // 2]
    return [fresh[i] for i in sorted(keep.tolist())]


def predicted(texts: Sequence[str], tried: Sequence[str], scores: Sequence[float]) -> np.ndarray:
    """(N,) expected scores: ridge regression on the words, around the mean score."""
    both, middle = clusters.embed([*tried, *texts]), float(np.mean(scores))
    rows, fresh = both[: len(tried)], both[len(tried) :]
    weights = np.linalg.solve(rows @ rows.T + RIDGE * np.eye(len(rows)), np.asarray(scores) - middle)
    return middle + fresh @ (rows.T @ weights)
