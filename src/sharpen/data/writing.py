"""What those who write are asked, and what comes back of it: prompts, JSON, and how many for what. For propose.py.

Whoever writes is asked for JSON, {"question": …, "answer": …}; prose is refused, and so is nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from sharpen.core import Ask, Failed, Refused, Sample, Task, Weakness
from sharpen.data.diagnose import question_of

NO_ANSWER, NO_JSON, NO_QUESTION = "nobody answered", "no JSON object with a question", "an empty question"
NO_VERIFIER = "its parent's verifier cannot judge another question"
BOUND = ("gym", "rubric", "judge", "code_io")  # verifiers whose task data belongs to one question
TOKENS = 256  # of a proposal
DOWN = "the role gives no answer"

HOW: Mapping[str, str] = {
    "like": "tests the same skill with other numbers and words",
    "harder": "needs one more step of the same skill",
    "easier": "is a simpler case of the same skill",
    "diverse": "asks for the same skill in quite another setting",
    "same": "says the same thing in other words, so that the answer does not change",
    "simpler": "says the same thing more simply and clearly, so that the answer does not change",
    "counterfactual": "changes one fact of it, so that the answer changes",
    "part": "asks only for one step on the way to its answer",
    # The four axes along which LoopTool varies an error's seed (arXiv 2511.09148).
    "complexity": "keeps what went wrong, and has more conditions",
    "persona": "keeps what went wrong, and is asked by somebody else, in that person's words",
    "style": "keeps what went wrong, and is asked in another tone and order",
    "format": "keeps what went wrong, and gives its data in another format",
}
AXES = ("complexity", "persona", "style", "format")
KEEPS = ("same", "simpler")  # ways in which the answer stays
ASKED = (
    'Reply with one JSON object and nothing else: {"question": "the new problem", "answer": "its final answer"}.\n'
    "The problem must be complete in itself and have exactly one right answer."
)


# ------------------------------------------------------------------------------------------------------------ prompts


def told(shown: str, wanted: str) -> tuple[dict[str, str], ...]:
    return ({"role": "user", "content": f"{shown}\n\n{wanted}"},)


def examples_of(samples: Sequence[Sample]) -> str:
    """Failed questions with what was answered and, where it is known, what is right."""
    lines = []
    for s in samples:
        task = s.rollout.task
        gold = f"\nRight answer: {task.answer}" if task.answer else ""
        lines.append(f"A problem that a student got wrong:\n{question_of(task)}\nThe student's answer: {said(s)}{gold}")
    return "\n\n".join(lines)


def said(sample: Sample) -> str:
    return " ".join(sample.rollout.response.split())[:300]


def prompt(shown: Sequence[Sample], way: str) -> tuple[dict[str, str], ...]:
    return told(examples_of(shown), f"Write a new problem that {HOW[way]}; go by the first problem above.\n{ASKED}")


def write_like(question: str, way: str = "another") -> tuple[dict[str, str], ...]:
    """What the student is asked where it writes questions itself: short, since a small student reads it too."""
    return ({"role": "user", "content": f"Ask {way}: {question}"},)


def ask_for(messages: tuple[dict[str, str], ...], shown: Sample, role: str, tokens: int = TOKENS) -> Ask:
    """The Ask, once it is sure that the failing question stands in it. Raises ValueError where it does not."""
    if not any(question_of(shown.rollout.task) in m["content"] for m in messages):
        raise ValueError(f"a proposer is not shown the failure that it writes for: {question_of(shown.rollout.task)!r}")
    return Ask(messages, role=role, max_tokens=tokens, may_fail=True)


# ------------------------------------------------------------------------------------------------------------ what comes back


def objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, in order, whatever stands between them."""
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if isinstance(value, dict):
                yield value
        at = text.find("{", end)


def written(parent: Task, turn: Any, tag: str, operator: str, keeps: bool) -> list[Any]:
    """The tasks in what a role wrote, or why there is none. `keeps`: their answer is the parent's, whatever is claimed."""
    if isinstance(turn, Failed):
        return [Refused(NO_ANSWER, str(turn))]
    if parent.verifier in BOUND:
        return [Refused(NO_VERIFIER, f"{parent.verifier}: {question_of(parent)}")]
    found: list[Any] = []
    for value in objects(turn.text[:20_000]):
        question, answer = value.get("question"), value.get("answer")
        if isinstance(question, str) and question.strip():
            claim = answer if isinstance(answer, str) or answer is None else json.dumps(answer)
            claim = accepted(claim) if parent.verifier == "tool_call" else claim
            found.append(child(parent, question.strip(), parent.answer if keeps else claim, tag, operator))
    return found or [Refused(NO_JSON, turn.text)]


