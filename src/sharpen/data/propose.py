"""Propose: new tasks for what a diagnosis found. The second piece of a growing loop (growth.py).

A proposer is a generator function `(given, weak, n) -> list of Task`, beside which may stand what it threw away, as `Refused`.
Whoever writes is asked for JSON, {"question": …, "answer": …}; prose is refused, and so is nothing. An answer that comes along
is a claim, no label: label.py decides. What is written is shown the failures that it is written for, and that is asserted.

    by_program    between two levels, two questions in one, an easier level: the label is a program's
    rewrite       a role writes questions like the failed ones, harder, easier, in another setting, …
    own_words     the student itself writes questions, as text without JSON, as it learns to (relabel.questions)
    syllabus      subject -> sessions -> key concepts -> question (GLAN)
    combined      concepts of failed questions, recombined (SwS)
    twins         one synthetic twin for each task (SCALEFeedback)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sharpen.core import Arm, Ask, Failed, Sample, Task
from sharpen.core.growth import Refused, Weakness
from sharpen.data.diagnose import Given, question_of
from sharpen.data.worth import failing
from sharpen.hashing import split_of
from sharpen.tasks import composed, halfway, interpolated

Proposals = Generator[Any, Any, list[Any]]  # of Task and Refused

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


def rewrite(
    given: Given,
    weak: Sequence[Weakness],
    n: int,
    how: tuple[str, ...] = ("like",),
    role: str = "proposer",
    examples: int = 3,
    by: Callable[[float], float] = failing,
) -> Proposals:
    """n questions for the weaknesses, as many for each as `by` of its success rate says, in the ways `how` in turn.

    examples  failures of the weakness that the writer is shown; the first is the one to rewrite, and the new task's parent
    """
    asks, origins = [], []
    for i, weakness in enumerate(quota(weak, n, by, given.rng)):
        shown = draw(weakness.samples, examples, given.rng)
        way = how[i % len(how)]
        asks.append(ask_for(prompt(shown, way), shown[0], role))
        origins.append((shown[0].rollout.task, way, weakness))
    turns = yield asks
    made: list[Any] = []
    for (parent, way, weakness), turn in zip(origins, turns, strict=True):
        made += written(parent, turn, way, f"{way} for {weakness.name}, by {role or 'the student'}", way in KEEPS)
    return settled(made)


def own_words(
    given: Given,
    weak: Sequence[Weakness],
    n: int,
    role: str = "",
    ways: tuple[str, ...] = ("another", "a harder one"),
    by: Callable[[float], float] = failing,
    tokens: int = 64,
) -> Proposals:
    """n questions as the student writes them, without JSON and without a claim: it was shown how by `relabel.questions`.

    ways  in turn: another question of the same level, or one of the next, which is so called
    """
    picked = [(w, draw(w.samples, 1, given.rng)[0], ways[i % len(ways)]) for i, w in enumerate(quota(weak, n, by, given.rng))]
    turns = yield [ask_for(write_like(question_of(s.rollout.task), way), s, role, tokens) for _, s, way in picked]
    made: list[Any] = []
    for (weakness, sample, way), turn in zip(picked, turns, strict=True):
        parent = sample.rollout.task
        if isinstance(turn, Failed):
            made.append(Refused(NO_ANSWER, str(turn)))
        elif turn.stop == "length" or not turn.text.strip():
            made.append(Refused(NO_QUESTION, turn.text))
        elif parent.verifier in BOUND:
            made.append(Refused(NO_VERIFIER, f"{parent.verifier}: {question_of(parent)}"))
        else:
            task = child(parent, turn.text.strip(), None, "own", f"{way} in its own words for {weakness.name}")
            made.append(replace(task, level=parent.level + (way != ways[0])))
    return settled(made)


def by_program(
    given: Given, weak: Sequence[Weakness], n: int, pairs: bool = True, by: Callable[[float], float] = failing
) -> Proposals:
    """n tasks by changing the parameters of procedural families: half way from the next easier level, the easier level itself
    with other numbers, and two questions in one. Their answers are the families' own. Nobody is asked."""
    yield from ()
    made: list[Any] = []
    for i, weakness in enumerate(quota(weak, n, by, given.rng)):
        parent = draw(weakness.samples, 1, given.rng)[0].rollout.task
        way = i % (3 if pairs else 2)
        task = by_level(given, parent) if way == 0 else two_in_one(given, parent) if way == 2 else None
        task = task or another(given, parent)
        made += [task] if task else [Refused("no program makes such tasks", str(parent.arm))]
    return made


def syllabus(given: Given, weak: Sequence[Weakness], n: int, role: str = "proposer", each: int = 5) -> Proposals:
    """A syllabus for each weak subject, then questions on one or two sessions and one to `each` of their key concepts: GLAN
    (arXiv 2402.13064). The syllabus is asked for as JSON, {"sessions": [{"name": …, "concepts": […]}]}."""
    subjects = list(weak)
    wanted = (
        'Write a syllabus on the subject of these problems, as one JSON object and nothing else: {"sessions": [{"name": "…", '
        '"concepts": ["…"]}]}.'
    )
    turns = yield [ask_for(told(examples_of(draw(w.samples, 3, given.rng)), wanted), w.samples[0], role) for w in subjects]
    plans, made = [], []
    for weakness, turn in zip(subjects, turns, strict=True):
        sessions = sessions_of("" if isinstance(turn, Failed) else turn.text)
        plans += [(weakness, sessions)] if sessions else []
        made += [] if sessions else [Refused("no syllabus", str(turn) if isinstance(turn, Failed) else turn.text)]
    asks, origins = [], []
    for i in range(n if plans else 0):
        weakness, sessions = plans[i % len(plans)]
        names, concepts = cell(sessions, given.rng, each)
        about = f"Sessions: {', '.join(names)}. It needs these concepts: {', '.join(concepts)}."
        sample = draw(weakness.samples, 1, given.rng)[0]
        asks.append(ask_for(told(examples_of([sample]), f"Write a new problem. {about}\n{ASKED}"), sample, role))
        origins.append((sample.rollout.task, f"syllabus {weakness.name}: {'; '.join(names)}: {', '.join(concepts)}"))
    turns = yield asks
    for (parent, said), turn in zip(origins, turns, strict=True):
        made += written(parent, turn, "syllabus", said, False)
    return settled(made)


