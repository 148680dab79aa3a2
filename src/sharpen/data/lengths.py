"""What an answer's length is worth: budgets that shrink, modes, tags, forms, and answers that are braked.

Functions from judged samples to samples (their rewards and masks changed, never their outcomes), beside small functions of
numbers that tests work out by hand. Lengths are sampled tokens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from sharpen.core import Sample, Task
from sharpen.data.relabel import Retell
from sharpen.data.selection import gate, keep_all, keep_correct, paid
from sharpen.hashing import digest

# Train long, think short: arXiv 2508.08940


def budget_at(progress: float, start: float, end: float, drops: int) -> float:
    """Tokens at this share of the run: from `start` to `end` in equal factors, `drops` of them, after equal stretches."""
    factor = (end / start) ** (1 / drops) if drops else 1.0
    return max(1.0, start * factor ** min(math.floor(progress * (drops + 1)), drops))


def triangle(length: float, budget: float) -> float:
    """1 at the budget, 0 at nothing and at twice the budget and beyond, linear between. Source: section 3."""
    return max(0.0, 1.0 - abs(length - budget) / budget)


def decaying(progress: float, start: float, end: float, decay: float) -> float:
    """Tokens at this share of the run: start * decay^progress, never below `end`. RMT's dynamic token budget (arXiv
    2509.24375), at the end of whose run it is start * decay."""
    return max(end, start * decay**progress, 1.0)


def within_decaying(
    samples: Sequence[Sample],
    start: float = 48,
    end: float = 8,
    decay: float = 0.1,
    length: float = 0.2,
    *,
    progress: float,
) -> list[Sample]:
    """`keep_all`, with `length` * triangle(tokens, the budget of now) added to the reward of right answers, and divided by 1 +
    length: so a wrong answer is worth 0, however long it is. The weight is ours (RMT, arXiv 2509.24375)."""
    budget = decaying(progress, start, end, decay)
    found = []
    for s in keep_all(samples):
        more = length * triangle(s.rollout.n_sampled, budget) if s.verdict.correct else 0.0
        found.append(rewarded(s, ((s.verdict.reward or 0.0) + more) / (1 + length)))
    return found


def within_budget(
    samples: Sequence[Sample],
    start: float = 64,
    end: float = 22,
    drops: int = 3,
    correct: float = 0.6,
    length: float = 0.3,
    form: float = 0.1,
    *,
    progress: float,
) -> list[Sample]:
    """correct * [right] + length * triangle(tokens, budget) + form * [an answer can be read]. With length and form 0 and
    correct 1 the rewards are as judged. The weight of the form is not in the paper."""
    budget = budget_at(progress, start, end, drops)
    return [rewarded(s, within(s, budget, correct, length, form)) for s in keep_all(samples)]


def ended(samples: Sequence[Sample]) -> list[Sample]:
    """`gate`, of the answers that ended by themselves alone: an overlong filter, which keeps short answers from being
    preferred only because long ones are cut (AceReason-Nemotron 1.1, arXiv 2506.13284)."""
    return gate([s for s in keep_all(samples) if s.rollout.stop != "length"])


def within(sample: Sample, budget: float, correct: float, length: float, form: float) -> float:
    """The reward of one sample."""
    read = sample.verdict.outcome != "malformed"
    return correct * (sample.verdict.reward or 0.0) + length * triangle(sample.rollout.n_sampled, budget) + form * read


def rewarded(sample: Sample, reward: float) -> Sample:
    """The sample with another reward, noted as a part of it; the same, where it is the same."""
    return sample if reward == sample.verdict.reward else paid(sample, reward - (sample.verdict.reward or 0.0), "length")


# ThinkDial: arXiv 2508.18773, section 3


@dataclass(frozen=True)
class Mode:
    """words: the system message; share: of the whole chain that is kept for imitation; weight: of the length reward."""

    words: str
    share: float
    weight: float


MODES = {
    "high": Mode("You have a high thinking budget.", 1.0, 0.0),
    "medium": Mode("You have a medium thinking budget.", 0.5, 0.5),
    "low": Mode("You have a low thinking budget.", 0.25, 1.0),
}
REASONING = ("wait", "actually", "alternatively", "however")


def mode_of(task: Task) -> str:
    """The mode that a task is asked in in training: each a third of them, and always the same."""
    return list(MODES)[int(digest(["mode", task.id]), 16) % len(MODES)]


def relative(lengths: Sequence[int]) -> list[float]:
    """Of a group: 1/2 for its shortest answer, -1/2 for its longest; 0 for all where they are equally long."""
    low, high = min(lengths), max(lengths)
    return [0.5 - (n - low) / (high - low) if high > low else 0.0 for n in lengths]


def by_mode(samples: Sequence[Sample], leak: float = 0.5, warmup: float = 0.0, *, progress: float) -> list[Sample]:
    """Reward + weight of the mode * (relative length where right, at most 0 where wrong) + `leak` where what stands behind the
    thought holds no word of reasoning, else - `leak`. Up to `warmup` of the run rewards are as judged."""
    kept = keep_all(samples)
    if progress < warmup:
        return kept
    out: list[Sample] = []
    for group in grouped(kept):
        for s, share in zip(group, relative([s.rollout.n_sampled for s in group]), strict=True):
            length = share if s.verdict.correct else min(0.0, share)
            answer = s.rollout.response.rpartition("</think>")[2].casefold()
            clean = not any(word in answer for word in REASONING)
            weight = MODES[mode_of(s.rollout.task)].weight
            out.append(rewarded(s, (s.verdict.reward or 0.0) + weight * length + (leak if clean else -leak)))
    return out


def grouped(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Neighbours of one group together."""
    return [list(group) for _, group in groupby(samples, key=lambda s: s.group)]


