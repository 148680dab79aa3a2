"""Packages beside Python's standard library that a program may import: read-only, and none but those.

numpy may be imported wherever it is installed; another package only where the task's `packages` names it. It is looked for
where the sandbox's Python has it, then where the Python that runs us has it, if that is the same version.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

from sharpen.core import UserError
from sharpen.verify.code.languages import Installed

ALWAYS = ("numpy",)
PATIENCE = 20.0  # seconds that asking a Python for its packages may take
ASK = """
import importlib.util, json, os, sys
found = {}
for name in sys.argv[1:]:
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.origin:
        found[name] = os.path.dirname(os.path.dirname(spec.origin) if spec.submodule_search_locations else spec.origin)
print(json.dumps([list(sys.version_info[:2]), found]))
"""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def with_packages(python: Installed, code: str, named: Sequence[str]) -> Installed:
    """The same Python, which finds those of `named` and ALWAYS that the code imports.

    Raises UserError where one that is named is not installed.
    """
    wanted = [name for name in dict.fromkeys((*named, *ALWAYS)) if imports(code, name)]
    places = [(name, place) for name in wanted if (place := located(python.run[0], name))]
    for name in named:
        if name in wanted and name not in dict(places):
            raise UserError(f"the task's package {name!r} is not installed for {python.run[0]}, nor here: pip install {name}.")
    if not places:
        return python
    paths = ":".join(dict.fromkeys(folder for _, (folder, _) in places))
    env = {**python.language.env, **ONE_THREAD, "PYTHONPATH": paths}
    binds = tuple(dict.fromkeys((*python.binds, *(bind for _, (_, shown) in places for bind in shown))))
    return replace(python, language=replace(python.language, env=MappingProxyType(env)), binds=binds)


def imports(code: str, name: str) -> bool:
    return re.search(rf"^[ \t]*(?:from|import)\b[^\n#]*\b{re.escape(name)}\b", code, re.MULTILINE) is not None


@functools.cache
def located(python: str, name: str) -> tuple[str, tuple[str, ...]] | None:
    """(the directory that holds a package, what the sandbox must be shown of it), or None where it cannot be had."""
    version, theirs = asked(python, name)
    if name in theirs:
        folder = theirs[name]
        return folder, () if folder.startswith("/usr/") else (folder,)
    if version != list(sys.version_info[:2]):
        return None
    try:
        listed = parts(name, set())
    except importlib.metadata.PackageNotFoundError:
        return None
    return (os.path.dirname(min(listed)), tuple(sorted(listed))) if listed else None


def asked(python: str, name: str) -> tuple[list[int], dict[str, str]]:
    try:
        told = subprocess.run([python, "-I", "-c", ASK, name], capture_output=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
        version, found = json.loads(told.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return [], {}
    return version, found


def parts(name: str, seen: set[str]) -> set[str]:
    """The files and folders at the top of an installed distribution, and of those that it needs. PackageNotFoundError."""
    seen.add(name.lower())
    distribution = importlib.metadata.distribution(name)
    tops = {str(path).split("/")[0] for path in distribution.files or ()}
    found = {os.path.realpath(str(distribution.locate_file(top))) for top in tops if not top.startswith(("..", "__pycache__"))}
    for needed in distribution.requires or ():
        other = re.match(r"[A-Za-z0-9._-]+", needed)
        if other and ";" not in needed and other[0].lower() not in seen:
            found |= parts(other[0], seen)
    return {path for path in found if os.path.exists(path)}
