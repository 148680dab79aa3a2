"""A tutor and a pupil: the student of the run is the tutor, and is worth what its pupil does with what it says.

The pupil is a role. `pupil` is a scripted one, for who has none: a function of what it is asked. It copies an answer that it is
told, and mends its first wrong step half of the time after a hint that names it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sharpen.core import GREEDY, Ask, RolloutGenerator, Sample, Task, Verdict, VerdictGenerator
from sharpen.hashing import derive
from sharpen.rollouts.feedback import judged, without_answer
from sharpen.verify import steps

ASK = "A pupil was asked:\n{question}\nThe pupil answers:\n{answer}\nHelp with a hint. Do not give the answer."
RECORD = (
    'Say it as JSON: {"evaluation": "right" or "wrong", "action": "confirm" or "hint", "state": "finished" or "in progress", '
    '"text": …}.'
)
FIELDS = ("evaluation", "action", "state")


def tutor(task: Task, role: str = "pupil", record: bool = False, shown: bool = False) -> RolloutGenerator:
    """The pupil tries; the tutor says something. `record`: as a record of fields; `shown`: training tasks are answered by the
    right record, so that imitation can learn it."""
    tried = yield Ask(task.prompt, role=role, sampling=GREEDY)
    asked = ASK.format(question=task.prompt[-1]["content"], answer=tried.text) + (f"\n{RECORD}" if record else "")
    told = json.dumps(right_record(task, tried.text)) if shown and task.split == "train" else None
    return (yield Ask(({"role": "user", "content": asked},), answer=told))


def lesson(task: Task, role: str = "pupil", rounds: int = 3) -> RolloutGenerator:
    """`tutor` over several tries: a conversation in which every turn of the tutor's is a record; it ends when the pupil is
    right. Training tasks show the right records: CLASS's conversation set (arXiv 2305.13272), by rule instead of by a model."""
    tried = yield Ask(task.prompt, role=role, sampling=GREEDY)
    turn = None
    for _ in range(rounds):
        told = json.dumps(right_record(task, tried.text)) if task.split == "train" else None
        words = (
            f"{ASK.format(question=task.prompt[-1]['content'], answer=tried.text)}\n{RECORD}" if turn is None else tried.text
        )
        turn = yield Ask(({"role": "user", "content": words},), after=turn, answer=told)
        if (yield from judged(task, tried.text)).correct:
            break
        hint = without_answer(task, turn.text)
        tried = yield Ask(({"role": "user", "content": f"{task.prompt[-1]['content']}\nHint: {hint}"},), role=role)
    assert turn is not None
    return turn


def helped(task: Task, response: str, role: str = "pupil") -> VerdictGenerator:
    """The verdict on what the pupil answers after the tutor's words, in which the task's answer is masked: so a tutor that
    gives it away has helped nobody. What it gave away is the part "leak"."""
    hint = without_answer(task, response)
    turn = yield Ask(({"role": "user", "content": f"{task.prompt[-1]['content']}\nHint: {hint}"},), role=role)
    found = yield from judged(task, turn.text)
    if found.reward is None:
        return found
    leak = float(hint != response)
    good = found.correct and not leak
    parts = {"leak": leak, "pupil": float(found.correct)}
    return Verdict("correct" if good else "wrong", float(good), parts, rule="what the pupil does next")


def recorded(task: Task, response: str, role: str = "pupil") -> VerdictGenerator:
    """Whether the tutor's record is the one that the pupil's first answer deserves. The pupil is asked again, greedily, as it
    was when the tutor spoke."""
    turn = yield Ask(task.prompt, role=role, sampling=GREEDY)
    gold, said = right_record(task, turn.text), record_in(response)
    if said is None:
        return Verdict("malformed", 0.0, feedback="This is no record.", rule="record")
    leak = float(without_answer(task, response) != response and gold["evaluation"] == "wrong")
    parts = {name: float(said[name] == gold[name]) for name in FIELDS} | {"leak": leak}
    good = not differs(gold, response) and not leak
    return Verdict("correct" if good else "wrong", float(good), parts, rule="record")


