"""What a run was made of, hashed when it begins and looked at again when it is resumed: nothing changes beneath it unnoticed.

1. Files of tasks, recipes and verifiers, the recipe's own modules, the model's and the roles' directories: SHA-256 of every
   byte that counts. A model of 16 GB takes ten seconds once; what was hashed is known again by its inode, size and times of
   change, in the user's cache, so that a resume costs nothing. A copy elsewhere is hashed again, and found to be the same.
2. The chat template as it came out, and the versions of what the numbers depend on.
3. What decides what is learnt is refused where it differs, and named: files, template, recipe, sharpen and reasoning-gym, and
   the first two numbers of other versions. What decides last bits at most, such as a third number, is said.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import platform
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import sharpen
from sharpen import environments, hashing
from sharpen.loop.request import Request
from sharpen.recipe import Method, functions, opening
from sharpen.rollouts import asking
from sharpen.store import checkpoints
from sharpen.tasks import decisions
from sharpen.terminal import places

# Of a directory, what is read as a model or as data. Notes, pictures and version control may change.
COUNTS = {
    *(*places.KINDS, ".gz", ".safetensors", ".jinja", ".model", ".txt", ".gguf", ".bin", ".pt", ".tiktoken", ".py"),
}
EXACT = ("sharpen", "reasoning-gym")  # tasks and verdicts come from these, so every version of them counts
PACKAGES = ("torch", "transformers", "numpy", "reasoning-gym", "tokenizers", "safetensors", "peft")
LARGE = 1 << 22  # bytes above which a hash is kept in the cache
SETTLED = 2.0  # seconds after its last change from which a file's times tell its contents apart
CODE = ("recipe", "code")  # kinds of inputs that are run


def versions() -> dict[str, str]:
    """Of Python and of the packages that the numbers come from; those that are not installed are left out."""
    found = {"python": platform.python_version(), "sharpen": sharpen.__version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def made_of(request: Request, method: Method, template: str | None) -> dict[str, str]:
    """The SHA-256 of every input, by kind and path, such as "tasks: /home/me/sums.jsonl"."""
    first = opening(method)
    named = [("recipe", request.recipe)] if request.recipe.endswith(".py") else []
    named += [("model", str(Path(first.student).resolve()))] if Path(first.student).exists() else []
    named += [("tasks", part) for part in (request.tasks or "").split(",")]
    named += [("setting", part) for text in request.settings for part in text.partition("=")[2].split(",")]
    named += [("role", text.partition("=")[2]) for text in request.roles]
    named += [("method", text) for _, _, function in functions(method) for text in strings(function)]
    named += [("code", str(file)) for text in settings_of(request, "env") if (file := environments.file_of(text))]
    named += [("code", word) for text in settings_of(request, "command") for word in text.split()]
    found = dict(digest for kind, text in named if text and stands_for_a_file(text) for digest in digests(kind, Path(text)))
    for path in sorted(own_code(method, request)):
        if f"recipe: {path}" not in found:
            found[f"code: {path}"] = checkpoints.digest(path)
    once = {key.partition(": ")[2]: key for key in reversed(found)}  # the first name of a file that has several
    return {once[path]: found[once[path]] for path in sorted(once)} | {"chat template": hashing.digest(template)}


def settings_of(request: Request, last: str) -> list[str]:
    """The values of a request's settings whose name ends so."""
    pairs = (text.partition("=") for text in request.settings)
    return [value.strip() for name, _, value in pairs if name.strip().rpartition(".")[2] == last]


def stands_for_a_file(text: str) -> bool:
    """A lone word is a name, even where something in this directory happens to be called the same."""
    return len(text) < 4096 and "\0" not in text and (os.sep in text or "." in text) and Path(text).exists()


def strings(value: Any) -> Iterator[str]:
    """Every text among the arguments of a partial."""
    for inner in (*getattr(value, "args", ()), *getattr(value, "keywords", {}).values()):
        if isinstance(inner, str | Path):
            yield from str(inner).split(",")
        elif isinstance(inner, functools.partial):
            yield from strings(inner)


