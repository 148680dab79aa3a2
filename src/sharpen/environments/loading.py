"""What a SPEC of an environment names. Its code is imported where it runs (host.py), never in the run's own process.

shop.py:Shop              a class in a file of yours; module:Shop in a module of yours
diagnosis                 one of those that ship (WORLDS)
gymnasium:CartPole-v1     an environment of Gymnasium's, made to read and write text (gymnastics.py)
textarena:TicTacToe-v0    a game of TextArena's; the opponents play at random (arena.py)
openenv:http://…          a server that speaks OpenEnv (openenv.py)
verifiers:NAME            an installed environment of verifiers (prime.py)
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sharpen.core import UserError, suggest
from sharpen.hashing import digest

ADAPTERS = {  # each has `maker(rest)`, called before environments are forked: what is slow, such as imports, is done once
    "gymnasium": "sharpen.environments.gymnastics",
    "textarena": "sharpen.environments.arena",
    "openenv": "sharpen.environments.openenv",
    "verifiers": "sharpen.environments.prime",
}
WORLDS: Mapping[str, str] = {
    "airline": "sharpen.environments.worlds.airline:Airline",
    "flags": "sharpen.environments.worlds.flags:Flags",
    "masked": "sharpen.environments.worlds.masked:Masked",
    "tabular": "sharpen.environments.worlds.tabular:Tabular",
    "diagnosis": "sharpen.environments.worlds.diagnosis:Diagnosis",
    "atomic": "sharpen.environments.worlds.atomic:Atomic",
    "tampering": "sharpen.environments.worlds.tampering:Tampering",
    "table": "sharpen.environments.worlds.table:Table",
    "charts": "sharpen.environments.worlds.charts:Charts",
    "circuits": "sharpen.environments.worlds.circuits:Circuits",
    "analysis": "sharpen.environments.worlds.analysis:Analysis",
    "planning": "sharpen.environments.worlds.planning:Planning",
    "lookup": "sharpen.environments.worlds.lookup:Lookup",
    "numbers": "sharpen.environments.worlds.numbers:Numbers",
    "rooms": "sharpen.environments.worlds.rooms:Rooms",
    "beacons": "sharpen.environments.worlds.rooms:Beacons",
}
FORMS = "a file.py:Class, module:Class, gymnasium:ID, textarena:ID, openenv:URL, verifiers:NAME, or one of: "


def checked(spec: str) -> str:
    """The SPEC, if it can name something. UserError with what it may be; nothing is imported."""
    kind, colon, rest = spec.partition(":")
    if spec in WORLDS:
        return spec
    if not colon or not rest:
        raise UserError(f"--env {spec}: there is no such environment.{suggest(kind, (*WORLDS, *ADAPTERS))} It is {known()}.")
    if kind in ADAPTERS:
        return spec
    if kind.endswith(".py") and not Path(kind).is_file():
        raise UserError(f"--env {spec}: there is no file {kind}.")
    if not rest.isidentifier():
        raise UserError(f"--env {spec}: {rest!r} is no name of a class.{suggest(kind, ADAPTERS)} It is {known()}.")
    return spec


def known() -> str:
    return FORMS + ", ".join(WORLDS)


def acts(spec: str) -> bool:
    """Whether it runs code that is not sharpen's, or reaches out of this machine."""
    return bool(spec) and spec not in WORLDS


def file_of(spec: str) -> Path | None:
    """The user's file that a SPEC names, if it names one."""
    kind = spec.rpartition(":")[0]
    return Path(kind) if kind.endswith(".py") else None


def here(spec: str) -> str:
    """The SPEC, right in every directory."""
    path = file_of(spec)
    return f"{path.resolve()}:{spec.rpartition(':')[2]}" if path and path.is_file() else spec


def solution_of(spec: str) -> Callable[[Mapping[str, Any]], list[str]] | None:
    """(task's data) -> what a perfect model says turn by turn, of an environment that ships and knows it; else None."""
    if spec not in WORLDS:
        return None
    return getattr(importlib.import_module(WORLDS[spec].partition(":")[0]), "solution", None)


def factory(spec: str) -> Callable[[], Any]:
    """What makes one environment. Imports its code. UserError where there is none."""
    kind, _, rest = WORLDS.get(spec, spec).partition(":")
    if kind in ADAPTERS:
        if importlib.util.find_spec(kind) is None:  # the package has the adapter's name
            raise UserError(f"{kind}: needs the package, not installed here: pip install 'sharpen[{kind}]'")
        return importlib.import_module(ADAPTERS[kind]).maker(rest)
    if kind.endswith(".py"):
        name = f"sharpen_environment_{digest(str(Path(kind).resolve()))}"
        found = importlib.util.spec_from_file_location(name, kind)
        assert found and found.loader
        sys.path.insert(0, str(Path(kind).resolve().parent))  # as for a script: what lies beside it can be imported
        module = sys.modules[name] = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
    else:
        try:
            module = importlib.import_module(kind)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{kind}.".startswith(f"{error.name}."):
                raise  # the module is there, and lacks one itself
            raise UserError(f"There is no module {kind}: {error}. It must be installed, or lie on PYTHONPATH.") from error
    made = getattr(module, rest, None)
    if made is None:
        raise UserError(f"{kind} has no class {rest!r}.{suggest(rest, [n for n in vars(module) if not n.startswith('_')])}")
    return made
