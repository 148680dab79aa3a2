"""System messages to choose from: five openers, three descriptions, four closers, sixty in all.

Battle & Gollapudi, "The Unreasonable Effectiveness of Eccentric Automatic Prompts", arXiv 2402.10949: "positive thinking" moves
accuracy, never in the same direction for two models, and of sixty the best is some ten points up by luck alone. So it is chosen
on one split and counts only where it wins on another. The words are ours where the paper's could not be read.
"""

from __future__ import annotations

from itertools import product

OPENERS = (
    "",
    "You are an expert mathematician.",
    "You are a professor of mathematics.",
    "You are highly intelligent.",
    "Captain's log: the fate of the crew depends on this answer.",
)
DESCRIPTIONS = ("", "Solve the following problem.", "Answer the following question.")
CLOSERS = ("", "This will be fun!", "Take a deep breath and think carefully.", "I really need your help!")


def eccentric() -> tuple[str, ...]:
    """All sixty, the empty one first."""
    return tuple(" ".join(filter(None, parts)) for parts in product(OPENERS, DESCRIPTIONS, CLOSERS))
