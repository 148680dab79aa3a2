"""A role that writes code, and what may become of it.

Without `--trust` the code is a program that prints a recipe as JSON, and it is run in the sandbox: what it prints is data,
read by `files.parsed`, which lets neither tasks nor verifier be changed. With `--trust` a role writes a whole recipe file.
That is tried out in a process of its own first, with a deadline; and its runs are measured again by another process that
never imports it, so that a verifier which it has edited in its own decides nothing (`evolve.py`).
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import sharpen
from sharpen.core import UserError
from sharpen.outer.asked import objects
from sharpen.outer.files import Genome, parsed
from sharpen.outer.history import Failed
from sharpen.sandbox import Limits, Program, shared

SECONDS = 10.0  # of a program in the sandbox
BUILD_S = 120.0  # of a recipe file's first look, importing torch included
LONGEST = 20_000  # characters of a program

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


def tried(path: Path, seconds: float = BUILD_S) -> None:
    """Build a recipe file in a process of its own, and check it there. UserError for what fails or never ends."""
    script = (
        "import sys\nfrom sharpen.core import UserError\nfrom sharpen.loop import Request, build_recipe\n"
        "try:\n    build_recipe(Request(recipe=sys.argv[1]))\n"
        "except UserError as error:\n    sys.exit(f'UserError: {error}')\n"
    )
    ended, complaints = child([sys.executable, "-c", script, str(path)], seconds)
    if ended is None:
        raise UserError(f"{path.name} was not built after {seconds:.0f} s: it never ends")
    if ended != 0:
        raise UserError(f"{path.name} cannot be built: {complaints}")


def child(command: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """(exit status, its last words); None where it had to be killed. It is killed with all that it has begun."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, env=dict(os.environ)
    )
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        return None, ""
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, _tail(said)


def run(path: Path, place: Path, options: Sequence[str], seconds: float) -> None:
    """A run of a role's recipe file, or the rest of it. Raises Failed for one that ends badly or not in time, and UserError
    where it has edited this program: then nothing that it says can be believed."""
    before = package()
    again = (place / "run.db").is_file()
    command = ["resume", str(place), "--trust"] if again else ["run", str(path), "--run-dir", str(place), *options]
    ended, said = child([sys.executable, "-m", "sharpen", *command], seconds)
    if package() != before:
        raise UserError(f"{path} has changed sharpen's own files. Install it anew: nothing that it says can be believed now.")
    if ended is None:
        raise Failed(f"it had not ended after {seconds:.0f} s")
    if ended != 0:
        raise Failed(f"its process ended with {ended}: {said}")


def package() -> str:
    """A hash of this program's own files: a role's code that edits the verifier on disk changes it."""
    root = Path(sharpen.__file__).parent
    found = hashlib.blake2b(digest_size=16)
    for path in sorted(root.rglob("*.py")):
        found.update(str(path.relative_to(root)).encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def asked(text: str, whole: bool) -> str:
    """The prompt of a role that writes."""
    return text + (ASK_FILE if whole else ASK)
