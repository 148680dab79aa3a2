"""Rewards that a judge model says in words: the policy itself under another prompt, a copy that learns, or somebody else.

    rated         a number from 0 to 100, without a reference          SSR-Zero, arXiv 2505.16637
    agreed        yes and no to a question and its opposite            a judge that contradicts itself is nobody's verdict
    ticked        the share of a generated checklist that is met       TICK, arXiv 2410.03608
    stepwise      a verdict on each step and on the whole              SPARK, arXiv 2512.03244
    rationalised  several reasoned scores, of which it may learn       self-rationalisation, arXiv 2410.05495
    debated       yes or no by judges who heard both sides             arXiv 2501.13124

Each is a verdict as learnt.py makes them: the outcome is the verifier's wherever the task has one. What cannot be read of a
judge is unscorable in training, so it leaves its group before means are taken; in evaluations the verifier's outcome stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from sharpen.core import GREEDY, Ask, Sampling, Task, Turn, Verdict, VerdictGenerator
from sharpen.verify import verdicts
from sharpen.verify.judgement import (
    CHECKLIST,
    RIGHT,
    STEPS,
    TICK,
    WRONG,
    asking,
    numbered,
    read_list,
    read_score,
    read_steps,
    read_yes,
)
from sharpen.verify.learnt import ruled, truth

RATE = (
    "Judge the answer without any other source. Give a whole number from 0, useless or off the question, to 100, perfect: "
    "<answer>NUMBER</answer>"
)
REASON = "Say in one sentence what is right or wrong with the answer, then score it from 0 to 10: Score: NUMBER"
ARGUE = "Argue in two sentences that the answer is {side}. Point to what shows it."
DRAWN = Sampling(temperature=1.0)


def unread(known: Verdict, task: Task, rule: str, words: str) -> Verdict:
    """Where the judge cannot be read: nothing in training, and the verifier's own verdict in an evaluation."""
    if task.split != "train" and known.reward is not None:
        return known
    return Verdict("unscorable", None, feedback=f"the judge cannot be read: {words[:200]!r}", rule=rule)


def rated(task: Task, response: str, role: str = "judge", words: str = RATE, tokens: int = 256) -> VerdictGenerator:
    """A number from 0 to 100 as reward; an answer that the verifier cannot read, or that is empty, earns 0 unasked."""
    known = yield from truth(task, response)
    rule = f"rated by {role}"
    if not response.strip() or known.outcome == "malformed":
        return ruled(known, 0.0, {}, rule)
    turn = yield Ask(asking(task, response, words), role=role, max_tokens=tokens, sampling=GREEDY)
    value = read_score(turn.text)
    return unread(known, task, rule, turn.text) if value is None else ruled(known, value, {}, rule)


def agreed(task: Task, response: str, role: str = "judge", tokens: int = 64) -> VerdictGenerator:
    """Yes to "is it right?" and no to "is it wrong?" is worth 1, the opposite 0. A judge that says yes to both, or no to both,
    agrees with whatever it is asked: its contradiction is counted as the part `contradicts`, and it is unscorable."""
    known = yield from truth(task, response)
    asks = [Ask(asking(task, response, words), role=role, max_tokens=tokens, sampling=GREEDY) for words in (RIGHT, WRONG)]
    for_it, against = yield asks
    yes, no = read_yes(for_it.text), read_yes(against.text)
    if yes is None or no is None or yes == no:
        lost = unread(known, task, f"agreed by {role}", f"{for_it.text} / {against.text}")
        return replace(lost, parts={**lost.parts, "contradicts": float(yes is not None and yes == no)})
    return ruled(known, float(yes), {}, f"agreed by {role}")


def ticked(task: Task, response: str, role: str = "judge", most: int = 5, tokens: int = 200) -> VerdictGenerator:
    """The judge writes yes-or-no questions for this prompt, blind to the answer, and answers each of the answer: reward is the
    share of yes among those that it answered readably, of which there must be more than half. Parts: each question's own."""
    known = yield from truth(task, response)
    rule = f"ticked by {role}"
    listed = yield Ask(asking(task, "", CHECKLIST.format(most=most)), role=role, max_tokens=tokens, sampling=GREEDY)
    questions = read_list(listed.text, most)
    if not questions:
        return unread(known, task, rule, listed.text)
    turns = yield [
        Ask(asking(task, response, TICK.format(question=q)), role=role, max_tokens=16, sampling=GREEDY) for q in questions
    ]
    told = {f"tick {q}": yes for q, turn in zip(questions, turns) if (yes := read_yes(turn.text)) is not None}
    if 2 * len(told) <= len(questions):
        return unread(known, task, rule, turns[0].text)
    ticks = {name: float(yes) for name, yes in told.items()}
    return ruled(known, fmean(ticks.values()), ticks, rule)


def process_aware(right: Sequence[bool], verdict: bool) -> float:
    """The verdict on the whole; steps are looked at and not paid."""
    return float(verdict)


