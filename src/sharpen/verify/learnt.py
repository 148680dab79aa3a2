"""Rewards that are learnt: verdicts whose reward a model says, and whose outcome stays the verifier's.

1. The task's own verifier is asked beside the model wherever there is one (`Check`): what it says is the outcome, so held-out
   accuracy is never the learnt reward's own opinion, and what it thinks of right and wrong answers can be counted.
2. The model's number is the part `learnt`: in the store, of every rollout, validation tasks too. `audit.calibration` reads it.
3. A reward is a function of what the model says and, where a method says so, of the verifier's outcome.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sharpen.core import Check, Score, Scored, Task, Turn, UserError, Verdict, VerdictGenerator, suggest
from sharpen.verify import pieces
from sharpen.verify.credit import prover_advantage

LEARNT = "learnt"
Split = Callable[[str], Sequence[str]]  # an answer's steps, which joined are the answer
VERSION = "1"
NONE = "the task names no right answer"
HALF = 0.5  # from which a reward counts as right where no verifier says what is


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def lowest(values: Sequence[float]) -> float:
    """A chain is as good as its weakest step (min-form credit, PURE, arXiv 2504.15275)."""
    return min(values)


def product(values: Sequence[float]) -> float:
    """The chance that all steps are right, were they independent (arXiv 2305.20050, section 2.6)."""
    return math.prod(values)


def final(values: Sequence[float]) -> float:
    """What is said of the last step, which has seen all of them."""
    return values[-1]


def truth(task: Task, response: str) -> Any:
    """The verifier's verdict, to be `yield from`ed; unscorable, with NONE as feedback, where the task has no right answer."""
    if not verifiable(task):
        return Verdict("unscorable", None, feedback=NONE, rule="no verifier")
    return (yield Check(task, response))


def verifiable(task: Task) -> bool:
    """Whether its verifier can be expected to say what is right."""
    return task.answer is not None or bool(task.data.get("tests"))


def ruled(known: Verdict, reward: float, parts: dict[str, float], rule: str, credit: Sequence[float] = ()) -> Verdict:
    """A verdict with a learnt reward: its outcome is the verifier's; where the task has none, the reward's own. What the
    verifier fails on stays unscorable."""
    if known.reward is None and known.feedback != NONE:
        return known
    outcome = known.outcome if known.reward is not None else ("correct" if reward >= HALF else "wrong")
    parts = {**known.parts, **parts, LEARNT: reward}
    return Verdict(outcome, reward, parts, known.feedback, rule, VERSION, known.isolation, tuple(map(float, credit)))


def scored(
    task: Task,
    response: str,
    role: str = "reward",
    split: Split = pieces.whole,
    over: Callable[[Sequence[float]], float] = final,
    blend: float = 0.0,
) -> VerdictGenerator:
    """A reward model's sigma(score), over the steps by `over`.

    blend  share of the reward that is the verifier's own, 0 to 1
    """
    known = yield from truth(task, response)
    steps = tuple(split(response))
    found = yield Score(task.prompt, steps, role)
    values = [sigmoid(float(value)) for value in found.values]
    own = over(values)
    reward = (1 - blend) * own + blend * float(known.reward or 0.0)
    verdict = ruled(known, reward, {}, f"scored by {role}")
    return replace(verdict, parts={**verdict.parts, LEARNT: own})


def apart(values: Sequence[float], kind: str = "deviation") -> float:
    """How unsure several chances of the same thing are, p_i with mean p: a penalty of arXiv 2110.04135's kinds.

    deviation  of the p_i (what more data would settle: epistemic)       range   max |p_i - p_j|
    alone      max |p_i - mean of the others|                            noise   max sqrt(p_i (1 - p_i)): aleatoric
    total      sqrt(p (1 - p)), whose square is the mean of p_i (1 - p_i) and the square of `deviation` together
    """
    p = np.asarray(values, np.float64)
    others = (p.sum() - p) / max(len(p) - 1, 1)
    found = {
        "deviation": p.std(),
        "range": np.ptp(p),
        "alone": np.abs(p - others).max() if len(p) > 1 else 0.0,
        "noise": np.sqrt(p * (1 - p)).max(),
        "total": math.sqrt(p.mean() * (1 - p.mean())),
    }
    if kind not in found:
        raise UserError(f"penalty={kind}: there is none.{suggest(str(kind), found)} There are: {', '.join(found)}.")
    return float(found[kind])


def pessimistic(
    task: Task, response: str, roles: Sequence[str], strength: float = 1.0, penalty: str = "deviation"
) -> VerdictGenerator:
    """The mean sigma(score) of several reward models, less `strength` times how far they are `apart`, at least 0."""
    known = yield from truth(task, response)
    found = yield [Score(task.prompt, (response,), role) for role in roles]
    values = [sigmoid(float(one.values[-1])) for one in found]
    unsure = apart(values, penalty)
    reward = max(float(np.mean(values)) - strength * unsure, 0.0)
    return ruled(known, reward, {"unsure": unsure}, f"scored by {len(values)} reward models")


