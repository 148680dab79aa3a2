"""Programs on cases: compiled once, run once for each case, in the sandbox. Nothing here knows what is expected.

    build(language, files)  ->  Built, or Refused where it is no program
    execute(built, inputs, limits)  ->  one Ran for each input

Every case of a compiled or foreign language has a sandbox of its own. A Python program has one for all its cases, in which
drivers/cases.py forks a fresh interpreter for each: that is ten times cheaper, and what one case leaves behind can only harm
the same candidate's next one.
"""

from __future__ import annotations

import atexit
import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, reduce
from pathlib import Path

from sharpen import sandbox
from sharpen.sandbox import Limits, Program, Result
from sharpen.verify.code import java
from sharpen.verify.code.languages import Installed, installed
from sharpen.verify.code.packages import with_packages

DRIVERS = Path(__file__).parent / "drivers"
COMPILE_MB = 2048
CROWDED = 4  # times the processor seconds of a compiler that may pass by the clock
OUTPUT_BYTES = 1_000_000  # that one case may print to stdout, and to stderr
ALL_CASES_S = 25.0  # for all cases, unless one alone may take longer: well below `judging.DEADLINE_S`
GRACE_S = 1.0  # the driver's own time, beyond what the cases may take
MOST_OUTPUT = 2**30  # bytes, of all cases
STDERR_KEPT = 2000


@dataclass(frozen=True)
class Budget:
    """What a program may use: wall seconds for one case and for all, MB of memory; beyond what the language itself needs.

    stack_mb      0: what the language has
    output_bytes  that one case may print: more than is expected, if that is much
    """

    seconds: float = 5.0
    memory_mb: int = 512
    all_s: float = ALL_CASES_S
    stack_mb: int = 0
    output_bytes: int = OUTPUT_BYTES


@dataclass(frozen=True)
class Built:
    """A program that can be run: its files (source or what the compiler made), and the isolation it was compiled under."""

    language: Installed
    files: Mapping[str, bytes]
    isolation: str = ""


@dataclass(frozen=True)
class Refused:
    """Code that did not become a program. outcome as in a Verdict: malformed, timeout, limit or unscorable."""

    outcome: str
    reason: str
    isolation: str


@dataclass(frozen=True)
class Ran:
    """How one case went. status: as `sandbox.Result`, or "refused" (Python that does not parse), or "skipped" (not run,
    because an earlier case had timed out, or because time for all cases was over)."""

    status: str
    code: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0
    isolation: str = field(default="", compare=False)


@cache
def driver(name: str) -> bytes:
    return (DRIVERS / name).read_bytes()


@cache
def cases_driver(process: int, level: str) -> tuple[str, bytes]:
    """(name, content) of drivers/cases.py, compiled once by the Python that runs it: that takes 1.5 ms each time otherwise."""
    python, source = installed("python"), {"cases.py": driver("cases.py")}
    argv = (*python.run, "-c", "import py_compile; py_compile.compile('cases.py', 'cases.pyc', doraise=True)")
    made = box(python).run(Program(argv, source, limits=Limits(wall_s=30.0), keep=("cases.pyc",), env=python.language.env))
    return next(iter((made.files or source).items()))


def least() -> str:
    """The least isolation that this process asks for: `SHARPEN_ISOLATION`, which `code.require` sets, or "full".

    An environment variable, so that the worker processes of a run have it too.
    """
    return os.environ.get("SHARPEN_ISOLATION", "full")


def box(language: Installed) -> sandbox.Sandbox:
    """This process's sandbox: one for all languages of the standard directories, and one for each installation elsewhere."""
    return _elsewhere(os.getpid(), least(), language.binds) if language.binds else sandbox.shared(least())


@cache
def _elsewhere(process: int, level: str, binds: tuple[str, ...]) -> sandbox.Sandbox:
    made = sandbox.Sandbox(level, binds=binds)
    atexit.register(made.close)
    return made


def build(name: str, code: str, more: Mapping[str, bytes] | None = None, packages: Sequence[str] = ()) -> Built | Refused:
    """Compile, where the language does.

    more      files beside the source
    packages  of Python that the program may import; UserError where one is missing, as where the language is
    """
    found = installed(name)
    if name == "python":
        text = "\n".join([code, *(content.decode("utf-8", "replace") for content in (more or {}).values())])
        found = with_packages(found, text, packages)
    language = found.language
    file, entry = java.names(code) if name == "java" else (language.file, "")
    files = {**(more or {}), file: code.encode("utf-8", "replace")}
    if not found.compile:
        return Built(found, files)
    limits = Limits(
        wall_s=language.compile_s * CROWDED,
        cpu_s=language.compile_s,  # of the compiler's own time: a busy machine is no fault of the program
        memory_mb=COMPILE_MB,
        processes=max(language.processes, 64),
        files_mb=128,
        address_space=False,
    )
    command = tuple(part.replace("{file}", file).replace("{entry}", entry) for part in found.compile)
    program = Program(command, files, limits=limits, keep=language.keep, env=language.env)
    made = box(found).run(program)
    if made.status == "exited" and made.code == 0 and made.files:
        return Built(found, made.files, made.isolation)
    if b"CPU time limit" in made.stderr or (made.status == "signalled" and made.code in (signal.SIGXCPU, signal.SIGKILL)):
        return Refused("timeout", "compiling takes too long", made.isolation)
    outcome = {"timeout": "timeout", "memory": "limit", "output": "limit", "failed": "unscorable"}.get(made.status, "malformed")
    reason = made.detail if made.status == "failed" else complaint(made.stderr or made.stdout)
    return Refused(outcome, reason, made.isolation)


