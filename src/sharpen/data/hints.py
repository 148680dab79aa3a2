"""What may be shown of a task before it is tried: parts of the worked solution, the answer, the goals on the way, criteria.

And when: a hint is there to be gone. Its strength, 1 to 0, is a function of progress (`fading`) or of how often the arm is
solved without help (`by_success`), which `noting` keeps in the run's library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sharpen.core import Sample, Task, UserError
from sharpen.data.selection import keep_all
from sharpen.verify import scaffolds

LADDER = (0.25, 0.5, 0.75)  # GHPO's
BEGINS = "The following text is the beginning part of the answer, which you can refer to for solving the problem:\n{hint}"
ANSWER = "The answer is {hint}. Show how to get there."
GOALS = "On the way you will reach: {hint}"
CRITERIA = "A good answer does the following: {hint}"
WORDS: Mapping[str, str] = {"beginning": BEGINS, "answer": ANSWER, "goals": GOALS, "rubric": CRITERIA}
MADE = "hint "  # how the operator of a task with a hint begins


def beginning(task: Task, share: float) -> str:
    """The first `share` of the worked solution's characters; never all of them, for something must be left to do. "": nothing
    can be shown, because nobody wrote a solution, or it is too short. Source of the unit: GHPO (arXiv 2507.10628), its
    release."""
    text = task.solution or ""
    return text[: min(int(share * len(text)), len(text) - 1)] if share > 0 and len(text) > 1 else ""


def hint(task: Task, what: str, share: float) -> str:
    """What is shown of it: so much of the solution, the answer at any share above 0, so many of the goals or criteria, the
    first ones. UserError for an unknown kind."""
    if what not in WORDS:
        raise UserError(f"what={what!r}: a hint is one of {', '.join(WORDS)}.")
    if share <= 0:
        return ""
    if what == "beginning":
        return beginning(task, share)
    if what == "answer":
        return task.answer or ""
    listed = scaffolds.steps(task) if what == "goals" else [str(item["value"]) for item in scaffolds.criteria(task)]
    return ", ".join(listed[: round(share * len(listed))])


def hinted(task: Task, what: str = "beginning", share: float = 0.5, words: str = "") -> Task:
    """The task with the hint behind its question; itself, where nothing can be shown. It names the task as its parent.

    words  how it is said, with {hint} in it; "": as `WORDS` say it
    """
    shown = hint(task, what, share)
    *before, last = task.prompt or ({},)
    if not shown or not isinstance(last.get("content"), str):
        return task
    said = {**last, "content": f"{last['content']}\n{(words or WORDS[what]).replace('{hint}', shown)}"}
    return replace(task, prompt=(*before, said), parents=(task.id,), operator=f"{MADE}{share:.0%}")


def share_of(task: Task) -> float:
    """How much was shown of a task that `hinted` made; 0 of any other."""
    return float(task.operator.removeprefix(MADE).rstrip("%")) / 100 if task.operator.startswith(MADE) else 0.0


# When.


def fading(progress: float, until: float, sharpness: float = 0.0) -> float:
    """1 at the beginning of the budget. Falls linearly to 0 at the share `until`; with a sharpness it is 1 / (1 +
    exp(sharpness * (progress - until))), half at `until`: RuscaRL's. An `until` of 0 shows nothing, and one above 1 never
    fades away."""
    if until <= 0:
        return 0.0
    if sharpness:
        return 1 / (1 + math.exp(min(sharpness * (progress - until), 700.0)))
    return max(0.0, 1 - progress / until)


def unfading(until: float, sharpness: float = 0.0) -> str:
    """What is to be said of a schedule that still shows something when the budget is spent; "": nothing."""
    left = fading(1.0, until, sharpness)
    return f"a hint of {left:.0%} of its first strength is still shown when the budget is spent" if left > 0.01 else ""


def graded(strength: float, place: tuple[int, int]) -> float:
    """The strength for the i-th of n rollouts of a task: (n - 1 - i) / (n - 1) of it, so the last one of a group is never
    helped, nor one that is alone. RuscaRL."""
    i, n = place
    return strength * (n - 1 - i) / (n - 1) if n > 1 else 0.0


def by_success(library: Mapping[str, Any], task: Task, target: float) -> float:
    """1 for an arm that is never solved without help, falling linearly to 0 at the success rate `target`, whatever the clock
    says. UserError unless it is above 0."""
    if not 0 < target <= 1:
        raise UserError(f"target={target}: this is a success rate, above 0 and at most 1.")
    return max(0.0, 1 - library.get("unaided", {}).get(str(task.arm), 0.0) / target)


def noting(
    samples: Sequence[Sample],
    then: Callable[[Sequence[Sample]], list[Sample]] = keep_all,
    decay: float = 0.8,
    *,
    library: dict[str, Any],
) -> list[Sample]:
    """What `then` keeps; and of each arm the running mean of how often it is solved by the last rollout of a group, which
    `graded` never helps, goes into the library."""
    last = {s.group: s for s in samples if s.verdict.reward is not None}
    arms: dict[str, list[bool]] = {}
    for s in last.values():
        arms.setdefault(str(s.rollout.task.arm), []).append(s.verdict.correct)
    known = dict(library.get("unaided", {}))
    for arm, right in arms.items():
        known[arm] = decay * known.get(arm, 0.0) + (1 - decay) * sum(right) / len(right)
    library["unaided"] = known
    return then(samples)


# A ladder of hints within a step.


def next_rung(share: float, shares: Sequence[float]) -> float:
    """The next larger share; 0 where there is none."""
    return min((s for s in shares if s > share + 1e-9), default=0.0)


def failing(samples: Sequence[Sample]) -> list[Task]:
    """The task of each group in which nothing was right, a group that could not be judged left out."""
    groups: dict[int, list[Sample]] = {}
    for sample in keep_all(samples):
        groups.setdefault(sample.group, []).append(sample)
    return [group[0].rollout.task for group in groups.values() if not any(s.verdict.correct for s in group)]


def stuck(samples: Sequence[Sample], shares: Sequence[float]) -> list[tuple[Task, float]]:
    """(task as it was first asked, how much more of it to show) for each that failed at all that was shown of it so far."""
    known = {s.rollout.task.id: s.rollout.task for s in samples}
    shown: dict[str, float] = {}
    solved = {_root(s.rollout.task) for s in samples if s.verdict.correct}
    for task in failing(samples):
        shown[_root(task)] = max(shown.get(_root(task), 0.0), share_of(task))
    found = []
    for root, share in shown.items():
        more = next_rung(share, shares)
        if more and root not in solved and hinted(known[root], share=more) is not known[root]:
            found.append((known[root], more))
    return found


def climbed(
    samples: Sequence[Sample], shares: Sequence[float] = LADDER, after: float = 0.0, *, progress: float
) -> list[Sample]:
    """`keep_all` without the groups that failed and are asked again with more shown: the last group takes the place of those
    before. Before the share `after` of the budget nobody is helped, and all stay."""
    if progress < after:
        return keep_all(samples)
    again = {(root.id, share) for root, share in stuck(samples, shares)}
    highest: dict[str, float] = {}
    for s in samples:
        root = _root(s.rollout.task)
        highest[root] = max(highest.get(root, 0.0), share_of(s.rollout.task))
    waiting = {root for root, _ in again}
    own = [s for s in keep_all(samples) if share_of(s.rollout.task) == highest[_root(s.rollout.task)]]
    return [s for s in own if _root(s.rollout.task) not in waiting]


def _root(task: Task) -> str:
    return task.parents[0] if share_of(task) else task.id
