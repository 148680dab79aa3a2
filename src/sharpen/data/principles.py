"""Answers written under principles, set out as the matrix that tells which principle each was written under."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sharpen.core import Sample
from sharpen.data.pairs import by_prompt, rewarded

BRIEF = ("Answer with as few words as you can.", "Explain every step of your answer.")  # a principle and its opposite


def crossed(samples: Sequence[Sample], principles: Sequence[str] = BRIEF, *, retell: Callable[..., Sample]) -> list[Sample]:
    """For each rollout that answered once under each principle, every answer under every principle: a group of n * n samples,
    the reward of answer j under principle i being its place i * n + j, which `objectives.contrast.mutual` reads.

    The last answer is the rollout's own, the earlier ones its other conversations (`rollouts.under_each`). A rollout whose
    answers are all equal tells principles from nothing, and is left out. Of a prompt's rollouts that answered once, each n in a
    row count as one that answered under each. Source: SAMI, arXiv 2404.14313, algorithm 1.
    """
    found: list[Sample] = []
    n, group = len(principles), 0
    for s, said in written(samples, n):
        if len(set(said)) == 1:
            continue
        for i, principle in enumerate(principles):
            asked = ({"role": "system", "content": principle}, *s.rollout.task.prompt)
            for j, answer in enumerate(said):
                told = retell(s, asked, answer)
                alone = replace(told.rollout, others=(), spans=())
                found.append(replace(rewarded(replace(told, rollout=alone), float(i * n + j)), group=group))
        group += 1
    return found


def written(samples: Sequence[Sample], n: int) -> list[tuple[Sample, list[str]]]:
    """A sample and the n answers, one under each principle, that belong together."""
    found: list[tuple[Sample, list[str]]] = []
    for own in by_prompt(samples):
        once = [s for s in own if not s.rollout.others]
        found += [(once[i], [s.rollout.response for s in once[i : i + n]]) for i in range(0, len(once) - n + 1, n)]
        for s in own:
            said = [turn.text for turn in s.rollout.others if not turn.author][-(n - 1) :] + [s.rollout.response]
            found += [(s, said)] if len(said) == n else []
    return found
