"""A role that writes code, and what may become of it.

Without `--trust` the code is a program that prints a recipe as JSON, and it is run in the sandbox: what it prints is data,
read by `files.parsed`, which lets neither tasks nor verifier be changed. With `--trust` a role writes a whole recipe file.
That is tried out in a process of its own first, with a deadline; and its runs are measured again by another process that
never imports it, so that a verifier which it has edited in its own decides nothing (`evolve.py`).
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sharpen
from sharpen.core import UserError
from sharpen.outer.asked import objects
from sharpen.outer.files import Genome, parsed
from sharpen.outer.history import Failed
from sharpen.sandbox import Limits, Program, shared

SECONDS = 60.0  # of a program in the sandbox
BUILD_S = 900.0  # of a recipe file's first look, importing torch included, on whatever machine
BUILD_CPU_S = 120  # of the processor, in the same
LONGEST = 20_000  # characters of a program
KEPT = 1 << 17  # bytes of what a process says
LOOK = """
import json, pickle, sys
from sharpen.core import UserError
from sharpen.loop import Request, build_recipe
from sharpen.recipe import Recipe, identities
from sharpen.recipes import catalog
try:
    options = json.loads(sys.argv[2])
    made = build_recipe(Request(recipe=sys.argv[1], **{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}))
    if not isinstance(made, Recipe):
        sys.exit("UserError: it has several stages, and an evolution changes recipes of one")
    if identities(pickle.loads(pickle.dumps(made))) != identities(made):
        sys.exit("UserError: it is another recipe once it was pickled")
    check = getattr(catalog.load(catalog.find(sys.argv[1])), "check", None)
    if check is not None and not check(made):
        sys.exit("UserError: its own check fails")
except UserError as error:
    sys.exit(f"UserError: {error}")
print(json.dumps(identities(made)))
"""

FORM = '{"base": "grpo", "slots": {"curriculum": "sec"}, "settings": {"lr": "0.0003"}}'
ASK = (
    "\n\nWrite a Python program between ```python and ``` that prints one JSON object on one line, the next recipe to "
    f"try, such as\n{FORM}\nIt runs without network and without files. tasks, verify, student, validation and test cannot be "
    "changed."
)
ASK_FILE = (
    "\n\nWrite a whole recipe file between ```python and ```: a docstring (claim; Paper:, Parent:, Differs:), and a function "
    "recipe() that returns a sharpen.recipe.Recipe, mostly dataclasses.replace(catalog.build('grpo'), …) with catalog from "
    "sharpen.recipes. tasks, verify, student, validation and test cannot be changed."
)


class Tampered(UserError):
    """This program's own files are not what they were: it ends here."""


def program(said: str) -> str:
    """The last block of code in a reply. UserError for none, for one that is too long, and for what does not parse."""
    blocks = re.findall(r"```(?:python|py)?\s*\n(.*?)```", said, re.DOTALL)
    if not blocks:
        raise UserError("the role wrote no program: nothing stands between ```python and ```")
    code = blocks[-1]
    if len(code) > LONGEST:
        raise UserError(f"the role's program has {len(code):,} characters, more than {LONGEST:,}")
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"the role's program does not parse: {error}") from error
    return code


def printed(code: str, seconds: float = SECONDS) -> Genome:
    """Run a program in the sandbox, and read the recipe that it prints. UserError for one that fails, never ends, prints none,
    or wants to change what may not be changed."""
    result = shared().run(Program(("python3", "main.py"), {"main.py": code.encode()}, limits=Limits(wall_s=seconds)))
    if result.status != "exited" or result.code != 0:
        how = f"{result.status} {result.code}" if result.code is not None else result.status
        raise UserError(f"the role's program ended with {how}: {_tail(result.stderr)}")
    found = objects(result.stdout.decode("utf-8", "replace"))
    if not found:
        raise UserError("the role's program printed no JSON object")
    return parsed(found[-1])


def _tail(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"


def tried(path: Path, options: Mapping[str, Any], seconds: float = BUILD_S) -> dict[str, str]:
    """Build a recipe file in a process of its own, look there whether it is fit for the folder (it prints, pickles, and passes
    its own check where it has one), and return what it says that it is (`recipe.identities`). UserError for what fails or
    never ends.

    options  of `loop.Request`: what all members share
    """
    ended = child([sys.executable, "-c", LOOK, str(path), json.dumps(dict(options))], seconds, BUILD_CPU_S)
    if ended.status in (None, -signal.SIGXCPU, -signal.SIGKILL):
        spent = f"{seconds:.0f} s, or {BUILD_CPU_S} s of the processor"
        raise UserError(f"{path.name} was not built after {spent}: it never ends")
    if ended.status != 0:
        raise UserError(f"{path.name} cannot be built: {ended.complaint}")
    found = objects(ended.said)
    if not found or not all(isinstance(text, str) for text in found[-1].values()):
        raise UserError(f"{path.name} was built, and says nothing of what it is")
    return found[-1]


@dataclass(frozen=True)
class Ended:
    """How a process ended: its status, None where it had to be killed; the last line that it complained with, and the last of
    what it said."""

    status: int | None
    complaint: str = ""
    said: str = ""


def child(command: Sequence[str], seconds: float, cpu_s: int | None = None) -> Ended:
    """Run a process with a deadline, and at most so many seconds of the processor. When it has ended, or time is over, all
    that it began in its session is killed, and of what it says the last KEPT bytes are kept, however much it says."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    if cpu_s is not None:
        with suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_CPU, (cpu_s, cpu_s))
    heard = {"out": b"", "err": b""}

    def hear(name: str, stream: Any) -> None:
        with stream:
            while piece := stream.read1(1 << 16):
                heard[name] = (heard[name] + piece)[-KEPT:]

    pipes = (("out", process.stdout), ("err", process.stderr))
    listening = [threading.Thread(target=hear, args=of, daemon=True) for of in pipes]
    for thread in listening:
        thread.start()
    status = None
    try:
        with suppress(subprocess.TimeoutExpired):
            status = process.wait(seconds)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
        for thread in listening:
            thread.join(5)  # what has left the session may keep the pipe open: it is not waited for
    return Ended(status, "" if status is None else _tail(heard["err"]), heard["out"].decode("utf-8", "replace"))


def run(path: Path, place: Path, options: Sequence[str], seconds: float) -> None:
    """A run of a role's recipe file, or the rest of it. Raises Failed for one that ends badly or not in time."""
    again = (place / "run.db").is_file()
    command = ["resume", str(place), "--trust"] if again else ["run", str(path), "--run-dir", str(place), *options]
    ended = child([sys.executable, "-m", "sharpen", *command], seconds)
    if ended.status is None:
        raise Failed(f"it had not ended after {seconds:.0f} s")
    if ended.status != 0:
        raise Failed(f"its process ended with {ended.status}: {ended.complaint}")


def package() -> str:
    """A hash of this program's own files: a role's code that edits the verifier on disk changes it. Compiled copies are left
    out, which every process may write."""
    root = Path(sharpen.__file__).parent
    found = hashlib.blake2b(digest_size=16)
    for path in sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        found.update(str(path.relative_to(root)).encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def asked(text: str, whole: bool) -> str:
    """The prompt of a role that writes."""
    return text + (ASK_FILE if whole else ASK)
