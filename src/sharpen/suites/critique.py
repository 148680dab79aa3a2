"""Does a model know when an answer is wrong, and can it mend it?

1. `correction`: answers before and after a second look, by several ways of looking, "answer again" among them as the control
   (CorrectBench, arXiv 2510.16062); taken apart into confidence and critique (arXiv 2412.19513), against the null of answering
   again: CL - CS = Var(a) / (mean a (1 - mean a)).
2. `critic`: is this answer right? Half are; the wrong ones are the model's own commonest wrong answer where it has one, which
   is harder than a random one (CriticBench, arXiv 2310.04815).
3. `realcritic`: a critique is worth what the corrected answer is worth (RealCritic, arXiv 2501.14492). Copying what is given
   scores one half, solving afresh what the model does without help: only above both it is critique.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from sharpen.core import GREEDY, Ask, Task, Turn
from sharpen.suites.axis import OWN, Axis, Item, mean, of, right
from sharpen.suites.general import arithmetic

SHOWN = ("wrong", "right")
SAMPLES = 6  # answers before, each with one after
STRATEGIES = {  # ways of looking again, without any feedback from outside
    "again": "",  # the control: another independent answer
    "refine": "Look at your answer again. If it is wrong, give the right one; if it is right, repeat it.",
    "rci": "Review your answer and find problems with it. Then give your final answer.",
    "verify": "Check each step of your answer. Then give your final answer.",
}
CRITIC = "Question: {question}\nProposed answer: {answer}\nIs the proposed answer right? Reply yes or no."
REAL = (
    "Question: {question}\nProposed answer: {answer}\nSay what is wrong with the proposed answer, if anything, and then give "
    "the right answer to the question."
)


def corrected(task: Task) -> Generator[Any, Any, dict[str, float]]:
    """Several answers, and each looked at again in every way."""
    firsts: list[Turn] = yield [Ask(task.prompt)] * SAMPLES
    before = [right(task, turn.text) for turn in firsts]
    found = {"before": float(np.mean(before)), "tokens before": float(np.mean([t.sampled.sum() for t in firsts]))}
    for name, words in STRATEGIES.items():
        asks = [Ask(({"role": "user", "content": words},), after=t) if words else Ask(task.prompt) for t in firsts]
        seconds = yield asks
        after = [right(task, turn.text) for turn in seconds]
        found |= paired_counts(name, before, after)
        own = [t.sampled.sum() - (f.sampled.sum() if words else 0) for f, t in zip(firsts, seconds)]
        found[f"tokens {name}"] = float(np.mean(own))
    votes = Counter(answer_text(turn.text) for turn in firsts)
    most = max(votes, key=lambda text: votes[text])
    found["self-consistency"] = next(b for b, turn in zip(before, firsts) if answer_text(turn.text) == most)
    found["accuracy"] = found["after refine"]
    return found


def paired_counts(name: str, before: Sequence[float], after: Sequence[float]) -> dict[str, float]:
    """P(right after), and jointly with right before: what confidence and critique are made of."""
    pairs = list(zip(before, after))
    return {
        f"after {name}": float(np.mean(after)),
        f"kept {name}": float(np.mean([a * b for a, b in pairs])),
        f"mended {name}": float(np.mean([(1 - a) * b for a, b in pairs])),
    }


def answer_text(text: str) -> str:
    """The last number in a text, else its last word: what votes are counted by."""
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))
    return numbers[-1] if numbers else text.strip().casefold().rpartition(" ")[2]


def decomposed(items: Sequence[Item]) -> dict[str, float]:
    """For each strategy CL, CS and RSS; CL - CS of answering again independently is what `spread of a` says."""
    a = of(items, "before")
    found: dict[str, float] = {}
    for name in STRATEGIES:
        found |= {f"{k} {name}": v for k, v in measures(a, of(items, f"kept {name}"), of(items, f"mended {name}")).items()}
    rate = mean(a)
    if len(a) and 0 < rate < 1:
        found["CL - CS of the null"] = float(a.var()) / (rate * (1 - rate))
    return found


def measures(a: np.ndarray, kept: np.ndarray, mended: np.ndarray) -> dict[str, float]:
    """CL = sum kept / sum a, CS = sum mended / sum (1 - a), RSS = (Acc2 - Acc1^2) / (2 Acc1 (1 - Acc1)), from per-question
    rates of being right before, and before and after, and only after. NaN where the denominator is 0."""
    first, second = mean(a), mean(kept + mended)
    return {
        "CL": float(kept.sum() / a.sum()) if a.sum() else math.nan,
        "CS": float(mended.sum() / (1 - a).sum()) if (1 - a).sum() else math.nan,
        "RSS": (second - first**2) / (2 * first * (1 - first)) if 0 < first < 1 else math.nan,
    }


def given(n: int, seed: int) -> list[Task]:
    """Questions, of which every other is shown with its right answer and the rest with a wrong one."""
    return [
        Task(t.prompt, t.answer, t.family, t.level, "test", OWN, {**t.data, "judged": t.verifier, "shown": SHOWN[i % 2]})
        for i, t in enumerate(arithmetic(n, seed))
    ]


def shown(task: Task) -> Generator[Any, Any, str]:
    """The answer that is shown: a wrong one is what the model itself gets wrong most, else off by one."""
    answer = str(task.answer)
    if task.data["shown"] == "right":
        return answer
    tries = yield [Ask(task.prompt)] * SAMPLES
    wrong = [text for turn in tries if right(task, turn.text) == 0 and (text := answer_text(turn.text))]
    number = re.fullmatch(r"-?\d+", answer)
    fallback = str(int(answer) + 1) if number else f"not {answer}"
    return Counter(wrong).most_common(1)[0][0] if wrong else fallback


def critic(task: Task) -> Generator[Any, Any, dict[str, float]]:
    """Whether it says yes to right answers and no to wrong ones. A reply that is neither is wrong."""
    answer = yield from shown(task)
    asked = CRITIC.format(question=task.prompt[-1]["content"], answer=answer)
    turn = yield Ask(({"role": "user", "content": asked},), sampling=GREEDY, max_tokens=16)
    said = re.search(r"\b(yes|no)\b", turn.text.lower())
    is_right = task.data["shown"] == "right"
    accepts = said is not None and said[1] == "yes"
    read = {"readable": float(bool(said))}
    rate = {"accepts right": float(accepts)} if is_right else {"accepts wrong": float(accepts)}
    return {"accuracy": float(bool(said) and accepts == is_right), **read, **rate}


def likelihood_ratio(items: Sequence[Item]) -> dict[str, float]:
    """TPR / FPR: dropping what the critic rejects multiplies the odds of right against wrong votes by it; at 1 it is no use."""
    tpr, fpr = mean(of(items, "accepts right")), mean(of(items, "accepts wrong"))
    return {"odds gained by filtering": tpr / fpr} if fpr > 0 else {}


def realised(task: Task) -> Generator[Any, Any, dict[str, float]]:
    """The answer after a critique of a given one, and the model's own without it."""
    answer = yield from shown(task)
    question = task.prompt[-1]["content"]
    asked = REAL.format(question=question, answer=answer)
    direct, after = yield [
        Ask(task.prompt, sampling=GREEDY),
        Ask(({"role": "user", "content": asked},), sampling=GREEDY),
    ]
    score, own = right(task, after.text), right(task, direct.text)
    half = {"kept right": score} if task.data["shown"] == "right" else {"mended wrong": score}
    return {"accuracy": score, "direct": own, **half}


def above_baselines(items: Sequence[Item]) -> dict[str, float]:
    """What critique adds above the better of copying (one half) and solving afresh."""
    return {"above copying and solving": mean(of(items, "accuracy")) - max(0.5, mean(of(items, "direct")))}


AXES = (
    Axis("correction", "second looks mend more than they spoil", arithmetic, corrected, decomposed),
    Axis("critic", "it tells right answers from wrong ones", given, critic, likelihood_ratio),
    Axis("realcritic", "its critiques lead to right answers", given, realised, above_baselines),
)
