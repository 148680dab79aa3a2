"""The evidence page is what its files say: made anew, it is the page that is committed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import evidence
import pytest

from sharpen.recipes import catalog

DOCS = Path(__file__).parents[1] / "docs"
ESTIMATE = {"value": 0.4567891, "ci95": [0.4, 0.5], "n": 100}


def row(name: str, gain: float | None, explains: dict | None = None) -> dict:
    change = {"value": gain, "ci95": [gain - 0.05, gain + 0.05], "n": 100} if gain is not None else None
    run = {"seed": 0, "before": 0.3, "accuracy": 0.4, "directory": "/somewhere/else", "curve": [[0.0, 0, 0, 0.0, 0.123456]]}
    return {
        "name": name,
        "recipe": "r",
        "settings": [],
        "accuracy": ESTIMATE,
        "gain": change,
        "area": ESTIMATE,
        "versus": None,
        "explains": explains,
        "steps": 4.0,
        "tokens": 9.0,
        "seconds": 1.0,
        "complete": True,
        "stopped": {},
        "runs": [run],
    }


FOUND = {
    "budget": {"kind": "steps", "amount": 4}, "seeds": [0], "student": "/home/me/models/tiny", "tasks": "gym",
    "finished": True, "notes": ["One seed."], "target": 0.5,
    "contenders": [row("quickstart", 0.1), row("quickstart [even]", None), row("a <b> [prompt]", -0.02, {
        "of": "quickstart", "value": 0.2, "ci95": [-0.1, 0.5], "says": "…"})],
}  # fmt: skip


def test_the_page_is_what_its_files_say():
    for file, text in evidence.page(DOCS / "evidence").items():
        assert (DOCS / file).read_text("utf-8") == text, f"docs/{file} is old: python bench/evidence.py"
    drawn = {path.name for path in (DOCS / "evidence").glob("*.svg")}
    assert drawn == {Path(file).name for file in evidence.page(DOCS / "evidence") if file.endswith(".svg")}


def test_a_result_is_kept_without_what_is_nobodys_business(tmp_path):
    (tmp_path / "evidence").mkdir()
    kept = evidence.trimmed(FOUND, "sharpen compare quickstart --controls")
    assert "/somewhere" not in json.dumps(kept) and "/home" not in json.dumps(kept)
    assert kept["contenders"][0]["accuracy"]["value"] == 0.45679 and kept["contenders"][0]["runs"][0]["curve"] == [
        [0.0, 0.1235]
    ]
    (tmp_path / "evidence" / "embedded-small.json").write_text(json.dumps(kept))
    (tmp_path / "evidence" / "embedded.md").write_text("What this says.\n")
    made = evidence.page(tmp_path / "evidence")
    text = made["evidence.md"]
    assert "What this says." in text and "| 20 % (-10.0 to 50.0) |" in text and "+10.0 (5.0 to 15.0)" in text
    assert "a &lt;b&gt; [prompt]" in made["evidence/embedded-small.svg"] and "<b>" not in made["evidence/embedded-small.svg"]
    assert text.count("Not measured yet") == 3 and "- One seed." in text


@pytest.mark.parametrize("section", [s for s in evidence.SECTIONS if s.commands], ids=lambda s: s.name)
def test_commands_name_what_there_is(section):
    known = {info.name for info in catalog.recipes()}
    for command in section.commands:
        words = shlex.split(command)
        if words[0] == "sharpen":
            named = words[2 : next(i for i, word in enumerate(words) if word.startswith("--"))]
            assert named and set(named) <= known
    if section.name == "methods":
        assert len(evidence.METHODS.split()) >= 12
