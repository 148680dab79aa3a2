"""Questions over a small lake of tables, of which one is relevant; and the same with all names replaced.

Lai et al., "KramaBench", arXiv 2506.06541: data-to-insight over files, in the question and on the way dirty: mixed units,
codes for what is missing, rows that stand twice. A number scores 1 / (1 + relative error). The obscured twin has consistently
other names, and the same answer: who computes scores alike on both, who remembers does not. Here the tables are drawn and
stand in the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from random import Random
from typing import Any

from sharpen.core import GREEDY, Ask, Task
from sharpen.hashing import derive
from sharpen.suites.axis import OWN, Axis, Item, mean, of

PLACES = "Oslo Lima Cairo Quito Hanoi Delhi Turin Basel".split()
THINGS = {"rain": "mm", "snow": "mm", "heat": "C", "wind": "km/h"}
ODD = "brun tavo kelm dist ponu gark wils hupe".split()
MISSING = -999
ASKED = (
    "{tables}\n{question} Rows that stand twice count once; {missing} means that nothing was measured. Reply with one number."
)
QUESTIONS = {
    "sum": "What is the sum of {thing} in {place}?",
    "mean": "What is the mean of {thing} in {place}?",
    "max": "What is the largest {thing} in {place}?",
    "count": "In how many months was {thing} in {place} measured?",
}


def lakes(n: int, seed: int) -> list[Task]:
    """Pairs of a question and its obscured twin."""
    return [lake(derive(seed, "suite insight", i), list(QUESTIONS)[i % 4], twin) for i in range(n // 2) for twin in (0, 1)]


def lake(seed: int, kind: str, twin: int) -> Task:
    rng = Random(seed)
    things, places = rng.sample(list(THINGS), 3), rng.sample(PLACES, 4)
    others = Random(f"{seed} names").sample(ODD, 7)
    names = dict(zip([*things, *places], others if twin else [*things, *places]))
    tables, values = [], []
    thing, place = things[0], places[0]
    for one in things:
        rows = [(where, month, rng.randint(1, 40)) for where in places[:2] for month in range(1, 5)]
        gap = rng.randrange(len(rows))
        rows[gap] = (*rows[gap][:2], MISSING)
        rows.append(rng.choice(rows))
        if one == thing:
            values = [v for where, _, v in dict.fromkeys(rows) if where == place and v != MISSING]
        lines = [f"{names[where]},{month},{v}" for where, month, v in rows]
        tables.append("\n".join([f"{names[one]}.csv", "place,month,value", *lines]))
    rng.shuffle(tables)
    answer = {"sum": sum(values), "mean": sum(values) / len(values), "max": max(values), "count": len(values)}[kind]
    question = QUESTIONS[kind].format(thing=names[thing], place=names[place])
    asked = ASKED.format(tables="\n\n".join(tables), question=question, missing=MISSING)
    prompt = ({"role": "user", "content": asked},)
    return Task(prompt, f"{answer:g}", "insight", 1, "test", OWN, {"kind": kind, "twin": twin, "value": answer})


def told(task: Task) -> Generator[Any, Any, dict[str, float]]:
    turn = yield Ask(task.prompt, sampling=GREEDY)
    return closeness(task, turn.text)


def closeness(task: Task, text: str) -> dict[str, float]:
    """1 / (1 + relative error) of the last number, and whether it is exact; 0 where there is none."""
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))
    if not numbers or len(numbers[-1]) > 30:
        return {"accuracy": 0.0, "closeness": 0.0, str(task.data["kind"]): 0.0}
    wanted = float(task.data["value"])
    error = abs(float(numbers[-1]) - wanted) / max(abs(wanted), 1e-9)
    exact = float(error < 5e-3)
    return {"accuracy": exact, "closeness": 1 / (1 + error), str(task.data["kind"]): exact}


def remembered(items: Sequence[Item]) -> dict[str, float]:
    """What other names cost: 0 for who computes."""
    return {"other names cost": mean(of(items, "closeness", twin=0)) - mean(of(items, "closeness", twin=1))}


AXES = (Axis("insight", "right numbers out of tables", lakes, told, remembered),)
