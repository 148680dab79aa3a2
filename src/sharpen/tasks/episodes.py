"""Tasks for an environment: the lines of a file, whatever fields they have, or nothing but seeds.

    {"prompt": "Buy red shoes below 50.", "item": "shoes", "level": 2, "solution": ["search(query=\\"shoes\\")", "Done."]}

The environment's `reset` is given all of a line's fields, `answer` and a `seed` among them. `prompt`, `answer`, `family`,
`level`, `split` and `verifier` are what they are elsewhere, and all may be missing: without a prompt the environment speaks
first, and without a verifier it judges. `solution` is a list of what to say turn by turn, for warm-ups and imitation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sharpen import environments
from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError, suggest
from sharpen.hashing import derive, split_of
from sharpen.tasks import formats
from sharpen.tasks.files import FOR_FILES, messages
from sharpen.tasks.loading import drawn

MOST_LEVELS = 20
KINDS = "environment"  # the verifier of a task that its environment judges


def seeds(env: str, levels: str = "1", more: str = "") -> TaskSource:
    """Endless episodes that differ in their seed alone, of these levels, such as "1-3". UserError for what is none.

    more  JSON that the environment is given beside: an object, or a list of which each episode has one

    Environments that ship know worked solutions.
    """
    first, _, last = levels.partition("-")
    if not first.isdigit() or not (last or first).isdigit() or not 1 <= int(first) <= int(last or first) <= MOST_LEVELS:
        raise UserError(f"episodes/{levels}: levels are written such as 2 or 1-3, up to {MOST_LEVELS}.")
    family = env.rpartition("/")[2].replace(".py", "").replace(":", ".")
    solution = environments.solution_of(env)
    given = json.loads(more) if more else {}
    given = given if isinstance(given, list) else [given]

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        number = derive(seed, "episode", split, index) % 2**31
        number += SPLITS.index(split) - number % len(SPLITS)  # no two splits share one
        data: dict[str, Any] = {"seed": number, "level": arm.level, "silent": True, **given[number // len(SPLITS) % len(given)]}
        said = solution(data) if solution else None
        prompt = ({"role": "user", "content": f"{family}, episode {number} of level {arm.level}"},)
        data |= {"solution": said} if said else {}
        return Task(prompt, None, family, arm.level, split, KINDS, data, "\n".join(said) if said else None)

    arms = tuple(Arm(family, level) for level in range(int(first), int(last or first) + 1))
    return TaskSource(f"episodes of {env}", arms, draw)


def heuristics(levels: str = "1-2") -> TaskSource:
    """Heuristics for blocks world to be written as programs (environments/heuristics.py), of these levels."""
    first, _, last = levels.partition("-")

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        number = 8 * (derive(seed, "heuristic", split, index) % 2**24)
        number += SPLITS.index(split) * 2**28  # the problems of no two splits are the same
        question, data = environments.asked(number, arm.level)
        return Task(({"role": "user", "content": question},), None, arm.family, arm.level, split, KINDS, data)

    arms = tuple(Arm("heuristics", level) for level in range(int(first), int(last or first) + 1))
    return TaskSource("heuristics", arms, draw)


def episodes(path: Path) -> TaskSource:
    """The episodes of a file. Raises UserError, with the line and the cure, for a line that is no object, or says something
    wrong; and where an arm lacks one of the splits."""
    made: list[Task] = []
    seen: dict[str, int] = {}
    for row in formats.rows(path):
        where = f"{path}, {formats.label(formats.kind_of(path))} {row.number}"
        task = episode_of(row.value, path.stem, where)
        if task.id in seen:
            raise UserError(f"{where}: the same task as {seen[task.id]}. Delete one: it could not be held out.")
        seen[task.id] = row.number
        made.append(task)
    if not made:
        raise UserError(
            f'{path} holds no tasks. Write one on each line, such as {{"prompt": "Buy red shoes.", "item": "shoes"}}.'
        )
    splits: dict[tuple[Arm, str], list[int]] = {}
    for i, task in enumerate(made):
        splits.setdefault((task.arm, task.split), []).append(i)
    for arm in {task.arm for task in made}:
        for split in SPLITS:
            if (arm, split) not in splits:
                most = max((splits.get((arm, other), []) for other in SPLITS), key=len)
                if len(most) < 2:
                    raise UserError(f"{path}: {arm} has too few tasks for a train, validation and test split: add lines to it.")
                splits[arm, split] = [most.pop()]
    arrays = {key: np.array(rows, np.int64) for key, rows in splits.items()}
    return drawn(str(path), arrays, made.__getitem__, (), frozenset())


def episode_of(record: Any, family: str, where: str) -> Task:
    if not isinstance(record, dict):
        raise UserError(f'{where}: an object is wanted, such as {{"prompt": "Buy red shoes.", "item": "shoes"}}.')
    level, split, verifier = record.get("level", 1), record.get("split"), record.get("verifier", KINDS)
    solution, answer = record.get("solution"), record.get("answer")
    if type(level) is not int or level < 0:
        raise UserError(f"{where}: 'level' must be a whole number from 0.")
    if split not in (None, *SPLITS):
        raise UserError(f"{where}: 'split' is {split!r}.{suggest(str(split), SPLITS)} There are: {', '.join(SPLITS)}.")
    if verifier not in (KINDS, *FOR_FILES):
        raise UserError(f"{where}: no verifier {verifier!r}.{suggest(str(verifier), FOR_FILES)}")
    if solution is not None and not (isinstance(solution, list) and all(isinstance(s, str) and s for s in solution)):
        raise UserError(f"{where}: 'solution' must be a list of what is said in each turn.")
    silent = "prompt" not in record
    content = json.dumps(record, sort_keys=True, ensure_ascii=False)
    prompt = ({"role": "user", "content": content},) if silent else messages(record["prompt"], where)
    data = {k: v for k, v in record.items() if k not in ("prompt", "answer", "family", "level", "split", "verifier")}
    return Task(
        prompt=prompt,
        answer=None if answer is None else str(answer),
        family=str(record.get("family", family)),
        level=level,
        split=split or split_of(prompt),
        verifier=verifier,
        data=data | ({"silent": True} if silent else {}),
        solution="\n".join(solution) if solution else None,
    )
