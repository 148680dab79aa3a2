"""What somebody gets who installs sharpen: a wheel that is complete, named right, and asks for little."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

import sharpen

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMPORTED_AS = {"mlflow_skinny": "mlflow", "openenv_core": "openenv", "vl_convert_python": "vl_convert"}
DEVELOPERS = ("bench", "dev")  # extras for those who work on sharpen itself


def run(*argv: str | Path, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [str(a) for a in argv], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing in it but the wheel of this checkout, installed without network."""
    for name in ("pip", "setuptools"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed here, and a wheel is built with it")
    place = tmp_path_factory.mktemp("package")
    source, target = place / "source", place / "target"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", place, source, cwd=place)
    (wheel,) = place.glob("*.whl")
    run(*pip, "install", "--no-index", "--no-deps", "--no-compile", "--target", target, wheel, cwd=place)
    return target


def test_the_wheel_has_every_file_of_the_package(installed: Path) -> None:
    def files(root: Path) -> dict[str, bytes]:
        found = [p for p in (root / "sharpen").rglob("*") if p.is_file() and "__pycache__" not in p.parts]
        return {str(p.relative_to(root)): p.read_bytes() for p in found}

    here = files(ROOT / "src")
    assert {Path(name).suffix for name in here} >= {".py", ".c", ".h", ".j2", ".css", ".js", ".jsonl", ".typed"}
    assert files(installed) == here
    (about,) = installed.glob("sharpen-*.dist-info")
    assert (about / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert PathDistribution(about).metadata["License-Expression"] == "Apache-2.0"


def test_the_wheel_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    program = (sys.executable, installed / "bin" / "sharpen")
    outside = dict(cwd=tmp_path, PYTHONPATH=str(installed))
    assert run(*program, "--version", **outside) == f"sharpen {sharpen.__version__}\n"
    assert run(sys.executable, "-m", "sharpen", "--version", **outside) == f"sharpen {sharpen.__version__}\n"
    where = run(sys.executable, "-c", "import sharpen; print(sharpen.__file__)", **outside)
    assert where == f"{installed / 'sharpen' / '__init__.py'}\n"
    assert run(*program, "list", **outside) == run(
        sys.executable, "-m", "sharpen", "list", cwd=tmp_path, PYTHONPATH=str(ROOT / "src")
    )
    assert "── " in run(*program, "tasks", "problems", "-n", "1", **outside)


def test_the_changelog_begins_with_this_version() -> None:
    first = next(line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line.startswith("## "))
    assert first.split()[1] == sharpen.__version__


def test_few_packages_are_needed_and_each_is_imported() -> None:
    """What is named is imported, and what is imported is named, if only as an extra."""

    def names(wanted: list[str]) -> set[str]:
        found = {re.split(r"[<>=\[]", w)[0].replace("-", "_") for w in wanted}
        return {IMPORTED_AS.get(name, name) for name in found}

    needed = names(PROJECT["dependencies"])
    assert len(needed) <= 10
    imported = set()
    for path in (p for p in (ROOT / "src").rglob("*.py") if "drivers" not in p.parts):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.util.find_spec":  # transformers imports it
                imported |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    extras = names([w for name, wanted in PROJECT["optional-dependencies"].items() if name not in DEVELOPERS for w in wanted])
    assert imported - {"sharpen", *sys.stdlib_module_names} == needed | extras
