"""What a gain is made of: form and skill add up to it, and form is never called skill."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sharpen.cli import program
from sharpen.core import Arm, Evaluation, Rollout, Sample, Task, UserError, Verdict, tally
from sharpen.report import render, summary
from sharpen.store import Position, Store, database

OUTCOMES = {"c": "correct", "w": "wrong", "m": "malformed", "x": "malformed"}  # x is cut off


def run(directory: Path, before: dict[Arm, str], after: dict[Arm, str], text: str = "said") -> Path:
    """A run of nothing but its test answers, a letter each."""
    with Store.create(directory, {"recipe": "grpo", "seed": 0}) as store:
        for purpose, rows in (("before", before), ("test", after)):
            told = {}
            for arm, letters in rows.items():
                told[arm] = []
                for i, letter in enumerate(letters):
                    task = Task(({"role": "user", "content": f"{arm} {i}"},), "1", arm.family, arm.level, "test")
                    tokens, stop = np.arange(4, dtype=np.int32), "length" if letter == "x" else "end"
                    name = f"{purpose}.{arm}.{i:04d}"
                    rollout = Rollout(task, tokens, tokens > 1, np.zeros(4, np.float32), (text,), stop, 0, 0, name)
                    told[arm].append(Sample(rollout, Verdict(OUTCOMES[letter], float(letter == "c")), i))
                store.add_samples(purpose, 0, 0, told[arm])
            solved = {arm: tuple(s.verdict.correct for s in own) for arm, own in told.items()}
            store.add_evaluation(0, purpose, Evaluation(solved, {arm: tally(own) for arm, own in told.items()}))
        store.commit(Position("done", 0, 0, finished=True))
    return directory


def test_form_and_skill_add_up_to_the_gain(tmp_path: Path) -> None:
    a, b = Arm("a", 1), Arm("b", 1)
    # a: one learnt where read both times, two that can be read now and are right, one right that cannot be read any more.
    # b: one lost where read both times, none of form.
    found = summary(run(tmp_path / "r", {a: "wwmxcm", b: "cc"}, {a: "cwccmw", b: "cw"}))
    difference = found["difference"]
    assert difference["accuracy"] == pytest.approx((2 / 6 - 1 / 2) / 2)
    assert difference["skill"]["accuracy"] == pytest.approx((1 / 6 - 1 / 2) / 2)
    assert difference["form"]["accuracy"] == pytest.approx((1 / 6 + 0) / 2)
    assert difference["read_both"] == 2 + 2 and difference["share"]["accuracy"] == pytest.approx(1 / 8)
    assert found["before"]["outcomes"] == dict(correct=3, wrong=2, malformed=2, cut_off=1, lost=0, readable=5)
    assert found["before"]["readable"]["value"] == 5 / 8 and found["before"]["right_of_readable"]["value"] == 3 / 5
    assert found["after"]["arms"]["b/1"]["outcomes"]["wrong"] == 1
    # The mean over arms and the share of answers differ, so both are said.
    assert (found["before"]["accuracy"], found["before"]["share"]["accuracy"]) == (pytest.approx(7 / 12), 3 / 8)
    assert "of all answers 37.5" in (render(tmp_path / "r")).read_text()


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ("m" * 30, "c" * 30, "Better form. No gain in skill shown."),
        ("m" * 30 + "w" * 30, "c" * 30 + "w" * 30, "Better form. No gain in skill shown."),
        ("w" * 60, "c" * 30 + "w" * 30, "The model got better."),
        ("c" * 60, "x" * 30 + "c" * 30, "Worse form: fewer answers can be read."),
        ("c" * 60, "w" * 30 + "c" * 30, "The model got worse."),
        ("mw" * 30, "wm" * 30, "No difference shown."),
    ],
)
def test_the_headline_does_not_call_form_skill(tmp_path: Path, before: str, after: str, word: str) -> None:
    arm = Arm("a", 1)
    text = render(run(tmp_path / "r", {arm: before}, {arm: after})).read_text()
    assert f"<h1>{word}</h1>" in text


def test_the_table_has_shares_and_three_answers_and_none_steers_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;mine\x07\x1b[2J\u202egone"
    place = run(tmp_path / "r", {Arm("a", 1): "m" * 40}, {Arm("a", 1): "m" * 30 + "c" * 10}, evil)
    shown = CliRunner().invoke(program.app, ["report", str(place)]).stdout
    assert "100 → 75 %" in shown and "75 % of 40 answers could not be read (75 % malformed)" in shown
    assert shown.count("\\x1b]0;mine") == 3 and not {"\x1b", "\x07", "\u202e"} & set(shown)
    page = render(place).read_text()
    assert "75 % of 40 answers could not be read" in page and not {"\x1b", "\u202e"} & set(page)


def test_a_run_of_an_earlier_schema_is_told_apart(tmp_path: Path) -> None:
    place = run(tmp_path / "r", {Arm("a", 1): "c"}, {Arm("a", 1): "c"})
    with database.closing(database.connect(place / "run.db", "rw")) as db:
        db.execute("UPDATE meta SET value = '4' WHERE key = 'schema_version'")
    with pytest.raises(UserError, match="of an older version: schema 4"):
        summary(place)
