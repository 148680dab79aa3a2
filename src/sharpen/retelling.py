"""Training texts that tell an answer again with its verdict before it, so that asking for good answers gets them.

The functions ask the loop for `retell(sample, turns)`: a new sample with the same verdict, in which the turns, (messages,
answer) each, are put into the policy's mouth one after another. What is asked at test time is the recipe's rollout, whose
system message is the good mark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sharpen.core import Message, Sample
from sharpen.data import keep_all

Turns = Sequence[tuple[Sequence[Message], str]]
Retell = Callable[[Sample, Turns], Sample]

GOOD, BAD, WORKS = "A helpful answer:", "An unhelpful answer:", "It works."


def hindsight(samples: Sequence[Sample], chains: bool = True, *, retell: Retell) -> list[Sample]:
    """Right answers after GOOD, wrong ones after BAD, and with `chains` a wrong one followed by a right one.

    One text for each right and each wrong answer, and of each group with both one chain. Source: Chain of
    Hindsight, arXiv 2302.02676.
    """
    kept = keep_all(samples)
    found = [retell(s, [marked(s, GOOD if s.verdict.correct else BAD)]) for s in kept]
    for group in dict.fromkeys(s.group for s in kept) if chains else ():
        right = next((s for s in kept if s.group == group and s.verdict.correct), None)
        wrong = next((s for s in kept if s.group == group and not s.verdict.correct), None)
        if right and wrong:
            found.append(retell(right, [marked(wrong, BAD), ([{"role": "user", "content": GOOD}], right.rollout.response)]))
    return found


def with_feedback(samples: Sequence[Sample], feedback: bool = True, *, retell: Retell) -> list[Sample]:
    """Every answer after its label and what the verifier said of it: LeTI (arXiv 2305.10314).

    Of a right answer is said WORKS, of a wrong one the verdict's feedback.

    feedback   False: the label alone, the paper's control
    """
    found = []
    for s in keep_all(samples):
        label, said = (GOOD, WORKS) if s.verdict.correct else (BAD, s.verdict.feedback)
        found.append(retell(s, [marked(s, f"{label} {said}".strip() if feedback else label)]))
    return found


def marked(sample: Sample, mark: str) -> tuple[Sequence[Message], str]:
    """The sample's task after a system message, and its answer."""
    return ({"role": "system", "content": mark}, *sample.rollout.task.prompt), sample.rollout.response