def step_augmented(right: Sequence[bool], verdict: bool, share: float = 0.4) -> float:
    """Also the share of right steps, which trivial steps can raise: SPARK's own warning (section 5)."""
    return share * fmean(right) + (1 - share) * float(verdict)


def stepwise(
    task: Task,
    response: str,
    split: Callable[[str], Sequence[str]],
    role: str = "judge",
    worth: Callable[[Sequence[bool], bool], float] = process_aware,
    credit: bool = False,
    tokens: int = 256,
) -> VerdictGenerator:
    """A generative process reward model: reward is `worth` of its verdicts where the answer is valid, else 0: it can be read,
    and nothing follows it.

    credit  also of each step, for `data.stepping`
    """
    known = yield from truth(task, response)
    rule, steps = f"judged step by step by {role}", tuple(split(response))
    if known.outcome == "malformed" or not response.strip():
        return ruled(known, 0.0, {}, rule, [0.0] * len(steps) if credit else ())
    turn = yield Ask(asking(task, response, STEPS, steps=numbered(steps)), role=role, max_tokens=tokens, sampling=GREEDY)
    read = read_steps(turn.text, len(steps))
    if read is None:
        return unread(known, task, rule, turn.text)
    right, verdict = read
    parts = {"steps_right": fmean(right)}
    return ruled(known, worth(right, verdict), parts, rule, list(map(float, right)) if credit else ())


def rationalised(task: Task, response: str, role: str = "judge", times: int = 4, tokens: int = 96) -> VerdictGenerator:
    """The mean of several reasoned scores, drawn at temperature 1. Those that cannot be read are left out of it, not of what
    the judge may learn (`data.judgements`)."""
    known = yield from truth(task, response)
    rule = f"reasoned by {role}"
    ask = Ask(asking(task, response, REASON), role=role, max_tokens=tokens, sampling=DRAWN)
    turns: list[Turn] = yield [ask] * times
    found = [value for turn in turns if (value := read_score(turn.text, 10.0)) is not None]
    if not found:
        return unread(known, task, rule, turns[0].text)
    return ruled(known, fmean(found), {"readable": len(found) / times}, rule)


def debated(
    task: Task,
    response: str,
    rounds: int = 1,
    judges: int = 1,
    debater: str = "debater",
    judge: str = "judge",
    tokens: int = 96,
) -> VerdictGenerator:
    """Two copies of a strong model argue that the answer is right, and that it is wrong; weak judges who read it say yes or no,
    each with a debate of its own, and their share of yes is the reward. With 0 rounds they judge alone.

    Who argues is told which side, and sees what was said before; who begins alternates over the judges, so that no side always
    has the last word.
    """
    known = yield from truth(task, response)
    rule = f"judged by {judge} after a debate"
    heard: list[list[str]] = [[] for _ in range(judges)]
    for number in range(2 * rounds):
        asks = []
        for i in range(judges):
            side = ("right", "wrong")[(number + i) % 2]
            said = asking(task, response, ARGUE.format(side=side), debate=heard[i])
            asks.append(Ask(said, role=debater, max_tokens=tokens, sampling=DRAWN))
        for i, turn in enumerate((yield asks)):
            heard[i].append(f"{('right', 'wrong')[(number + i) % 2]}: {turn.text}")
    words = [asking(task, response, RIGHT, **({"debate": heard[i]} if rounds else {})) for i in range(judges)]
    turns = yield [Ask(said, role=judge, max_tokens=16, sampling=DRAWN if judges > 1 else GREEDY) for said in words]
    votes = [yes for turn in turns if (yes := read_yes(turn.text)) is not None]
    if not votes:
        return unread(known, task, rule, turns[0].text)
    return ruled(known, fmean(map(float, votes)), {"votes": float(len(votes))}, rule)


def co_evolved(
    task: Task, response: str, verifier: Callable[[Task, str], Verdict] = verdicts.verify, *, turns: Sequence[str]
) -> Verdict:
    """Credit of `rollouts.co_evolved`: two answers as the verifier judges them, yes or no to the first where that is so, A or B
    where that one is better (1/2 where neither is), and the mended answer where there is one. The verdict is that on the second
    answer, and an answer alone is judged as ever. Source: SPARK, arXiv 2509.22624, section 3.
    """
    if len(turns) < 4:
        return verifier(task, response)
    first, second, *mended = (verifier(task, turns[i]) for i in (0, 1, 4) if i < len(turns))
    mended = [] if first.correct else mended  # what was right is the rollout's own last turn again
    lost = next((v for v in (first, second, *mended) if v.reward is None), None)
    if lost is not None:
        return lost
    point = float(read_yes(turns[2]) is first.correct)
    said = set(re.findall(r"\b[AB]\b", turns[3]))
    better = {True: "A", False: "B"}[first.correct]
    pair = float(said == {better}) if first.correct != second.correct else 0.5
    credit = (float(first.reward or 0.0), float(second.reward or 0.0), point, pair, *(float(v.reward or 0.0) for v in mended))
    parts = {"judged_rightly": point}
    if mended:
        parts["mended"] = float(mended[0].correct)
    return replace(second, parts={**second.parts, **parts}, credit=credit)
