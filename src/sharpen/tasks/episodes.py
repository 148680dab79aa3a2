"""Tasks for an environment: the lines of a file, whatever fields they have, or nothing but seeds.

    {"prompt": "Buy red shoes below 50.", "item": "shoes", "level": 2, "solution": ["search(query=\\"shoes\\")", "Done."]}

The environment's `reset` is given all of a line's fields, `answer` and a `seed` among them. `prompt`, `answer`, `family`,
`level`, `split` and `verifier` are what they are elsewhere, and all may be missing: without a prompt the environment speaks first, and
without a verifier it judges. `solution` is a list of what to say turn by turn, for warm-ups and imitation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError, suggest
from sharpen.hashing import derive, split_of
from sharpen.tasks import formats
from sharpen.tasks.files import FOR_FILES, messages
from sharpen.tasks.loading import drawn

KINDS = "environment"  # the verifier of a task that its environment judges


def seeds(env: str) -> TaskSource:
    """Endless episodes that differ in their seed alone, of one arm."""
    family = env.rpartition("/")[2].replace(".py", "").replace(":", ".")

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        number = derive(seed, "episode", split, index) % 2**31
        number += SPLITS.index(split) - number % len(SPLITS)  # no two splits share one
        prompt = ({"role": "user", "content": f"{family}, episode {number}"},)
        return Task(prompt, None, family, 1, split, KINDS, {"seed": number, "silent": True})

    return TaskSource(f"episodes of {env}", (Arm(family, 1),), draw)


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
