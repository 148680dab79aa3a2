"""A graph of what texts say, and questions along its paths: tasks whose answers follow from facts that were read.

A role reads passages and writes facts, one a line, `thing | relation | thing`. They are edges of a graph that grows from round
to round in the run's `library`. A question gives the facts around a path, in random order, and asks where the path ends.
"""

from __future__ import annotations

import re
from collections.abc import Generator, MutableMapping, Sequence
from typing import Any

import numpy as np

from sharpen.core import Arm, Ask, Failed, GrowthGenerator, Refused, Sample, Task

Fact = tuple[str, str, str]
LINE = re.compile(r"^\s*(?:[-*]|\d+[.)])?\s*([^|\n]{1,80})\|([^|\n]{1,60})\|([^|\n]{1,80})$", re.MULTILINE)
READ = "Write down what this text says as facts, one a line, in the form: thing | relation | thing\n\n{text}"
ASKED = 'Facts:\n{facts}\nStart at "{start}", and follow {steps}. Where do you end?'
LONGEST = 4_000  # characters of a passage
MOST = 2_000  # facts that are kept, the latest
AROUND = 6  # further facts that a question gives


def facts_in(text: str) -> list[Fact]:
    """What is written as a fact, blind to case and spaces, each once; one that says a thing of itself is none."""
    found = [tuple(" ".join(part.split()).casefold() for part in match) for match in LINE.findall(text)]
    return list(dict.fromkeys((a, r, b) for a, r, b in found if a and r and b and a != b))


def paths(facts: Sequence[Fact], hops: int, rng: np.random.Generator, n: int) -> list[list[Fact]]:
    """At most n different paths of so many facts, each of which can be followed in one way only: from every thing on it exactly
    one fact has the relation that is followed, and nothing comes twice."""
    out: dict[str, dict[str, list[str]]] = {}
    for a, r, b in facts:
        out.setdefault(a, {}).setdefault(r, []).append(b)
    only = {a: [(a, r, ends[0]) for r, ends in sorted(by.items()) if len(set(ends)) == 1] for a, by in out.items()}
    starts, found = sorted(only), dict[tuple[Fact, ...], None]()
    for _ in range(20 * n if starts else 0):
        path: list[Fact] = []
        here, been = starts[int(rng.integers(len(starts)))], set[str]()
        while len(path) < hops and only.get(here):
            been.add(here)
            ways = [f for f in only[here] if f[2] not in been]
            if not ways:
                break
            path.append(ways[int(rng.integers(len(ways)))])
            here = path[-1][2]
        if len(path) == hops:
            found.setdefault(tuple(path))
        if len(found) == n:
            break
    return [list(path) for path in found]


def question(path: Sequence[Fact], facts: Sequence[Fact], parent: Task, rng: np.random.Generator) -> Task:
    """A task that gives the path's facts among others, and asks for its end."""
    others = [f for f in facts if f not in path]
    more = [others[i] for i in rng.permutation(len(others))[:AROUND]]
    told = [*path, *more]
    lines = "\n".join(f"- {a} {r} {b}" for a, r, b in (told[i] for i in rng.permutation(len(told))))
    steps = ", then ".join(f'"{r}"' for _, r, _ in path)
    prompt = ({"role": "user", "content": ASKED.format(facts=lines, start=path[0][0], steps=steps)},)
    shown = "; ".join(f"{a} {r} {b}" for a, r, b in path)
    return Task(
        prompt,
        path[-1][2],
        "graph",
        len(path),
        verifier="exact",
        solution=f"{shown}. <answer>{path[-1][2]}</answer>",
        parents=(parent.id,),
        operator=f"a path of {len(path)} facts",
    )


def passages(samples: Sequence[Sample], most: int) -> list[tuple[str, Task]]:
    """What the tasks that failed are about, each once: a `context` or `document` that came with the task, else the question and
    its worked solution."""
    tasks = {s.rollout.task.id: s.rollout.task for s in samples if s.rollout.task.family != "graph"}
    found = []
    for task in list(tasks.values())[:most]:
        text = next((task.data[key] for key in ("context", "document") if isinstance(task.data.get(key), str)), "")
        asked = " ".join(str(m.get("content", "")) for m in task.prompt)
        found.append(((text or f"{asked}\n{task.solution or ''}")[:LONGEST], task))
    return found


def grown(
    failed: Sequence[Sample],
    arms: Sequence[Arm],
    rng: np.random.Generator,
    n: int = 32,
    read: int = 16,
    hops: int = 2,
    role: str = "",
    *,
    library: MutableMapping[str, Any],
) -> GrowthGenerator:
    """Read what failed, add its facts to the graph, and ask along n paths of 1 to `hops` facts (PRefLexOR, arXiv 2410.12375).

    role  who reads; "": the student. What is said that is no fact adds nothing; a label follows from the facts that the
          question gives, so no judge of it is needed
    """
    listed = passages(failed, read)
    turns = yield from asked(
        [Ask(({"role": "user", "content": READ.format(text=text)},), role=role, may_fail=True) for text, _ in listed]
    )
    known: dict[Fact, str] = {(a, r, b): parent for a, r, b, parent in library.get("facts", [])}
    origin = {task.id: task for _, task in listed}
    for turn, (_, task) in zip(turns, listed, strict=True):
        for fact in facts_in("" if isinstance(turn, Failed) else turn.text):
            known[fact] = task.id
    library["facts"] = [[*fact, parent] for fact, parent in list(known.items())[-MOST:]]
    facts, found = list(known), list[Any]()
    for length in range(1, hops + 1):
        for path in paths(facts, length, rng, -(-n // hops)):
            parent = origin.get(known[path[-1]]) or next(iter(origin.values()), None)
            if parent is not None:
                found.append(question(path, facts, parent, rng))
    return found[:n] if found or not listed else [Refused("no path of facts", f"{len(facts)} facts from {len(listed)} texts")]


def asked(asks: list[Ask]) -> Generator[Any, Any, list[Any]]:
    return (yield asks) if asks else []