def digests(kind: str, path: Path) -> Iterator[tuple[str, str]]:
    """(name, SHA-256) of a file and what was decided about its tasks, or of every file of a directory that counts."""
    path = path.resolve()
    if path.is_dir():
        found = (p for p in path.rglob("*") if p.suffix in COUNTS and not p.relative_to(path).parts[0].startswith("."))
        listed = sorted(p for p in found if p.name != asking.FILE)  # a run keeps in its store how its model is asked
    else:
        listed = [path, *filter(Path.exists, [decisions.beside(path)])]
    yield from ((f"{kind}: {file}", digest) for file, digest in known_digests([f for f in listed if f.is_file()]).items())


def known_digests(files: Iterable[Path], large: int = LARGE, settled: float = SETTLED) -> dict[Path, str]:
    """SHA-256 of these files; of a large one that was hashed before and has not changed since, from the user's cache."""
    place = cache()
    known = read(place)
    found, new = {}, {}
    for file in files:
        stat = file.stat()
        key = f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"
        if stat.st_size < large or key not in known:
            found[file] = checkpoints.digest(file)
            if stat.st_size >= large and time.time() - stat.st_ctime > settled:
                new[key] = found[file]
        else:
            found[file] = known[key]
    if new:
        write(place, known | new)
    return found


def cache() -> Path:
    return places.cache_directory() / "hashes.json"


def read(path: Path) -> dict[str, str]:
    """What the cache holds; nothing where it cannot be read."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(path: Path, known: Mapping[str, str]) -> None:
    """In one piece; where it cannot be written, hashing is only slower the next time."""
    new = path.with_name(f"hashes.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(dict(list(known.items())[-10_000:])), "utf-8")
        new.replace(path)
    except OSError:
        return


def own_code(method: Method, request: Request) -> set[Path]:
    """The files of modules that a method's functions and scripted roles come from, and what those import in turn, as far as
    they are the user's own: neither sharpen nor installed."""
    waiting = [m for _, _, function in functions(method) for m in modules(function)]
    found: set[Path] = set()
    for text in request.roles:
        module, colon, _ = text.partition("=")[2].partition(":")
        if colon and "/" not in module and (spec := find_spec(module)) and spec.origin and own(Path(spec.origin)):
            found.add(Path(spec.origin).resolve())
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        module_ = sys.modules.get(name)
        file = getattr(module_, "__file__", None)
        if name in seen or module_ is None or not file or not own(Path(file)):
            continue
        seen.add(name)
        found.add(Path(file).resolve())
        for value in vars(module_).values():
            waiting.append(value.__name__ if isinstance(value, ModuleType) else str(getattr(value, "__module__", "")))
    return found


def modules(function: Any) -> Iterator[str]:
    """Names of the modules that a function, or a partial with all that it holds, comes from."""
    if isinstance(function, functools.partial):
        for inner in (function.func, *function.args, *function.keywords.values()):
            yield from modules(inner)
    elif hasattr(function, "__module__"):
        yield function.__module__


def own(file: Path) -> bool:
    """Whether a file of code is neither sharpen's nor installed."""
    installed = [*map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")), str(Path(sharpen.__file__).parent)]
    return file.suffix == ".py" and not any(file.resolve().is_relative_to(Path(place).resolve()) for place in installed)


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What is not as it was, in words."""
    said = []
    for key in sorted(then.keys() | now.keys()):
        if then.get(key) != now.get(key):
            what = "is gone" if key not in now else "is new" if key not in then else "has changed"
            said.append(f"{key} {what}")
    return said


def other_versions(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Versions that differ: those that are refused, and those that are only said."""
    refused: list[str] = []
    told: list[str] = []
    for name in sorted(then.keys() & now.keys()):
        if then[name] != now[name]:
            alike = name not in EXACT and then[name].split(".")[:2] == now[name].split(".")[:2]
            (told if alike else refused).append(f"{name} was {then[name]}, and is {now[name]}")
    return refused, told