def attributed(
    task: Task,
    response: str,
    role: str = "progress",
    split: Split | None = None,
    grounding: float = 0.5,
    grounded: Callable[[str], bool] = bool,
    *,
    turns: Sequence[str],
) -> VerdictGenerator:
    """What each step adds to the outcome, by a progress estimator whose scores of the steps add up to it: its credit, plus
    `grounding` where the step could be executed. Source: SPA-RL, arXiv 2505.20732, section 3.3.

    split     steps of the last turn; None: the student's turns are the steps
    grounded  whether a step could be carried out; the paper's is false where the environment answers that nothing happens
    """
    known = yield from truth(task, response)
    steps = tuple(turns) if split is None else tuple(split(response))
    found = yield Score(task.prompt, steps, role)
    shares = [float(value) for value in found.values]
    credit = [share + grounding * grounded(step.strip()) for share, step in zip(shares, steps, strict=True)]
    reward = min(max(sum(shares), 0.0), 1.0)
    return ruled(known, reward, {}, f"attributed by {role}", credit)


def progressed(
    task: Task, response: str, split: Split, role: str = "value", alpha: float = 3.0, k: int = 4
) -> VerdictGenerator:
    """The verifier's outcome, and alpha times how far each step brings a prover: A(step) = Q(after) - Q(before), of the policy
    itself given k tries. Credit of each step is the sum of both; the reward is the outcome. A step that changes nothing has
    advantage 0, whatever its value. Source: PAV, arXiv 2410.08146, equations 2 and 5.

    role  gives sigma^-1 of the chance of success behind each step, the empty one before the first included
    """
    known = yield from truth(task, response)
    steps = tuple(split(response))
    found = yield Score(task.prompt, ("", *steps), role)
    before, *after = [sigmoid(float(v)) for v in found.values]
    gains = prover_advantage(after, k, before)
    outcome = float(known.reward or 0.0)
    verdict = ruled(known, outcome, {"progress": sum(gains)}, f"progress by {role}", [outcome + alpha * g for g in gains])
    return replace(verdict, parts={**verdict.parts, LEARNT: after[-1]})


def trusted(task: Task, response: str, role: str = "reward", alpha: float = 0.5) -> VerdictGenerator:
    """A reward model's score among right answers, and among wrong ones, but never across: sigma(alpha * score) + right - 1,
    from -1 to 1, here (r + 1) / 2. Source: Qwen2.5-Math, arXiv 2409.12122, equation 3."""
    known = yield from truth(task, response)
    found = yield Score(task.prompt, (response,), role)
    own = sigmoid(alpha * float(found.values[-1]))
    verdict = ruled(known, (own + float(known.correct)) / 2, {}, f"scored by {role}")
    return replace(verdict, parts={**verdict.parts, LEARNT: own})


IMPROVE = "Give a better answer."


def gap(task: Task, response: str, role: str = "reward", again: str = IMPROVE, *, turns: Sequence[str]) -> VerdictGenerator:
    """How much better a reward model finds the last of two answers than the first, both read after the first: sigma of the
    difference of their scores. 1/2 for one that is the first again, whatever the prompt is worth. The part `first` is 1 where
    the first answer was right. Source: PIT, arXiv 2310.00898, section 3."""
    known = yield from truth(task, response)
    first = yield from truth(task, turns[0])
    asked = (*task.prompt, {"role": "assistant", "content": turns[0]}, {"role": "user", "content": again})
    after, before = yield [Score(asked, (said,), role) for said in (response, turns[0])]
    own = sigmoid(float(after.values[-1]) - float(before.values[-1]))
    return ruled(known, own, {"first": float(first.correct)}, f"gap by {role}")


def rehearse(
    verdict: Callable[..., Any],
    outcome: str,
    scores: Sequence[float] | Mapping[str, Sequence[float]] = (),
    words: Sequence[str] = (),
    **given: Any,
) -> Any:
    """The verdict that comes of such an outcome, such scores and such words of roles, one after the other: for checks.

    scores  of all roles alike, or by role
    given  what the verdict asks for by name, such as turns; `task` and `response` too
    """
    task = given.pop("task", Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1))
    said, nothing = iter(words), np.zeros(0)

    def answer(event: Any) -> Any:
        if isinstance(event, Check):
            return Verdict(outcome, None if outcome == "unscorable" else float(outcome == "correct"))
        if isinstance(event, Score):
            own = scores[event.role] if isinstance(scores, Mapping) else scores
            return Scored(np.array(list(own)[: len(event.steps)]))
        return Turn(next(said), nothing.astype(np.int32), nothing > 0, nothing, "end")

    asking = verdict(task, given.pop("response", "4"), **given)
    try:
        wish = next(asking)
        while True:
            wish = asking.send([answer(e) for e in wish] if isinstance(wish, list) else answer(wish))
    except StopIteration as end:
        return end.value