def execute(built: Built, inputs: Sequence[bytes], budget: Budget) -> list[Ran]:
    """One `Ran` for each input, in order. After a timeout, or when time for all cases is over, the rest is not run."""
    language = built.language.language
    limits = Limits(
        wall_s=budget.seconds + language.start_s,
        memory_mb=budget.memory_mb + language.start_mb,
        output_bytes=budget.output_bytes,
        processes=language.processes,
        stack_mb=budget.stack_mb or language.stack_mb,
        address_space=language.address_space,
    )
    if language.name == "python":
        return _python(built, inputs, budget, limits)
    sizes = {"{memory}": budget.memory_mb, "{stack}": limits.stack_mb, "{stack_kb}": limits.stack_mb * 768}
    argv = tuple(reduce(lambda part, size: part.replace(size, str(sizes[size])), sizes, p) for p in built.language.run)
    programs = [Program(argv, built.files, data, limits, env=language.env) for data in inputs]
    where, found, began = box(built.language), list[Ran](), time.monotonic()
    while len(found) < len(inputs):
        found += [_ran(result) for result in where.run_many(programs[len(found) : len(found) + where.jobs])]
        if time.monotonic() - began > budget.all_s or any(ran.status == "timeout" for ran in found):
            skipped = Ran("skipped", isolation=found[-1].isolation)
            found += [skipped] * (len(inputs) - len(found))
    return found


def _ran(result: Result) -> Ran:
    stderr = (result.detail.encode() if result.status == "failed" else result.stderr)[-STDERR_KEPT:]
    return Ran(result.status, result.code, result.stdout, stderr, result.seconds, result.isolation)


def _python(built: Built, inputs: Sequence[bytes], budget: Budget, each: Limits) -> list[Ran]:
    """All cases in one sandbox, by drivers/cases.py."""
    head = f"{budget.seconds} {budget.output_bytes} {' '.join(str(len(data)) for data in inputs)}\n"
    sources = [built.language.language.file, *(name for name in built.files if name != built.language.language.file)]
    name, content = cases_driver(os.getpid(), least())
    argv = (*built.language.run, name, *(name for name in sources if name.endswith(".py")))
    limits = Limits(
        wall_s=min(budget.seconds * len(inputs), max(budget.seconds, budget.all_s)) + GRACE_S,
        memory_mb=each.memory_mb,
        output_bytes=min((budget.output_bytes + STDERR_KEPT + 100) * max(len(inputs), 1), MOST_OUTPUT),
        processes=each.processes,
        stack_mb=each.stack_mb,
    )
    program = Program(
        argv,
        {**built.files, name: content},
        head.encode() + b"".join(inputs),
        limits,
        env=built.language.language.env,
    )
    result = box(built.language).run(program)
    found = records(result.stdout, len(inputs), result.isolation)
    if 0 in found and found[0].status == "refused":
        return [found[0]] * len(inputs)
    if result.status in ("exited", "signalled"):  # the candidate has ended the driver, or it stopped after a timeout
        late = any(ran.status == "timeout" for ran in found.values())
        rest = Ran("skipped" if late else "signalled", stderr=result.stderr[-STDERR_KEPT:], isolation=result.isolation)
    else:
        rest = _ran(result)
    return [found.get(case, rest) for case in range(len(inputs))]


def records(stream: bytes, count: int, isolation: str) -> dict[int, Ran]:
    """What drivers/cases.py wrote, by case. A case with no record, or with two, is left out; so is all after a broken one."""
    found: dict[int, Ran] = {}
    twice = set()
    while stream:
        line, _, stream = stream.partition(b"\n")
        parts = line.split()
        if len(parts) != 6 or not all(part.isdigit() and len(part) < 10 for part in (parts[0], *parts[2:])):
            break
        case, code, milliseconds, out, err = (int(part) for part in (parts[0], *parts[2:]))
        status = parts[1].decode("ascii", "replace")
        if case >= count or status not in ("exited", "signalled", "timeout", "output", "refused") or out + err > len(stream):
            break
        if case in found:
            twice.add(case)
        printed, complained, stream = stream[:out], stream[out : out + err], stream[out + err :]
        found[case] = Ran(status, code, printed, complained, milliseconds / 1000, isolation)
    return {case: ran for case, ran in found.items() if case not in twice}


def last_line(text: bytes, longest: int = 200) -> str:
    """The last line that says something, for a person or a self-correcting model."""
    lines = [line for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip()[:longest] if lines else ""


def complaint(text: bytes, longest: int = 200) -> str:
    """What a compiler says is wrong: its first line with the word error, for the last ones are carets and counts."""
    lines = text.decode("utf-8", "replace").splitlines()
    first = next((line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)), "")
    return first.strip()[:longest] or last_line(text, longest)
