"""Where a run goes, runs/latest, and paths that stay right when a run is resumed from another directory."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What a file of tasks is called, and what it then is; each also with .gz behind it.
KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
KINDS |= {".arrow": "arrow"}
NAMED = (
    "default",
    "arithmetic",
    "programs",
    "step_chain",
    "constraints",
    "facts",
    "handed_over",
    "searching",
    "problems",
    "retention",
)  # what --tasks knows by name, whatever directories there are
META = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")  # of a data set, beside its data


def here(path: str) -> str:
    """A path that stays right when the run is resumed from another directory; a name that is no path is left as it is."""
    return str(Path(path).resolve()) if path and Path(path).exists() else path


def here_tasks(spec: str) -> str:
    return ",".join(here(part.strip()) if names_data(part.strip()) else part for part in spec.split(","))


def contender(text: str) -> list[str]:
    """`grpo:lr=1e-3:samples=4` as a recipe and its settings. A colon without a setting belongs to what stands before it."""
    recipe, *settings = re.split(r":(?=[^:]*=)", text)
    return [here(recipe) if recipe.endswith(".py") else recipe, *map(here_setting, settings)]


def names_data(part: str) -> bool:
    """Whether a part of a specification of tasks names a file or directory of them, and not a family."""
    if part in NAMED:
        return False
    name = part.lower().removesuffix(".gz")
    if name.endswith(tuple(KINDS)) or name != part.lower():
        return True
    path = Path(part)
    return path.is_dir() and os.access(path, os.R_OK | os.X_OK) and (holds(path) or any(map(holds, path.iterdir())))


def holds(folder: Path) -> bool:
    readable = folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
    return readable and any(child.name.lower().removesuffix(".gz").endswith(tuple(KINDS)) for child in folder.iterdir())


def here_setting(setting: str) -> str:
    key, equals, value = setting.partition("=")
    value = here(value) if key == "student" else here_tasks(value) if key == "tasks" else value
    return f"{key}{equals}{value}"


def system_setting(text: str | None) -> list[str]:
    """What --system says as a setting of a recipe; @FILE is the text of that file. UserError where it cannot be read."""
    from sharpen.core import UserError

    if text is None or not text.startswith("@"):
        return [] if text is None else [f"system={text}"]
    try:
        return [f"system={Path(text[1:]).read_text(encoding='utf-8').strip()}"]
    except (OSError, UnicodeDecodeError) as e:
        raise UserError(f"--system {text}: {text[1:]} cannot be read as text: {e}. Name a file of UTF-8.") from e


def here_role(role: str) -> str:
    name, equals, who = role.partition("=")
    return f"{name}{equals}{here(who)}"


def cache_directory() -> Path:
    """The user's cache directory of this program: $XDG_CACHE_HOME/sharpen, else ~/.cache/sharpen."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "sharpen"


def new_directory(name: str) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = (f"{stamp}-{name}{suffix}" for suffix in ("", *(f"-{i}" for i in range(2, 1000))))
    return next(Path("runs") / n for n in names if not (Path("runs") / n).exists())


@contextmanager
def latest(directory: Path, wanted: bool) -> Iterator[None]:
    """Point runs/latest at a run while it begins; put it back where the run never came to be."""
    link = directory.parent / "latest"
    if not wanted or (link.exists() and not link.is_symlink()):
        yield
        return
    before = os.readlink(link) if link.is_symlink() else None
    point(link, directory.name)
    try:
        yield
    finally:
        if not (directory / "run.db").exists():
            link.unlink()
            if before is not None:
                point(link, before)


def point(link: Path, target: str) -> None:
    from sharpen.core import UserError

    new = link.with_name(f".latest-{os.getpid()}")
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        new.symlink_to(target)
        new.replace(link)
    except OSError as e:
        raise UserError(f"{link.parent} cannot be written: {e.strerror}. Choose another place with --run-dir.") from e
