"""What each turn of the student is worth: the turns judged one by one, and a shape that makes credit of their rewards.

A shape is a function of the attempts' rewards, in order, to what each is worth. The verdict stays that on the last attempt.
Beside attempts a student may say other things: `kinds` names what its turns are, one letter each, over and over: "a" is
attempts alone; "ac" attempt, check, attempt, check, …; "ae" attempt, explanation, attempt, ….

    a  an attempt     judged by the verifier; its part "turn 1", "turn 2", … is 1 where it is right, else 0
    c  a check        says of the attempt before whether it is right: worth 1 where that is so; its part is "check 1", …
    e  an explanation, a critique, thoughts: not judged, and worth what the attempt after it is
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from sharpen.core import Task, Verdict
from sharpen.verify import verdicts
from sharpen.verify.final import final_answer

Shape = Callable[[Sequence[float]], Sequence[float]]
RIGHT = re.compile(r"\b(?:right|correct|yes|finish(?:ed)?|good|no (?:mistakes?|errors?))\b", re.IGNORECASE)
WRONG = re.compile(r"\b(?:wrong|incorrect|no|not|mistakes?|errors?|bad|isn't|false)\b", re.IGNORECASE)
NO_ERROR = re.compile(r"\bno (?:mistakes?|errors?)\b|\bnot wrong\b", re.IGNORECASE)


def says_right(text: str) -> bool | None:
    """What a check says of an answer: right, wrong; None where it says neither, or both."""
    text = text[-2000:]
    right = bool(RIGHT.search(text))
    wrong = bool(WRONG.search(NO_ERROR.sub("", text)))
    return None if right == wrong else right


def as_judged(rewards: Sequence[float]) -> list[float]:
    """Each attempt is worth its own reward."""
    return list(rewards)


def kind_of(kinds: str, number: int) -> str:
    """The letter of a turn."""
    return kinds[number % len(kinds)]


def each_turn(
    task: Task,
    response: str,
    shape: Shape = as_judged,
    verifier: Callable[[Task, str], Verdict] = verdicts.verify,
    kinds: str = "a",
    draws: int = 0,
    credited: bool = True,
    *,
    turns: Sequence[str],
) -> Verdict:
    """The verdict on the last attempt, with credit for each turn. Unscorable where one of the attempts cannot be judged.

    credited  False: the attempts' outcomes are noted, and all turns have the last one's reward
    draws  > 0: after the first the turns are draws, so many for each attempt, of which `new_answer` says which it is
    """
    letters = drawn(task, turns, draws) if draws else [kind_of(kinds, i) for i in range(len(turns))]
    found = {i: verifier(task, said) for i, said in enumerate(turns) if letters[i] == "a"}
    lost = next((verdict for verdict in found.values() if verdict.reward is None), None)
    if lost is not None:
        return lost
    places = sorted(found)
    shaped = shape([float(found[i].reward or 0.0) for i in places])
    worth = dict(zip(places, map(float, shaped), strict=True))
    parts = {f"turn {n}": float(found[i].correct) for n, i in enumerate(places, 1)}
    checks = [i for i in range(len(turns)) if letters[i] == "c"]
    for n, i in enumerate(checks, 1):
        attempt = max((p for p in places if p < i), default=None)
        worth[i] = float(attempt is not None and says_right(turns[i]) is found[attempt].correct)
        parts[f"check {n}"] = worth[i]
    for i in range(len(turns)):
        worth.setdefault(i, next((worth[p] for p in places if p > i), 0.0))
    last = found[places[-1]]
    credit = tuple(worth[i] for i in range(len(turns))) if credited else ()
    return replace(last, parts={**last.parts, **parts}, credit=credit)


def counting_calls(
    task: Task,
    response: str,
    price: float = 0.0,
    verifier: Callable[[Task, str], Verdict] = verdicts.verify,
    *,
    turns: Sequence[str],
) -> Verdict:
    """The verdict on what was said last, after calls of tools: each turn before it is one, and costs `price` of what is earned.

    Parts: `calls`; and, where the task's data say how many `calls` it takes, `dummy`, those beyond that. Only right answers
    earn, so that a call is never worth less than a wrong answer without one.
    """
    found = verifier(task, response)
    if found.reward is None:
        return found
    calls = len(turns) - 1
    parts = {"calls": float(calls)}
    if "calls" in task.data:
        parts["dummy"] = float(max(calls - int(task.data["calls"]), 0))
    return replace(found, reward=found.reward * max(1.0 - price * calls, 0.0), parts={**found.parts, **parts})


def answer_of(task: Task, text: str) -> str:
    """The final answer, blind to case and spacing; the whole text where a task has no answer to be found."""
    return " ".join((final_answer(task, text)[0] if task.answer is not None else text).split()).casefold()


def new_answer(task: Task, draws: Sequence[str], given: Collection[str]) -> int:
    """The first of these draws whose answer was not given before; the first of all where there is none."""
    return next((i for i, text in enumerate(draws) if answer_of(task, text) not in given), 0)


def drawn(task: Task, turns: Sequence[str], draws: int) -> list[str]:
    """The letter of each turn where attempts are chosen among draws: "a" for those chosen, "e" for the others, and for the last
    of them said again, which ends an episode whose last attempt was not the last draw."""
    letters = ["e"] * len(turns)
    given: set[str] = set()
    whole = len(turns) - (draws > 1 and (len(turns) - 1) % draws == 1)
    for first in (0, *range(1, whole, draws)):
        chosen = first + (new_answer(task, turns[first : first + draws], given) if first else 0)
        letters[chosen] = "a"
        given.add(answer_of(task, turns[chosen]))
    return letters


# Shapes.


def taught(task: Task, response: str, verifier: Callable[[Task, str], Verdict] = verdicts.verify) -> Verdict:
    """The verdict, which is also what the role `teacher` is paid: its example is worth what the student makes of it."""
    found = verifier(task, response)
    return found if found.reward is None else replace(found, parts={**found.parts, "teacher": found.reward})


def improvement(rewards: Sequence[float], alpha: float = 10.0) -> list[float]:
    """SCoRe (arXiv 2409.12917, section 4.2): a later turn is also paid alpha times what it is better than the one before it.

    The bonus belongs to the later turn alone: paid to the earlier one, failing on purpose would be worth it. Where an attempt
    spoils a right one, it is a malus.
    """
    bonus = [0.0, *(alpha * (after - before) for before, after in zip(rewards, rewards[1:]))]
    return [reward + more for reward, more in zip(rewards, bonus)]


def with_role(task: Task, response: str, role: str, verifier: Callable[[Task, str], Verdict] = verdicts.verify) -> Verdict:
    """The verdict, with 1 as the part of a role that learns from what it was shown to say, whatever came of it."""
    found = verifier(task, response)
    return found if found.reward is None else replace(found, parts={**found.parts, role: 1.0})


def beyond_stopping(rewards: Sequence[float]) -> list[float]:
    """MRT (arXiv 2503.07572): of a beginning, what was answered there, and how it went on instead, the last is worth its reward
    less that of the answer there; nothing else is. Fewer turns: the answer ended before, and no turn is worth anything."""
    if len(rewards) < 3:
        return [0.0] * len(rewards)
    return [0.0, 0.0, rewards[-1] - rewards[1], *[0.0] * (len(rewards) - 3)]


def discounted(rewards: Sequence[float], gamma: float = 0.5) -> list[float]:
    """UFO (arXiv 2507.14295, section 3): what an episode earns is gamma^(turns - 1) times its last reward, for every turn."""
    return [gamma ** (len(rewards) - 1) * rewards[-1]] * len(rewards)


def progress(rewards: Sequence[float], alpha: float = 1.0, start: float = 0.0) -> list[float]:
    """MRT (arXiv 2503.07572): the last reward, and alpha times what each turn has brought the answer forward.

    Its rewards are what an answer forced at the end of each turn is worth; `start` what one without any turn is. The sum of the
    progress is the last less the start, whatever lies between: it is credit, no other ranking of whole episodes.
    """
    gains = [after - before for before, after in zip([start, *rewards], rewards)]
    return [rewards[-1] + alpha * gain for gain in gains]


def prover_advantage(values: Sequence[float], k: int = 4, start: float = 0.0) -> list[float]:
    """PAV (arXiv 2410.08146): how much a step raises the chance that the best of k continuations is right.

    values  success rates after each step, of single continuations; with k = 1 these differences themselves
    """
    best = [1 - (1 - value) ** k for value in (start, *values)]
    return [after - before for before, after in zip(best, best[1:])]


def only_last(rewards: Sequence[float]) -> list[float]:
    """The last turn has its reward, the others nothing: SCoRe's first stage (arXiv 2409.12917, section 4.1)."""
    return [*([0.0] * (len(rewards) - 1)), rewards[-1]]


