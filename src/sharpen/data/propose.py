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

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sharpen.core import Arm, Failed, Refused, Task, Weakness
from sharpen.data.diagnose import Given, question_of
from sharpen.data.worth import failing
from sharpen.data.writing import (
    ASKED,
    BOUND,
    KEEPS,
    NO_ANSWER,
    NO_QUESTION,
    NO_VERIFIER,
    ask_for,
    cell,
    child,
    draw,
    examples_of,
    private,
    prompt,
    quota,
    recombined,
    sessions_of,
    settled,
    told,
    write_like,
    written,
)
from sharpen.hashing import split_of
from sharpen.tasks import composed, halfway, interpolated

Proposals = Generator[Any, Any, list[Any]]  # of Task and Refused


def rewrite(
    given: Given,
    weak: Sequence[Weakness],
    n: int,
    how: tuple[str, ...] | Mapping[str, str] = ("like",),
    role: str = "proposer",
    examples: int = 3,
    by: Callable[[float], float] = failing,
    alike: float = 1.0,
) -> Proposals:
    """n questions for the weaknesses, as many for each as `by` of its success rate says, in the ways `how` in turn.

    how       ways of HOW; or by the weakness's name, one for each
    examples  failures of the weakness that the writer is shown; the first is the one to rewrite, and the new task's parent
    alike     examples are less alike than that, by difflib's ratio
    """
    asks, origins = [], []
    for i, weakness in enumerate(quota(weak, n, by, given.rng)):
        shown = draw(weakness.samples, examples, given.rng, alike)
        way = how[weakness.name] if isinstance(how, Mapping) else how[i % len(how)]
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


def nothing(given: Given, weak: Sequence[Weakness], n: int) -> Proposals:
    """No tasks: a loop that only repairs."""
    yield from ()
    return []


def together(
    given: Given, weak: Sequence[Weakness], n: int, writers: tuple[Callable[..., Proposals], ...] = (by_program,)
) -> Proposals:
    """n proposals, as many by each of the writers, in turn."""
    found: list[list[Any]] = []
    for i, write in enumerate(writers):
        found.append((yield from write(given, weak, n // len(writers) + (i < n % len(writers)))))
    return [item for own in found for item in own]


def tree(
    given: Given,
    weak: Sequence[Weakness],
    n: int,
    role: str = "proposer",
    explore: float = 0.5,
    rise: float = 0.0,
) -> Proposals:
    """DataEnvGym's skill tree (arXiv 2410.06215): a skill that rose by more than `rise` between the last two evaluations is
    exploited, with more of the same; of the others the branches below are explored, easier cases and single steps.

    explore  share of the questions for exploring; all of them before there are two evaluations, none where all skills rise
    """
    rates: list[dict[str, list[float]]] = [{a.family: [] for a in e.counts} for e in given.evaluations[-2:]]
    for found, e in zip(rates, given.evaluations[-2:], strict=True):
        for arm, (right, of) in e.counts.items():
            found[arm.family].append(right / of)
    means = [{family: sum(own) / len(own) for family, own in found.items()} for found in rates]
    rose = {f for f in means[-1] if f in means[0] and means[-1][f] - means[0][f] > rise} if len(means) == 2 else set()
    exploited = [w for w in weak if w.samples and w.samples[0].rollout.task.family in rose]
    explored = [w for w in weak if w not in exploited]
    new = n if not exploited else 0 if not explored else round(explore * n)
    made = yield from rewrite(given, explored, new, ("easier", "part"), role)
    return made + (yield from rewrite(given, exploited, n - new, ("like",), role))


def syllabus(given: Given, weak: Sequence[Weakness], n: int, role: str = "proposer", each: int = 5) -> Proposals:
    """A syllabus for each weak subject, then questions on one or two sessions and one to `each` of their key concepts: GLAN
    (arXiv 2402.13064). The syllabus is asked for as JSON, {"sessions": [{"name": …, "concepts": […]}]}."""
    subjects = list(weak)
    wanted = (
        'Write a syllabus on the subject of these problems, as one JSON object and nothing else: {"sessions": [{"name": "…", '
        '"concepts": ["…"]}]}.'
    )
    shown = [draw(w.samples, 3, given.rng) for w in subjects]
    turns = yield [ask_for(told(examples_of(own), wanted), own[0], role) for own in shown]
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
        texts = ["" if isinstance(turn, Failed) else turn.text for _, turn in zip(w.samples[:8], turns, strict=False)]
        listed.append(
            [found for text in texts if (found := [c.strip().lower() for c in re.split(r"[,\n;]", text) if c.strip()])]
        )
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
