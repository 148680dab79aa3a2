"""`sharpen data` and `sharpen lineage` as somebody meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sharpen.cli import program

STORY = "Ann sold {} clips to her friends in {} and then she sold half as many clips again. How many clips did she sell?"


def sharpen(*argv: str | Path) -> Result:
    return CliRunner().invoke(program.app, [str(a) for a in argv])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    months = "January February March April June July August September October November December Easter".split()
    rows = [{"prompt": STORY.format(2 * i + 10, month), "answer": str(3 * i + 15)} for i, month in enumerate(months)]
    rows.append({"prompt": f"Now then. {rows[0]['prompt']}", "answer": rows[0]["answer"]})  # told a little differently
    rows.append({"prompt": rows[1]["prompt"].upper(), "answer": rows[1]["answer"]})  # the same again
    rows.append({"prompt": rows[2]["prompt"].replace(" ", "  "), "answer": "1"})  # and to another answer
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row | {"verifier": "number", "split": "train"}) + "\n" for row in rows))
    return path


def test_copies_contradictions_and_what_another_file_holds(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "test.jsonl"
    rows = [STORY.format(10, "January"), STORY.format(777, "March"), "Something else altogether, of which nobody has heard."]
    other.write_text("".join(json.dumps({"prompt": p, "answer": "1", "verifier": "number"}) + "\n" for p in rows))
    found = json.loads(sharpen("data", file, "--against", other, "--json").stdout)
    assert found["tasks"] == 13 and sum(found["left_out"].values()) == 2
    assert found["duplicates"]["exact"] == 2 and found["duplicates"]["near"] == 1 and found["duplicates"]["kept"] == 12
    assert found["quality"]["contradictions"] == 1
    spread = found["contamination"][str(other)]
    assert spread["same"] == 1 and spread["contains"] >= 2  # told differently, and with another number
    assert found["contained"]["shares"][f"{other} in {file}"] == pytest.approx(1 / 3)
    other.write_text(other.read_text().partition("\n")[0])  # one task: too few to train on, enough to be found again
    assert json.loads(sharpen("data", file, "--against", other, "--json").stdout)["contamination"][str(other)]["same"] == 1
    said = sharpen("data", file, "--against", other)
    assert said.exit_code == 0 and "2 exact, 1 near" in said.stdout and "pairs told alike" in said.stdout


def test_a_source_will_do_and_mistakes_are_said(tmp_path: Path) -> None:
    found = json.loads(sharpen("data", "chain_sum/1", "-n", "20", "--json").stdout)
    assert found["tasks"] == 20 and found["quality"]["solutions_right"] == 1.0 and "difficulty" not in found
    assert sharpen("data", tmp_path / "none.jsonl").exit_code == 2
    said = sharpen("lineage", tmp_path, "chain_sum/1")
    assert said.exit_code == 2 and "run.db" in said.stderr