# Whole episodes.


def tried_again(
    task: Task,
    response: str,
    gamma: float = 0.5,
    variety: float = 0.1,
    malformed: float = 0.1,
    verifier: Callable[[Task, str], Verdict] = verdicts.verify,
    *,
    turns: Sequence[str],
) -> Verdict:
    """UFO's reward of an episode that ends at its first right answer: gamma^(t - 1) where that is turn t, less `variety` times
    the share of turns that repeat an answer, less `malformed` where the last cannot be read.

    The paper writes gamma^t with t from 0. Its weights are not stated in its text. Source: arXiv 2507.14295, section 3.
    """
    verdict = verifier(task, response)
    if verdict.reward is None:
        return verdict
    answers = {answer_of(task, said) for said in turns}
    repeated = 1 - len(answers) / len(turns) if turns else 0.0
    worth = gamma ** (len(turns) - 1) * verdict.reward - variety * repeated
    worth -= malformed * (verdict.outcome == "malformed")
    return replace(verdict, reward=worth, parts={**verdict.parts, "repeated": repeated, "turns": float(len(turns))})


def attempts(turns: Sequence[str], kinds: str = "a") -> list[str]:
    """Those of the turns that are attempts."""
    return [said for i, said in enumerate(turns) if kind_of(kinds, i) == "a"]


