"""Every command of the README and of docs/ is run, and every name that they mention is there.

A page is run in an empty directory, from top to bottom. What its fenced blocks mean is said by the words after the backticks:

    sh               commands, one a line
    sh downloads     commands that fetch something first: only looked at
    python NAME.py   a file, as are `json NAME.jsonl` and `csv NAME.csv`
    python           a script
    text             what a command prints, or a drawing

Commands are run as they stand, except that a run gets two tasks of everything, a budget of two steps, and the smallest student
where it names no model.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from sharpen import tasks
from sharpen.cli import program
from sharpen.models import embedded
from sharpen.models.engine import native
from sharpen.recipes import catalog
from sharpen.sandbox import probe
from sharpen.store import database, served

ROOT = Path(__file__).parents[1]
GENERATED = ("recipes.md", "methods.md")  # tests of their own hold these
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").glob("*.md") if p.name not in GENERATED)]
MODELS = ("smollm2", "path/to/model")  # directories that pages take as given
DOWNLOADS = ("pip", "hf", "git", "apt-get")
REPLACED = ("--budget", "--seeds", "-n", "--max-tokens")  # options whose value is another here
SMALL = dict(
    prompts="2", samples="2", max_tokens="4", round_steps="1", validation="2", test="2", retain="2", unreadable_limit="1"
)


@dataclass(frozen=True)
class Block:
    """A fenced block: what stands behind the backticks, and the text."""

    kind: str
    name: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\S*) ?(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(m[1], m[2], m[3], text.count("\n", 0, m.start()) + 1) for m in found]


def commands(text: str) -> list[list[str]]:
    """The commands of a block, as words. Quotation marks may span lines, and # begins a comment."""
    found: list[list[str]] = []
    lines = iter(text.splitlines())
    for line in lines:
        while line.count('"') % 2:
            line += "\n" + next(lines)
        if words := shlex.split(line, comments=True):
            found.append(words)
    return found


def quick(words: list[str]) -> list[str]:
    """The same command, made short."""
    if words[1] not in ("run", "compare", "eval"):
        return words
    kept, settings = [], {}
    rest = iter(words)
    for word in rest:
        if word == "--set":
            key, _, settings[key] = next(rest).partition("=")
        elif word in REPLACED:
            next(rest)
        else:
            kept.append(word)
    if words[1] == "eval":
        return [*kept, "-n", "2", "--max-tokens", "4"]
    settings |= SMALL
    if "--model" not in kept:
        kept += ["--model", "micro"]
        settings["warmup_steps"] = "1"
    if not {"--tasks", "--stream"} & set(kept):
        kept += ["--tasks", "chain_sum/1-2"]
    kept += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return [*kept, "--budget", "2steps", *(("--seeds", "1") if words[1] == "compare" else ())]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stands for a model of the reader's: any that transformers loads. What is compiled is compiled before pages have caches of
    their own."""
    native.library()
    place = tmp_path_factory.mktemp("model")
    made, tokenizer = embedded.build("micro", tasks.parse_spec("chain_sum/1"), 0)
    made.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_of_a_page_runs(page: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    for name in MODELS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(model)
    left_out: list[str] = []
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        if block.name and block.kind in ("python", "json", "csv"):
            (tmp_path / block.name).write_text(block.text, encoding="utf-8")
            if block.kind == "python":
                ast.parse(block.text, where)
        elif block.kind == "python" and "Sandbox(" in block.text and probe().level != "full":
            left_out.append(f"{where}: the full sandbox cannot be had here")
        elif block.kind == "python":
            script(where, "-c", block.text)
        elif (block.kind, block.name) == ("sh", "downloads"):
            assert commands(block.text)[0][0] in DOWNLOADS, f"{where} downloads nothing: let it be run"
        elif block.kind == "sh":
            for words in commands(block.text):
                command(f"{where}: {shlex.join(words)}", words)
        else:
            assert block.kind == "text", f"{where}: what is a block of {block.kind or 'no kind'}?"
    if left_out:
        pytest.skip("; ".join(left_out))


def command(where: str, words: list[str]) -> None:
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), where
    elif words[0] == "python":
        script(where, *words[1:])
    else:
        assert words[0] == "sharpen", f"{where}: commands are those of sharpen, python and make"
        result = CliRunner().invoke(program.app, quick(words)[1:])
        asked = result.exit_code == 3 and words[1] == "audit"  # disputes are open, which the pages say
        assert result.exit_code == 0 or asked, f"{where} ended with {result.exit_code}\n{result.output}\n{result.exception!r}"


def script(where: str, *argv: str) -> None:
    done = subprocess.run([sys.executable, *argv], capture_output=True, text=True, timeout=900, env=dict(os.environ))
    assert done.returncode == 0, f"{where}\n{done.stderr}"


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]), ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_links_lead_somewhere_from_where_they_are_read(page: Path) -> None:
    """Generated pages, and what they are made of, too; with the heading that a link names."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)", text):
        file, _, heading = target.partition("#")
        led = page.parent / file if file else page
        assert led.exists(), f"{page.name} links to {target}"
        assert not heading or heading in headings(led), f"{page.name} links to {target}, and there is no such heading"


@lru_cache
def headings(page: Path) -> set[str]:
    """As GitHub names them."""
    said = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.strip().lower()).replace(" ", "-") for one in said}


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda p: p.name
)
def test_extras_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"sharpen\[(\w+)\]", text)) <= set(extras)
    assert not re.search(r"^    (sharpen|python|make|pip) ", text, re.MULTILINE) or page.name == "CONTRIBUTING.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_inside_sentences_exist(page: Path) -> None:
    """Their words are often placeholders, so they are not run: the command, its options and its recipe must be there."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    known = get_command(program.app)
    assert isinstance(known, TyperGroup)
    for said in re.findall(r"`sharpen ([^`]+)`", text):
        name, *words = said.split()
        if name.startswith("--"):
            assert any(name in p.opts for p in known.params), said
            continue
        assert name in known.commands, f"there is no command {name!r}: {said}"
        options = {o for p in known.commands[name].params for o in p.opts}
        assert {w for w in words if w.startswith("-")} <= options, said
        if name in ("run", "show") and words and words[0].islower() and "." not in words[0]:
            assert catalog.find(words[0])
    for module in re.findall(r"`python -m (sharpen[\w.]*)", text):
        assert importlib.util.find_spec(module), module


def test_the_store_page_has_every_table_and_column() -> None:
    text = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")
    said = {}
    for section in text.split("\n## `")[1:]:
        table, _, rest = section.partition("`")
        said[table] = {c for row in re.findall(r"^\| (`.*?) \|", rest, re.MULTILINE) for c in re.findall(r"`(\w+)`", row)}
    schema = re.findall(
        r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)\((.*?)\)(?: WITHOUT ROWID)?;", database.SCHEMA + served.TABLE, re.DOTALL
    )
    there = {table: set(re.findall(r"(?:^|,)\s*([a-z_]+) (?:TEXT|INTEGER|BLOB|REAL)", columns)) for table, columns in schema}
    assert said == there


def test_the_map_has_one_line_for_each_room() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    drawn = text[text.index("src/sharpen/\n") :].partition("```")[0].splitlines()
    assert len(drawn) <= 25
    named = set(re.findall(r"(\w+)/  ", "\n".join(line[:32] for line in drawn)))
    rooms = {p.name for p in (ROOT / "src" / "sharpen").iterdir() if (p / "__init__.py").exists()}
    assert rooms <= named, "the map lacks a room"