def record_pairs(samples: Sequence[Sample], role: str = "pupil", *, retell: Callable[..., Sample]) -> list[Sample]:
    """The right record against the tutor's own, wherever they differ in a field: pedagogical alignment (arXiv 2402.05000)."""
    found: list[Sample] = []
    for s in samples:
        task, tried = s.rollout.task, pupil_words(s, role)
        gold = right_record(task, tried)
        if s.verdict.reward is None or not differs(gold, s.rollout.response):
            continue
        asked = ({"role": "user", "content": f"{ASK.format(question=task.prompt[-1]['content'], answer=tried)}\n{RECORD}"},)
        told = retell(s, asked, json.dumps(gold))
        worse = replace(s, verdict=replace(s.verdict, outcome="wrong", reward=0.0))
        sides = (replace(told, verdict=Verdict("correct", 1.0)), worse)
        found += [replace(side, group=len(found) // 2, weight=1.0) for side in sides]
    return found


def lessons(samples: Sequence[Sample]) -> list[Sample]:
    """Every lesson that could be judged, whether or not the pupil was right in the end: the tutor's turns are the right
    ones."""
    return [s for s in samples if s.verdict.reward is not None]


def right_record(task: Task, answer: str) -> dict[str, str]:
    """What a tutor should say of an answer, by rule: its first wrong step, where that is known."""
    from sharpen.verify import verify

    if verify(task, answer).correct:
        return {"evaluation": "right", "action": "confirm", "state": "finished", "text": "That is right."}
    hint = without_answer(task, steps.words_on(task, answer)) or "Look at your steps again."
    return {"evaluation": "wrong", "action": "hint", "state": "in progress", "text": hint}


def record_in(text: str) -> dict[str, Any] | None:
    """The record that a text is; None where it is none, or not whole."""
    start, end = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[start : end + 1]) if start >= 0 else None
    except (ValueError, RecursionError):
        return None
    whole = isinstance(found, dict) and all(isinstance(found.get(f), str) for f in (*FIELDS, "text"))
    return found if whole else None


def differs(gold: Mapping[str, Any], said: str) -> bool:
    """Whether a tutor's words make a pair with the right record: they are no record, or not whole, or a field is another one.
    Other words in `text` do not count. Source: pedagogical alignment (arXiv 2402.05000), its release."""
    found = record_in(said)
    return found is None or any(found[f] != gold[f] for f in FIELDS)


def pupil_words(sample: Sample, role: str = "pupil") -> str:
    """What the pupil answered before the tutor spoke."""
    return next((turn.text for turn in sample.rollout.others if turn.author == role), "")


def pupil(messages: Sequence[Mapping[str, Any]], h: float = 0.5) -> str:
    """A scripted pupil for step chains: wrong in one step, until a hint names a step, after which it is right with probability
    h; told the answer itself, it repeats that and nothing else. What it does is a function of what it is asked."""
    import re

    text = str(messages[-1]["content"])
    asked, _, hint = text.partition("\nHint: ")
    found = re.search(r"Start at (-?\d+), count mod (\d+): (.*)", asked)
    if found is None:
        return hint.split()[-1] if hint.split() else "?"
    state, modulus = int(found[1]), int(found[2])
    changes = [int(change) for change in found[3].split()]
    luck = derive(0, "pupil", text) / 2**63
    mended = bool(re.search(r"[Ss]tep \d+", hint)) and luck < h
    wrong = derive(0, "pupil's step", asked) % len(changes)
    states = []
    for i, change in enumerate(changes):
        state = (state + change + (0 if mended or i != wrong else 1)) % modulus
        states.append(state)
    return f"{' '.join(map(str, states))}<answer>{states[-1]}</answer>"
