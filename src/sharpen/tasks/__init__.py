"""Task sources: reasoning-gym's procedural families, arithmetic, programs to write, files, mixtures; all drawn in the same way.

gym.py draws, levels.py says what is known of each family, solutions.py writes worked solutions, programs.py asks for Python,
arithmetic.py for numbers, chain.py for chains of steps, constraints.py for lists of words, facts.py for what is so,
searching.py for searches with so many wrong turns, handed_over.py for what a tool is for and what not, tours.py for settings
of a search, scheduling.py for rules, ranked.py for an order, next_word.py for the next word of a text, travel.py for journeys,
talks.py for customers; grown.py makes tasks of others, and draws them;
answering.py answers questions; episodes.py has those of environments. suites.py keeps families unseen, overlap.py finds
evaluations in training texts. A file is read by formats.py (rows; separated.py: those of a .csv), shapes.py and
code_shapes.py (what columns mean; reading.py: what is in a cell), files.py (a task) and loading.py (a source; keeping.py:
rows in little memory).

May import: terminal, environments, families, verify.maths, verify.code, verify.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from sharpen.core import Arm, Task, TaskSource, UserError
from sharpen.families import BLOCKED, DEFAULT, VERIFIER, level_count
from sharpen.hashing import question_key
from sharpen.tasks import decisions, formats, overlap, travel
from sharpen.tasks.answering import answer_of, answered, knows
from sharpen.tasks.arithmetic import arithmetic, line_of, lines
from sharpen.tasks.chain import slipped, step_chain
from sharpen.tasks.chain import task as chain_task
from sharpen.tasks.constraints import constraints
from sharpen.tasks.decisions import Ruling, content
from sharpen.tasks.episodes import episodes, heuristics, seeds
from sharpen.tasks.facts import facts
from sharpen.tasks.files import clip, kind, messages
from sharpen.tasks.formats import parse
from sharpen.tasks.grown import composed, halfway, interpolated, with_grown
from sharpen.tasks.gym import gym
from sharpen.tasks.handed_over import handed_over
from sharpen.tasks.loading import TaskFile, is_own, jsonl, lines_of, read_file
from sharpen.tasks.mixture import mixture
from sharpen.tasks.next_word import next_words
from sharpen.tasks.programs import programs
from sharpen.tasks.ranked import ranked
from sharpen.tasks.scheduling import scheduling
from sharpen.tasks.searching import route_end, searching, turns_of
from sharpen.tasks.solutions import WRITERS
from sharpen.tasks.suites import unseen
from sharpen.tasks.talks import MANNERS, talks
from sharpen.tasks.tours import tours
from sharpen.tasks.travel import journeys
from sharpen.terminal import places

__all__ = [
    "MANNERS",
    "Ruling",
    "TaskFile",
    "answer_of",
    "answered",
    "arithmetic",
    "blocked",
    "chain_task",
    "clip",
    "composed",
    "constraints",
    "content",
    "decisions",
    "episodes",
    "facts",
    "families",
    "files_of",
    "formats",
    "gym",
    "halfway",
    "handed_over",
    "heuristics",
    "held_out",
    "interpolated",
    "is_own",
    "journeys",
    "jsonl",
    "kind",
    "knows",
    "line_of",
    "lines",
    "lines_of",
    "listing",
    "messages",
    "mixture",
    "overlap",
    "next_words",
    "parse",
    "parse_spec",
    "problems",
    "programs",
    "ranked",
    "route_end",
    "read_file",
    "retention",
    "seeds",
    "Ruling",
    "TaskFile",
    "slipped",
    "step_chain",
    "tours",
    "talks",
    "travel",
    "turns_of",
    "unseen",
    "scheduling",
    "searching",
    "with_grown",
]

REPEATS = 100  # draws in a row that bring nothing new before an arm counts as exhausted


def parse_spec(text: str, map: str = "", env: str = "") -> TaskSource:
    """The source that `--tasks` names: comma separated `chain_sum`, `gcd/2`, `lcm/1-3`, `default`, `arithmetic`, `programs`,
    `step_chain`, `searching`, `constraints`, `facts`, `problems`, `retention`, or files and directories of tasks. `map` says
    which of a file's columns is the prompt, which the answer: loading.py. With `env`, the SPEC of an environment, files hold
    episodes of it, and `episodes` are such that differ in their seed alone: episodes.py.

    Raises UserError for an unknown family, level or file, and where two parts hold the same arm of different sources.
    """
    parts = spec_parts(text)
    if env and len(parts) == 1 and parts[0].partition("/")[0] == "episodes":
        return seeds(env, parts[0].partition("/")[2] or "1")
    files = files_of(text)
    if env and len(files) == len(parts) == 1:
        return episodes(Path(files[0]))
    for part in parts:
        name, slash, _ = part.partition("/")
        if slash and name in OWN and part not in files:
            raise UserError(
                f"{part}: {name} is taken as a whole. For some of it, make a file and delete lines: "
                f"sharpen tasks {name} --jsonl -n 1000 > {name}.jsonl"
            )
    names = [name for part in parts if part not in (*files, *OWN) for name in (DEFAULT if part == "default" else (part,))]
    if map and not files:
        raise UserError(f"--map {map} does nothing: {text} names no file of tasks.")
    sources = [gym(names)] if names else []
    sources += [source() for name, (source, _) in OWN.items() if name in parts]
    sources += [read_file(Path(file), map).source for file in files]
    return sources[0] if len(sources) == 1 else mixture(sources)


def spec_parts(text: str) -> list[str]:
    parts = [part for part in (part.strip() for part in text.split(",")) if part]
    if not parts:
        raise UserError("No tasks are named. Name a family such as chain_sum, default, or a file of tasks such as my.jsonl.")
    return parts


def files_of(text: str) -> list[str]:
    """The files and directories among the parts of a specification of tasks, each once."""
    known = (*places.NAMED, *VERIFIER)
    parts = [part for part in spec_parts(text) if part.partition("/")[0] not in known]
    return list(dict.fromkeys(part for part in parts if places.names_data(part) or looks_like_a_path(part)))


def looks_like_a_path(part: str) -> bool:
    """Whether a part is meant as a file or directory, though perhaps as none that holds tasks: what it lacks is said later."""
    return Path(part).suffix in OTHER or part.startswith(("/", "./", "../", "~/")) or Path(part).exists()


OTHER = (*formats.REFUSED, *formats.CURES)  # endings of files that are refused by name


def problems() -> TaskSource:
    """48 problems to solve in Python, of levels 1 to 5. Each line also has a solution and, as `wrong`, three that are not."""
    return replace(jsonl(Path(__file__).with_name("problems.jsonl")), name="problems")


def retention() -> TaskSource:
    """200 general questions with exact answers: facts, opposites, spelling, units, logic, …, in eight families.

    All are of the test split, so that no run can train on them: they measure what a model knew before.
    """
    return replace(jsonl(Path(__file__).with_name("retention.jsonl")), name="retention")


# name: (source, what it is)
OWN: Mapping[str, tuple[Callable[[], TaskSource], str]] = {
    "arithmetic": (arithmetic, "sums, products and short stories for a small chat model, judged by math"),
    "programs": (programs, "Python to write, generated, judged by code_io, worked solutions"),
    "searching": (searching, "routes to a number by a search that is written out, with a wrong turn, worked solutions"),
    "step_chain": (step_chain, "numbers that change step by step, every step checkable, worked solutions"),
    "constraints": (constraints, "lists of words under constraints, judged by rubric, solutions that preview and check"),
    "handed_over": (handed_over, "products to hand over to Python, and comparisons to do without, worked solutions"),
    "facts": (facts, "facts of a made-up world, with contexts that agree, contradict, or are beside the point"),
    "retention": (retention, "200 general questions with exact answers, to measure with and never to train on"),
    "problems": (problems, "48 problems to solve in Python, judged by code_io, worked solutions"),
}


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
    """(name, levels, remark) of what ships beside reasoning-gym, then of every family; those that are not used last."""
    rows = [(name, f"1-{max(arm.level for arm in source().arms)}", remark) for name, (source, remark) in OWN.items()]
    for family, last in families().items():
        remarks = [f"judged by {VERIFIER[family]}"]
        remarks += ["worked solutions"] if family in WRITERS else []
        remarks += ["in default"] if any(part.partition("/")[0] == family for part in DEFAULT) else []
        rows.append((family, f"1-{last}" if last > 1 else "1", ", ".join(remarks)))
    return rows + [(family, "none", f"not used: {reason}") for family, reason in BLOCKED.items()]