# AdaCtrl: arXiv 2505.18822


TAG = re.compile(r"\s*\[(easy|hard)\]", re.IGNORECASE)


def by_tag(samples: Sequence[Sample], easy: float = 0.625, tag: float = 0.5, length: float = 0.5) -> list[Sample]:
    """±1 for right and wrong + tag * (1: the tag is the group's label, 0: it is not, -1: there is none) + length * (for a right
    answer with [Easy], (1 + cos(pi n / longest)) / 2). A group is easy where more than `easy` of it is right.

    This is the release's default manager. Its second one pays length only where tag and label agree, right or wrong.
    """
    out: list[Sample] = []
    for group in grouped(keep_all(samples)):
        label = "easy" if sum(s.verdict.correct for s in group) / len(group) > easy else "hard"
        longest = max(max(s.rollout.n_sampled for s in group), 1)
        for s in group:
            found = TAG.match(s.rollout.response)
            said = found.group(1).casefold() if found else ""
            short = (1 + math.cos(math.pi * s.rollout.n_sampled / longest)) / 2 if said == "easy" and s.verdict.correct else 0.0
            worth = (1.0 if s.verdict.correct else -1.0) + tag * (float(said == label) if said else -1.0) + length * short
            out.append(rewarded(s, worth))
    return out


# Parallel-R1: arXiv 2509.07980


def blocks(text: str) -> int | None:
    """How many blocks <Parallel>, two <Path>s or more, </Parallel><Summary>…</Summary> stand in a text; None where one of the
    marks is not where it belongs."""
    stack: list[str] = []
    paths: list[int] = []
    found, due = 0, False
    for mark in re.findall(r"</?(?:Parallel|Path|Summary)>", text):
        name, opens = mark.strip("</>"), not mark.startswith("</")
        if due and mark != "<Summary>":
            return None
        if opens:
            if (name == "Path") != (stack[-1:] == ["Parallel"]) or (name == "Summary" and not due):
                return None
            stack.append(name)
            if name == "Parallel":
                paths.append(0)
            elif name == "Path":
                paths[-1] += 1
            due = False
        elif not stack or stack.pop() != name or (name == "Parallel" and paths.pop() < 2):
            return None
        else:
            found, due = found + (name == "Summary"), name == "Parallel"
    return None if stack or due else found


