"""Training texts that tell an answer again with its verdict before it, so that asking for good answers gets them.

The functions ask the loop for `retell(sample, messages)`: a new sample with the same verdict, in which the same answer follows
other messages. What is asked is the recipe's rollout, whose system message
is the good mark; worked solutions of the warm-up come after it too (`rollouts.demonstrating`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sharpen.core import Arm, Message, Sample, Verdict
from sharpen.data.diagnose import question_of
from sharpen.data.selection import keep_all
from sharpen.data.worth import equal
from sharpen.data.writing import write_like

Retell = Callable[[Sample, Sequence[Message]], Sample]

GOOD, BAD, WORKS = "A helpful answer:", "An unhelpful answer:", "It works."


def hindsight(samples: Sequence[Sample], wrong: float = 0.2, chains: bool = True, *, retell: Retell) -> list[Sample]:
    """Right answers after GOOD, wrong ones after BAD, and with `chains` right ones after a wrong one.

    One text for each right and each wrong answer, and of each group with both one chain, whose wrong answer is only read.
    Source: Chain of Hindsight, arXiv 2302.02676.

    wrong   weight of wrong answers; a small student tells the marks apart only by and by, and imitates both until then
    """
    kept = keep_all(samples)
    found = [told(s, GOOD if s.verdict.correct else BAD, wrong, retell) for s in kept]
    for group in dict.fromkeys(s.group for s in kept) if chains else ():
        right = next((s for s in kept if s.group == group and s.verdict.correct), None)
        missed = next((s for s in kept if s.group == group and not s.verdict.correct), None)
        if right and missed:
            before = {"role": "assistant", "content": missed.rollout.response}
            found.append(retell(right, [*marked(missed, BAD), before, {"role": "user", "content": GOOD}]))
    return found


def with_feedback(samples: Sequence[Sample], wrong: float = 0.2, feedback: bool = True, *, retell: Retell) -> list[Sample]:
    """Every answer after its label and what the verifier said of it: LeTI (arXiv 2305.10314).

    Of a right answer is said WORKS, of a wrong one the verdict's feedback. `wrong` as in `hindsight`.

    feedback   False: the label alone, the paper's control
    """
    found = []
    for s in keep_all(samples):
        label, said = (GOOD, WORKS) if s.verdict.correct else (BAD, s.verdict.feedback)
        found.append(told(s, f"{label} {said}".strip() if feedback else label, wrong, retell))
    return found


def told(sample: Sample, mark: str, wrong: float, retell: Retell) -> Sample:
    """The answer after a mark, weighing 1 where it is right and `wrong` where it is not."""
    return replace(retell(sample, marked(sample, mark)), weight=1.0 if sample.verdict.correct else wrong)


def marked(sample: Sample, mark: str) -> list[Message]:
    """The sample's task after a system message."""
    return [{"role": "system", "content": mark}, *sample.rollout.task.prompt]


def questions(
    samples: Sequence[Sample],
    share: float = 0.1,
    worth: Callable[[float], float] = equal,
    then: Callable[[Sequence[Sample]], list[Sample]] = keep_all,
    *,
    retell: Retell,
    rng: np.random.Generator,
) -> list[Sample]:
    """What `then` keeps, and up to `share` as many texts in which the question of one task answers `writing.write_like` of
    another: one of the same arm is "another", one of the family's next level "a harder one". So the student learns to write
    questions from those that it practises.

    worth   weight of a question by the success rate of its group; one that weighs nothing is left out. Constant: question
            fine-tuning, ScaleQuest (arXiv 2410.18693). `worth.middle`, `worth.grounded` and `worth.barely` are the rewards of
            Socratic-Zero's generator, SPELL's questioner and STP's conjecturer
    Each is a group of its own, judged correct, for an objective that imitates what is alone, such as `practice`.
    """
    kept = list(then(samples))
    groups: dict[int, list[Sample]] = {}
    for s in keep_all(samples):
        groups.setdefault(s.group, []).append(s)
    pool: dict[Arm, list[tuple[Sample, float]]] = {}
    for own in groups.values():
        weight = worth(sum(s.verdict.correct for s in own) / len(own))
        pool.setdefault(own[0].rollout.task.arm, []).append((own[0], weight))
    pairs = []
    for arm, own_pool in pool.items():
        levels = [other.level for other in pool if other.family == arm.family and other.level > arm.level]
        above = pool[Arm(arm.family, min(levels))] if levels else []
        for way, targets in (("another", own_pool[1:] + own_pool[:1]), ("a harder one", above)):
            pairs += [(a, b, w, way) for (a, _), (b, w) in zip(own_pool, targets) if w > 0 and a is not b]
    found: list[Sample] = []
    for i in rng.permutation(len(pairs))[: round(share * len(kept))]:
        shown, target, weight, way = pairs[i]
        rollout = replace(target.rollout, turns=(question_of(target.rollout.task),))
        verdict = Verdict("correct", 1.0, rule="a question to be written")
        told = retell(replace(target, rollout=rollout, verdict=verdict), write_like(question_of(shown.rollout.task), way))
        found.append(replace(told, group=-10_000 - len(found), weight=weight))
    return kept + found