def repaired(
    task: Task,
    response: str,
    explanation: float = 1.0,
    verifier: Callable[[Task, str], Verdict] = verdicts.verify,
    *,
    turns: Sequence[str],
) -> Verdict:
    """LeDex's credit (arXiv 2405.18649, section 4) of attempt, explanation, attempt, …: a repair is worth 5 (S_cb + S_ut) - 5,
    its likeness to the worked solution and the share of cases that it passes; an explanation (50 S_ex - 35) / 3, its likeness
    to what the verifier says of the fault. The first attempt has its reward.

    S_cb is the likeness of words where the paper has CodeBLEU, S_ex the cosine of word counts where it has embeddings.

    explanation  factor of the explanation's worth; 0: repairs alone
    """
    verdict = each_turn(task, response, as_judged, verifier, "ae", turns=turns)
    if verdict.reward is None:
        return verdict
    credit = list(verdict.credit)
    for i in range(1, len(turns)):
        if i % 2:
            credit[i] = explanation * worth_of_explanation(cosine(turns[i], verifier(task, turns[i - 1]).feedback))
        else:
            passed = verifier(task, turns[i])
            like = likeness(turns[i], task.solution or task.answer or "")
            credit[i] = worth_of_repair(like, passed.parts.get("passed", passed.reward or 0.0))
    return replace(verdict, credit=tuple(credit))


def worth_of_repair(like: float, passed: float) -> float:
    """From -5, for what is nothing like it and passes nothing, to 5."""
    return 5 * (like + passed) - 5


def worth_of_explanation(like: float) -> float:
    """-5 at a likeness of 0.4, 5 at 1."""
    return (50 * like - 35) / 3


def cosine(a: str, b: str) -> float:
    """Of the counts of their words, 0 to 1; 0 where one has none."""
    one, other = (Counter(re.findall(r"\w+", text.lower())) for text in (a, b))
    size = math.sqrt(sum(n * n for n in one.values()) * sum(n * n for n in other.values()))
    return sum(n * other[word] for word, n in one.items()) / size if size else 0.0


def likeness(a: str, b: str) -> float:
    """How much of two texts is alike, 0 to 1, word by word and in order."""
    one, other = (re.findall(r"\w+|\S", text[:4000]) for text in (a, b))
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def caused(
    task: Task, response: str, verifier: Callable[[Task, str], Verdict] = verdicts.verify, *, turns: Sequence[str]
) -> Verdict:
    """What a critique is worth: the share of the revisions after it that are right. The turns are an attempt, its critique, and
    revisions (rollouts.critique). Source: MARV of MultiCritique, arXiv 2410.15287, section 4."""
    said_again = len(turns) > 3 and turns[-1] == turns[1]  # the critique, which is what the episode returns
    first, *found = (verifier(task, said) for said in (turns[0], *turns[2 : len(turns) - said_again]))
    if lost := next((v for v in (first, *found) if v.reward is None), None):
        return lost
    worth = sum(v.correct for v in found) / len(found) if found else 0.0
    parts = {"turn 1": float(first.correct), "turn 2": float(worth >= 0.5)}
    return Verdict("correct" if worth >= 0.5 else "wrong", worth, parts, rule="what revisions come to")
