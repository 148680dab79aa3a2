"""Searches measured: every row has its accuracy and its cost, and what cannot be is told before a model is loaded."""

import json
from pathlib import Path

import numpy as np
import pytest

from sharpen import report, tasks
from sharpen.core import Rollout, Sample, Task, UserError, Verdict
from sharpen.loop import measure_searches
from sharpen.loop.searching import over
from sharpen.models import embedded
from sharpen.terminal import tables

NAMES = {"r": "correct", "w": "wrong", "u": "unscorable"}
PAID = {"r": 1.0, "w": 0.0, "u": None}
SOURCE = tasks.parse_spec("chain_sum/1")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("model")
    model, tokenizer = embedded.build("micro", SOURCE, 0)
    model.save_pretrained(where)
    tokenizer.save_pretrained(where)
    return where


def test_each_search_has_its_accuracy_and_what_a_task_cost_and_a_page(directory: Path, tmp_path: Path, capsys) -> None:
    """By hand: a fresh model writes 6 tokens whatever happens, or ends before; best_of=3 asks three times."""
    found = measure_searches(directory, SOURCE, ["best_of=3", "mcts=4", "best_of=3"], n=2, max_tokens=6, value="verifier")
    json.dumps(found, allow_nan=False)
    rows = {row["name"]: row for row in found["searches"]}
    assert list(rows) == ["greedy", "drawn once", "best_of=3", "mcts=4"] and all(row["n"] == 2 for row in rows.values())
    assert rows["greedy"]["calls"] == rows["drawn once"]["calls"] == 1 and rows["best_of=3"]["calls"] == 3
    assert rows["best_of=3"]["sampled"] > rows["drawn once"]["sampled"] > 0
    assert rows["best_of=3"]["accuracy"] >= rows["drawn once"]["accuracy"]  # its first answer is the one that is drawn once
    tables.show_searches(found)
    told = capsys.readouterr().out
    assert "mcts=4" in told and tables.ORACLE in told and "No gain is shown by any of these" in told
    page = report.searches.render(found, tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<circle") >= 8 and tables.ORACLE.replace("'", "&#39;") in page and "<script" not in page


@pytest.mark.parametrize(
    "named, more, match",
    [
        (["bestof=3"], {}, "Did you mean 'best_of'"),
        (["best_of=0"], {}, "is no search"),
        (["best_of=2"], dict(value="verifer"), "Did you mean 'verifier'"),
        (["best_of=2"], dict(temperature=0.0), "Greedy answers"),
        (["best_of=2"], dict(roles=["value=student"]), "--value role"),
        (["best_of=2"], dict(value="role", roles=["judge=student"]), "no role 'judge'"),
    ],
)
def test_what_cannot_be_is_told(directory: Path, named, more, match) -> None:
    with pytest.raises(UserError, match=match):
        measure_searches(directory, SOURCE, named, n=1, max_tokens=4, **more)


def test_a_role_says_what_answers_are_worth(directory: Path) -> None:
    found = measure_searches(
        directory, SOURCE, ["best_of=2"], n=1, max_tokens=4, value="role", roles=["value=scripted_roles:noncommittal"]
    )
    assert found["searches"][-1]["calls"] == 4  # two answers, and one question about each


def test_a_gain_is_told_where_it_is_more_than_chance() -> None:
    """Of the same tasks: 9 of 10 mended is a gain, 2 mended and 1 spoilt is none, and what nobody judged does not count."""
    task = Task(({"role": "user", "content": "?"},), "1", "sums", 1)
    blank = Rollout(task, np.zeros(1, np.int32), np.zeros(1, bool), np.zeros(1, np.float32), ("",), "end", 0, 0, "r")
    made = lambda text: [Sample(blank, Verdict(NAMES[c], PAID[c]), 0) for c in text]  # noqa: E731
    greedy, arms = made("wwwwwwwwwwr"), ["sums/1"] * 11
    mended, mixed, lost = (over(made(text), greedy, arms) for text in ("rrrrrrrrrwr", "rrwwwwwwwww", "wwwwwwwwwwu"))
    assert mended["gain"] == pytest.approx(9 / 11) and mended["gain_ci95"][0] > 0
    assert mixed["gain"] == pytest.approx(1 / 11) and mixed["gain_ci95"][0] < 0 and lost["gain"] == 0
    row = dict(accuracy=0.5, ci95=[0.1, 0.9], n=11, sampled=10.0, read=1, calls=1, seconds=1.0)
    rows = [row | dict(name="greedy", gain=0.0, gain_ci95=[0, 0]), row | dict(name="beam=4", sampled=40.0) | mended]
    told = tables.searched_told({"searches": rows, "value": "likelihood"})
    assert told[0] == "beam=4" and "gains +81.8 points" in told[1] and "4.0 times" in told[1]
    rows[1] |= mixed
    assert tables.searched_told({"searches": rows, "value": "likelihood"})[0] == "No gain is shown"
    assert over(made("u"), made("r"), ["sums/1"]) == {"gain": None, "gain_ci95": None}
