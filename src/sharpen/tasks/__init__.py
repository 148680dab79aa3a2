"""Task sources: reasoning-gym's families, arithmetic, programs to write, JSONL files, mixtures; all drawn in the same way.

gym.py draws, levels.py says what is known of each family, solutions.py writes worked solutions, programs.py asks for Python,
arithmetic.py for numbers, files.py reads JSONL; grown.py makes tasks of others, and draws them.

May import: families, verify.code, verify.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sharpen.core import Arm, Task, TaskSource, UserError
from sharpen.families import BLOCKED, DEFAULT, VERIFIER, level_count
from sharpen.hashing import question_key
from sharpen.tasks import decisions
from sharpen.tasks.arithmetic import arithmetic, lines
from sharpen.tasks.decisions import Ruling, content
from sharpen.tasks.files import clip, jsonl, kind, messages, parse
from sharpen.tasks.grown import composed, halfway, interpolated, with_grown
from sharpen.tasks.gym import gym
from sharpen.tasks.mixture import mixture
from sharpen.tasks.programs import programs
from sharpen.tasks.solutions import WRITERS

__all__ = [
    "Ruling",
    "arithmetic",
    "blocked",
    "clip",
    "composed",
    "content",
    "decisions",
    "families",
    "gym",
    "halfway",
    "held_out",
    "interpolated",
    "jsonl",
    "kind",
    "lines",
    "listing",
    "messages",
    "mixture",
    "parse",
    "parse_spec",
    "problems",
    "programs",
    "with_grown",
]

REPEATS = 100  # draws in a row that bring nothing new before an arm counts as exhausted


def parse_spec(text: str) -> TaskSource:
    """The source that `--tasks` names: comma separated `chain_sum`, `gcd/2`, `lcm/1-3`, `default`, `arithmetic`, `programs`,
    `problems`, or files that end in .jsonl.

    Raises UserError for an unknown family, level or file, and where two parts hold the same arm of different sources.
    """
    parts = [part for part in map(str.strip, text.split(",")) if part]
    if not parts:
        raise UserError("No tasks are named. Name a family such as chain_sum, default, or a file that ends in .jsonl.")
    files = [part for part in parts if part.endswith(".jsonl")]
    own = {"arithmetic": arithmetic, "programs": programs, "problems": problems}
    names = [name for part in parts if part not in (*files, *own) for name in (DEFAULT if part == "default" else (part,))]
    for name in names:
        if Path(name).suffix in (".json", ".csv", ".txt", ".parquet", ".gz"):
            raise UserError(f"{name}: a file of tasks is JSONL, one JSON object on each line, and its name ends in .jsonl.")
    sources = [gym(names)] if names else []
    sources += [source() for name, source in own.items() if name in parts]
    sources += [jsonl(file) for file in dict.fromkeys(files)]
    return sources[0] if len(sources) == 1 else mixture(sources)


def problems() -> TaskSource:
    """48 problems to solve in Python, of levels 1 to 5. Each line also has a solution and, as `wrong`, three that are not."""
    return replace(jsonl(Path(__file__).with_name("problems.jsonl")), name="problems")


def held_out(source: TaskSource, split: str, n: int, seed: int) -> dict[Arm, list[Task]]:
    """Up to n tasks of every arm, no question twice; fewer where the arm has no more. The same arguments give the same tasks.

    Of an endless arm, drawing stops once REPEATS draws in a row brought nothing new.
    Raises UserError where an arm has no task of the split.
    """
    return {arm: distinct(source, arm, split, n, seed) for arm in source.arms}


def distinct(source: TaskSource, arm: Arm, split: str, n: int, seed: int) -> list[Task]:
    size = source.size(arm, split)
    found: dict[str, Task] = {}
    index = last_new = 0
    while len(found) < n and (index < size if size else index - last_new <= REPEATS):
        task = source.draw(arm, split, index, seed)
        index += 1
        if found.setdefault(question_key(task.prompt), task) is task:
            last_new = index
    return list(found.values())


def blocked() -> Mapping[str, str]:
    """reasoning-gym's families that are not used, each with the reason."""
    return BLOCKED


def families() -> dict[str, int]:
    """Every family that can be drawn, with the number of its levels."""
    return {family: level_count(family) for family in sorted(VERIFIER)}


def listing() -> list[tuple[str, str, str]]:
    """(family, levels, remark) of every family, those that are not used last."""
    rows = []
    for family, last in families().items():
        remarks = [f"judged by {VERIFIER[family]}"]
        remarks += ["worked solutions"] if family in WRITERS else []
        remarks += ["in default"] if any(part.partition("/")[0] == family for part in DEFAULT) else []
        rows.append((family, f"1-{last}" if last > 1 else "1", ", ".join(remarks)))
    return rows + [(family, "none", f"not used: {reason}") for family, reason in BLOCKED.items()]