def parallel_bonus(
    samples: Sequence[Sample], windows: int = 20, share: float = 0.2, bonus: float = 1.2, *, progress: float
) -> list[Sample]:
    """Right +1, wrong -1; in the last `share` of each of the run's `windows`, right with a well-formed parallel block `bonus`,
    and right with a malformed one -1. (The paper alternates by step, in windows of 20 steps.)"""
    paying = bonus != 1 and (progress * windows) % 1.0 >= 1 - share
    out = []
    for s in keep_all(samples):
        found = blocks(s.rollout.response)
        right = s.verdict.correct and (found is not None or not paying)
        out.append(rewarded(s, (bonus if paying and found else 1.0) if right else -1.0))
    return out


# Self-braking tuning: arXiv 2505.14604


MARKERS = ("wait", "alternatively", "hmm", "but", "however", "another", "check")
BRAKE = "\nWait, my answer is too verbose. I have it already."


def overthinking(steps: Sequence[str], answer: str) -> float:
    """0.9 (1 - first step with the right answer / steps) + 0.1 * share of words that are markers. Without that step: 0."""
    first = next((i for i, step in enumerate(steps, 1) if answer in step), 0)
    words = [word.strip(".,!?:;").casefold() for step in steps for word in step.split()]
    if not first or not words:
        return 0.0
    return 0.9 * (1 - first / len(steps)) + 0.1 * sum(word in MARKERS for word in words) / len(words)


def steps_of(text: str) -> list[str]:
    """A text cut behind lines and sentences; together they are the text."""
    return [part for part in re.split(r"(?<=[\n.!?])(?=\s|$)|(?<=\n)", text) if part]


def braked(
    samples: Sequence[Sample],
    threshold: float = 0.2,
    more: float = 0.05,
    brake: str = BRAKE,
    *,
    retell: Retell,
    decode: Callable[[np.ndarray], str],
) -> list[Sample]:
    """SBT-D: right answers; where one overthinks, its steps up to that threshold, a few more that are read and not learnt, and
    then the words that stop. A right answer that does not is imitated as it is."""
    out = []
    for s in keep_correct(samples):
        kept, redundant = braking(s.rollout.response, (s.rollout.task.answer or "").strip(), threshold, more)
        if not redundant:
            out.append(s)
            continue
        said = replace(s.rollout, turns=(f"{kept}{redundant}{brake}\n<answer>{s.rollout.task.answer}</answer>",))
        told = retell(replace(s, rollout=said), s.rollout.task.prompt)
        out.append(unlearnt(told, len(kept), len(kept) + len(redundant), decode))
    return out


def braking(text: str, answer: str, threshold: float, more: float) -> tuple[str, str]:
    """What is kept of a text, and what comes behind it that is read and not learnt; ("", "") where it does not overthink."""
    steps = steps_of(text)
    scores = [overthinking(steps[:n], answer) for n in range(1, len(steps) + 1)] if answer else []
    n = next((n for n, score in enumerate(scores, 1) if score >= threshold), 0)
    if not n:
        return "", ""
    beyond = next((m for m, score in enumerate(scores[n - 1 :], n) if score > threshold + more), len(steps))
    return "".join(steps[: n - 1]), "".join(steps[n - 1 : beyond])


def unlearnt(sample: Sample, start: int, stop: int, decode: Callable[[np.ndarray], str]) -> Sample:
    """The sample without loss on the tokens that wrote characters start to stop of its answer."""
    on = np.flatnonzero(sample.rollout.sampled)
    ends = np.array([len(decode(sample.rollout.tokens[on[: n + 1]])) for n in range(len(on))])
    sampled = sample.rollout.sampled.copy()
    sampled[on[(ends > start) & (ends <= stop)]] = False
    return replace(sample, rollout=replace(sample.rollout, sampled=sampled))


def helped(samples: Sequence[Sample]) -> list[Sample]:
    """START's choice: right in the end, and not before the hint: the verdict credits each turn with its own reward. Where it
    credits none, all that is right."""
    return [s for s in keep_correct(samples) if not s.verdict.credit or s.verdict.credit[0] == 0]
