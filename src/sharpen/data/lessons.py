"""What reward models are taught: functions from a step's judged samples to lessons, for `Role.teach`.

The label of an answer is what the task's verifier said of it, whatever the learnt reward paid: `Verdict.outcome`, which
`verify.learnt` leaves as the verifier's. Labels of steps come from who can check a step, or from votes where nobody can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from sharpen.core import Lesson, Sample, Task
from sharpen.data.pairs import by_prompt
from sharpen.data.selection import keep_all
from sharpen.hashing import digest
from sharpen.verify import pieces

Split = Callable[[str], Sequence[str]]  # an answer's steps, which joined are the answer
Labels = Callable[[Task, str, Sequence[str]], Sequence[float]]  # of task, answer and its steps: NaN where nothing is known


def checked(task: Task, answer: str, steps: Sequence[str]) -> list[float]:
    """Each step against the worked solution's at its place (`pieces.against_solution`); nothing is known without one."""
    right = pieces.against_solution(task, tuple(steps))
    return [math.nan] * len(steps) if right is None else list(map(float, right))


def until_wrong(labels: Sequence[float]) -> list[float]:
    """The labels up to the first wrong one; what comes behind it is not taught. So a step is judged after right ones, by what
    stands around it, and whether something went wrong before need not be carried along: the first step that is found wrong
    says it. Source: arXiv 2305.20050, section 2.6."""
    wrong = next((i for i, y in enumerate(labels) if y < 0.5), len(labels))
    return [y if i <= wrong else math.nan for i, y in enumerate(labels)]


def first_wrong(task: Task, answer: str, steps: Sequence[str]) -> list[float]:
    """`checked`, `until_wrong`."""
    return until_wrong(checked(task, answer, steps))


def up_to_first_error(labels: Sequence[float]) -> list[float]:
    """Labels of a chain made consistent: right up to a first error and wrong from there on, where that changes fewest of them;
    of equals the later error. What a judge got wrong against its own other verdicts is mended so. NaN stays."""
    known = [0.5 if math.isnan(y) else y for y in labels]
    cost = [sum(1 - y for y in known[:k]) + sum(known[k:]) for k in range(len(known) + 1)]
    first = max(range(len(cost)), key=lambda k: (-cost[k], k))
    return [math.nan if math.isnan(y) else float(i < first) for i, y in enumerate(labels)]


def outcomes(samples: Sequence[Sample], split: Split = pieces.whole) -> list[Lesson]:
    """Each answer, right 1 and wrong 0, told at its last step: an outcome reward model (arXiv 2110.14168, section 4.2)."""
    found = []
    for s in keep_all(samples):
        steps = tuple(split(s.rollout.response))
        found.append(told(s, steps, [*[math.nan] * (len(steps) - 1), float(s.verdict.correct)]))
    return found


def all_but(samples: Sequence[Sample], fold: int, folds: int) -> list[Lesson]:
    """`outcomes` of all answers but those of one of `folds` folds, by the hash of their task: each of an ensemble leaves out
    another, so that they agree where they know and part where they guess. 1 fold: all."""
    return outcomes([s for s in samples if folds == 1 or int(digest(["fold", s.rollout.task.id]), 16) % folds != fold])


def processes(samples: Sequence[Sample], label: Labels, split: Split = pieces.steps) -> list[Lesson]:
    """Each answer with a label for each of its steps; one of which nothing is known is left out. Source: arXiv 2305.20050."""
    found = []
    for s in keep_all(samples):
        steps = tuple(split(s.rollout.response))
        labels = label(s.rollout.task, s.rollout.response, steps)
        found += [] if all(map(math.isnan, labels)) else [told(s, steps, labels)]
    return found


def preferences(samples: Sequence[Sample], hardest: int = 0, score: str = "learnt") -> list[Lesson]:
    """The answers of each prompt that has right and wrong ones, to be compared.

    hardest  of the wrong ones only so many, those that the present reward likes best: RewardRanker's hard negatives (arXiv
             2504.09643, section 3); 0: all
    """
    found: list[Lesson] = []
    for number, group in enumerate(by_prompt(samples)):
        right, wrong = ([s for s in group if s.verdict.correct is wanted] for wanted in (True, False))
        if hardest:
            wrong = sorted(wrong, key=lambda s: -s.verdict.parts.get(score, 0.0))[:hardest]
        for s in [*right, *wrong] if right and wrong else ():
            found.append(Lesson(s.rollout.task.prompt, (s.rollout.response,), (float(s.verdict.correct),), number))
    return found


def gaps(samples: Sequence[Sample], again: str) -> list[Lesson]:
    """Each rollout's first and last answer as answers to "improve on the first", to be compared by what they are worth: what a
    gap model learns (PIT, arXiv 2310.00898, section 3.2). Pairs that are worth the same teach nothing. `verify.gap` leaves what
    the first was worth in the part `first`."""
    found = []
    for number, s in enumerate(keep_all(samples)):
        first, last = s.rollout.turns[0], s.rollout.response
        worth = {first: s.verdict.parts.get("first", math.nan), last: float(s.verdict.correct)}
        if len(worth) == 2 and worth[first] != worth[last]:
            asked = ({"role": "assistant", "content": first}, {"role": "user", "content": again})
            found += [Lesson((*s.rollout.task.prompt, *asked), (said,), (w,), number) for said, w in worth.items()]
    return found


def as_outcome(samples: Sequence[Sample], split: Split = pieces.steps) -> list[Lesson]:
    """Each answer's outcome at every step: what a value function learns from its own rollouts (Monte Carlo, one each), and
    noisy labels of steps where nobody can check a step."""
    found = []
    for s in keep_all(samples):
        steps = tuple(split(s.rollout.response))
        found.append(told(s, steps, [float(s.verdict.correct)] * len(steps)))
    return found


def told(sample: Sample, steps: tuple[str, ...], targets: Sequence[float]) -> Lesson:
    return Lesson(sample.rollout.task.prompt, steps, tuple(map(float, targets)), sample.group)
