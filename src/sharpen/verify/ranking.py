"""An order of passages as an answer, judged by how near it comes to the right one.

Task data: `order`, the numbers 1 … n of the passages from best to worst; `relevant`, those that count as hits (without it the
first third).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from sharpen.core import Task, Verdict
from sharpen.verify.final import final_answer

VERSION = "1"
DEPTH = 10


def ndcg(said: Sequence[int], order: Sequence[int], depth: int = DEPTH) -> float:
    """Gain of what stands where, over the best possible; the passage at place r of n is worth (n - r) / n."""
    worth = {number: (len(order) - place) / len(order) for place, number in enumerate(order)}

    def gain(listed: Sequence[int]) -> float:
        return sum(worth[number] / math.log2(place + 2) for place, number in enumerate(listed[:depth]))

    return gain(said) / gain(order)


def recall(said: Sequence[int], relevant: Sequence[int], depth: int = DEPTH) -> float:
    """Share of the relevant ones among the first."""
    return len(set(said[:depth]) & set(relevant)) / max(len(set(relevant)), 1)


def overlap(said: Sequence[int], order: Sequence[int]) -> float:
    """Mean over depths of the share that two orders have in common: rank-biased overlap with p = 1."""
    return sum(len(set(said[:d]) & set(order[:d])) / d for d in range(1, len(order) + 1)) / len(order)


def listwise(task: Task, response: str, recalled: float = 0.2, overlapped: float = 0.1) -> Verdict:
    """NDCG@10 + 0.2 recall@10 + 0.1 overlap, over what a right order earns; 0 for what is no order of these passages, and the
    outcome malformed where there is no answer at all. Correct is the right order alone.

    ReasonRank (arXiv 2508.07050, section 4.2) pays -1, 0 and up to 1.3; compared within a group only the order of these
    matters, and here no answer and no order are both 0. Its release checks only how many different numbers there are: one that
    is none of the passages would be skipped. Here the numbers must be the passages'.
    """
    order = [int(n) for n in task.data["order"]]
    text, how = final_answer(task, response)
    said = [int(n) for n in re.findall(r"\d{1,4}", text)]
    if not said:
        return Verdict("malformed", 0.0, feedback="There is no order.", rule=f"{how}: listwise", version=VERSION)
    if sorted(said) != sorted(order):
        words = f"The answer must name each of the {len(order)} passages once."
        return Verdict("wrong", 0.0, {"order": 0.0}, words, f"{how}: listwise", VERSION)
    relevant = [int(n) for n in task.data.get("relevant") or order[: max(len(order) // 3, 1)]]
    parts = {"ndcg": ndcg(said, order), "recall": recall(said, relevant), "overlap": overlap(said, order)}
    most = 1 + recalled + overlapped
    reward = (parts["ndcg"] + recalled * parts["recall"] + overlapped * parts["overlap"]) / most
    outcome = "correct" if said == order else "wrong"
    return Verdict(
        outcome, min(reward, 1.0), parts, "" if said == order else "The order is wrong.", f"{how}: listwise", VERSION
    )