def accepted(calls: str | None) -> str | None:
    """Calls of tools as a label of `tool_call` has them, each argument a list of accepted values; None for what is none."""
    try:
        listed = json.loads(calls or "")
        made = [
            {"name": call["name"], "arguments": {k: v if isinstance(v, list) else [v] for k, v in call["arguments"].items()}}
            for call in (listed if isinstance(listed, list) else [listed])
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return json.dumps(made)


def child(parent: Task, question: str, answer: str | None, tag: str, operator: str) -> Task:
    """A task for training with another question, judged as its parent is, of a family that is named after it."""
    family = re.sub(r"_(own|syllabus|concepts|twin|again|" + "|".join(HOW) + r")$", "", parent.family).replace("/", "_")
    data = {k: v for k, v in parent.data.items() if k not in ("accept", "choices", "id")}
    asked = ({**parent.prompt[-1], "content": question},)
    before = tuple(m for m in parent.prompt if m.get("role") == "system")
    level, verifier = parent.level, parent.verifier
    return Task(
        (*before, *asked), answer, f"{family}_{tag}", level, "train", verifier, data, None, (parent.id,), operator[:500]
    )


def settled(made: list[Any]) -> list[Any]:
    """The same; where nobody answered at all, one line says so."""
    lost = [m for m in made if isinstance(m, Refused) and m.reason == NO_ANSWER]
    return [Refused(DOWN, f"{len(lost)} times: {lost[0].example}"), *lost] if lost and len(lost) == len(made) else made


def sessions_of(text: str) -> list[tuple[str, list[str]]]:
    """(session, key concepts) of a syllabus in JSON; [] where there is none."""
    found = []
    for value in objects(text):
        for session in value.get("sessions") or ():
            concepts = session.get("concepts") if isinstance(session, dict) else None
            if isinstance(concepts, list) and all(isinstance(c, str) for c in concepts) and concepts:
                found.append((str(session.get("name", "")), concepts))
    return found


def private(question: str) -> set[str]:
    """Names and numbers: words with a capital that do not begin a sentence, and numbers of more than one digit."""
    names = re.findall(r"(?<![.!?:]\s)(?<!^)\b[A-Z][a-z]{2,}\b", question, re.MULTILINE)
    return {*names, *re.findall(r"\b\d{2,}\b", question)}


# ------------------------------------------------------------------------------------------------------------ choices


def quota(weak: Sequence[Weakness], n: int, by: Callable[[float], float], rng: np.random.Generator) -> list[Weakness]:
    """n weaknesses, each in proportion to `by` of its success rate, to within one; odd ones by lot. [] where none weighs."""
    usable = [w for w in weak if w.samples]
    weights = np.array([max(by(1 - w.rate), 0.0) for w in usable])
    if not len(weights) or not weights.sum():
        return []
    shares = n * weights / weights.sum()
    counts = shares.astype(int)
    rest = n - int(counts.sum())
    odd = shares - counts
    if rest:
        counts[rng.choice(len(usable), size=rest, replace=False, p=odd / odd.sum())] += 1
    return [w for w, count in zip(usable, counts, strict=True) for _ in range(count)]


def draw(samples: Sequence[Sample], n: int, rng: np.random.Generator, alike: float = 1.0) -> list[Sample]:
    """Up to n of them, in random order, no question twice, nor two that are more `alike` than that."""
    unique = list({question_of(s.rollout.task): s for s in samples}.values())
    found: list[Sample] = []
    for i in rng.permutation(len(unique)):
        if len(found) == n:
            break
        texts = [question_of(s.rollout.task) for s in found] if alike < 1 else []
        if not any(SequenceMatcher(None, text, question_of(unique[i].rollout.task)).ratio() > alike for text in texts):
            found.append(unique[i])
    return found


def cell(sessions: Sequence[tuple[str, list[str]]], rng: np.random.Generator, most: int) -> tuple[list[str], list[str]]:
    """(one or two sessions, one to `most` of their key concepts); with two sessions at least one concept of each."""
    number = int(rng.integers(1, min(2, len(sessions)) + 1))
    chosen = [sessions[i] for i in rng.choice(len(sessions), number, replace=False)]
    first = [own[int(rng.integers(len(own)))] for _, own in chosen]
    others = [c for _, own in chosen for c in own if c not in first]
    more = int(rng.integers(0, max(min(most - len(first), len(others)), 0) + 1))
    return [name for name, _ in chosen], first + [others[i] for i in rng.permutation(len(others))[:more]]


def recombined(listed: Sequence[Sequence[str]], n: int, heat: float, rng: np.random.Generator) -> list[str]:
    """n concepts of these lists, or all there are: see `combined`."""
    names = sorted({c for own in listed for c in own})
    count = np.array([[sum(a in own and b in own for own in listed) for b in names] for a in names], float)
    first = int(rng.choice(len(names), p=np.diag(count) / np.trace(count)))
    chosen = [first]
    while len(chosen) < min(n, len(names)):
        joint = count[chosen].sum(0) / heat
        joint[chosen] = -np.inf
        weights = np.exp(joint - joint.max())
        chosen.append(int(rng.choice(len(names), p=weights / weights.sum())))
    return [names[i] for i in chosen]