def combined(
    given: Given, weak: Sequence[Weakness], n: int, role: str = "proposer", concepts: int = 5, heat: float = 0.2
) -> Proposals:
    """Concepts of failed questions, as a role lists them, recombined within a weakness into new questions: SwS (arXiv
    2506.08989). A first concept by how often it was listed, each next one with probability ~ exp(joint count / heat) among the
    others, and as many questions for a weakness as its failure rate says. From the paper: no cosine between embeddings."""
    asks = [
        ask_for(told(examples_of([s]), "List the concepts that it needs, with commas between."), s, role, 64)
        for w in weak
        for s in w.samples[:8]
    ]
    turns = iter((yield asks))
    listed: list[list[list[str]]] = []
    for w in weak:
        said = ["" if isinstance(t, Failed) else t.text for t, _ in zip(turns, w.samples[:8])]
        listed.append([found for text in said if (found := [c.strip().lower() for c in re.split(r"[,\n;]", text) if c.strip()])])
    named = [(w, own) for w, own in zip(weak, listed, strict=True) if own]
    made: list[Any] = [] if named or not weak else [Refused("no concepts", "the role listed none")]
    asks, origins = [], []
    by_name = {w.name: own for w, own in named}
    for weakness in quota([w for w, _ in named], n, failing, given.rng):
        chosen = recombined(by_name[weakness.name], concepts, heat, given.rng)
        sample = draw(weakness.samples, 1, given.rng)[0]
        text = f"Write a new problem that needs these concepts: {', '.join(chosen)}.\n{ASKED}"
        asks.append(ask_for(told(examples_of([sample]), text), sample, role))
        origins.append((sample.rollout.task, f"concepts {', '.join(chosen)} for {weakness.name}"))
    turns = yield asks
    for (parent, said), turn in zip(origins, turns, strict=True):
        made += written(parent, turn, "concepts", said, False)
    return settled(made)


def twins(given: Given, weak: Sequence[Weakness], n: int, role: str = "proposer") -> Proposals:
    """One twin for each failed task, of the same meaning, difficulty and length, without a name or number of the original:
    SCALEFeedback (arXiv 2508.05953). A twin that keeps one of its names is refused."""
    samples = list({s.rollout.task: s for w in weak for s in w.samples}.values())[:n]
    text = (
        "Write its twin: a problem of the same meaning, difficulty and length that shares no name, place or number with it.\n"
        f"{ASKED}"
    )
    turns = yield [ask_for(told(examples_of([s]), text), s, role) for s in samples]
    made: list[Any] = []
    for sample, turn in zip(samples, turns, strict=True):
        parent = sample.rollout.task
        for found in written(parent, turn, "twin", "twin", False):
            shared = private(question_of(parent)) & private(question_of(found)) if isinstance(found, Task) else set()
            made.append(Refused("it keeps what is private", f"{sorted(shared)}: {question_of(found)}") if shared else found)
    return settled(made)


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
            found.append(child(parent, question.strip(), parent.answer if keeps else claim, tag, operator))
    return found or [Refused(NO_JSON, turn.text)]


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
    """n weaknesses, each in proportion to `by` of its success rate, to within one; the odd ones by lot. [] where all weigh 0."""
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


def draw(samples: Sequence[Sample], n: int, rng: np.random.Generator) -> list[Sample]:
    """Up to n of them, in random order, no question twice."""
    unique = list({question_of(s.rollout.task): s for s in samples}.values())
    return [unique[i] for i in rng.permutation(len(unique))[:n]]


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


# ------------------------------------------------------------------------------------------------------------ by program


def by_level(given: Given, parent: Task) -> Task | None:
    """A task half way between the parent's level and the next easier one; None where there is none."""
    levels = sorted(a.level for a in given.source.arms if a.family == parent.family and a.level < parent.level)
    if not levels or not halfway(parent.family, levels[-1], parent.level):
        return None
    return interpolated(parent.family, levels[-1], parent.level, int(given.rng.integers(2**31)), (parent.id,))


def another(given: Given, parent: Task) -> Task | None:
    """Another training task of the next easier level, or of the parent's own; None where the arm has ended."""
    levels = sorted(a.level for a in given.source.arms if a.family == parent.family and a.level <= parent.level)
    if not levels:
        return None
    level = levels[-2] if len(levels) > 1 else levels[0]
    index = int(given.rng.integers(2**31))
    task = given.source.draw(Arm(parent.family, level), "train", index, index)
    return replace(task, family=f"{parent.family}_again", parents=(parent.id,), operator=f"level {level} again")


def two_in_one(given: Given, parent: Task) -> Task | None:
    """The parent's question and one of another arm, drawn anew; None where their answers cannot stand side by side."""
    others = [a for a in given.arms if a.family != parent.family and "+" not in a.family and "_" + "own" not in a.family]
    for _ in range(4 if others else 0):
        other = others[int(given.rng.integers(len(others)))]
        index = int(given.rng.integers(2**31))
        task = composed(parent, given.source.draw(other, "train", index, index), (parent.id,))
        if task is not None and split_of(task.prompt) == "train":
            return task
    return None
