"""What an outer loop has tried, on the page: as it was written, escaped, and no harm in a file that is something else."""

from __future__ import annotations

import importlib.util
import json

import pytest
from test_view import ATTACK, client, got, make

from sharpen.core import UserError
from sharpen.view import app, found, trees

LACKING = not importlib.util.find_spec("starlette") or not any(map(importlib.util.find_spec, ("httpx", "httpx2")))
ABOUT = dict(command="evolve", recipe="grpo", by="hgm", done=2, of=40, winner=1, verdict="")
MEMBERS = [
    dict(number=0, parent=None, by="root", change="root"),
    dict(number=1, parent=0, by="role", change=ATTACK.replace("\ud800", ""), trials=2, score=0.75, gain=0.02, cost=1.5),
    dict(number=2, parent=1, by="knobs", change="lr", failed="no </td> of ours"),
    dict(number=3, parent=0, by="knobs", change="samples", score=float("nan"), gain="much"),
]


def test_a_tree_is_read_as_it_was_written_each_member_before_its_children(tmp_path):
    trees.write(tmp_path, **ABOUT, members=MEMBERS)
    read = trees.read(tmp_path)
    assert [(m["number"], m["depth"]) for m in read.members] == [(0, 0), (1, 1), (2, 2), (3, 1)]
    assert (read.state, read.winner, read.members[1]["score"], read.members[3]["score"]) == ("stopped", 1, 0.75, None)
    table = trees.table(MEMBERS, 1, "evolve")
    assert (
        "<script" not in table
        and "&lt;script&gt;" in table
        and "no &lt;/td&gt;" in table
        and "1 ★" in table
        and "1.5×" in table
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        json.dumps({**ABOUT, "at": 0, "members": [{"number": "1"}]}),
        json.dumps({**ABOUT, "at": 0, "members": [7]}),
        json.dumps({**ABOUT, "at": 0, "members": 7}),
        json.dumps({**ABOUT, "at": 0, "members": [], "done": 1e999}),
    ],
)
def test_a_file_that_is_something_else_is_said_to_be(tmp_path, text):
    (tmp_path / trees.NAME).write_text(text)
    with pytest.raises(UserError, match="cannot be read as what an outer loop tried"):
        trees.read(tmp_path)


def test_members_that_are_their_own_ancestors_are_shown_once(tmp_path):
    """A file that somebody made: nothing of it goes round in circles."""
    circle = [dict(number=1, parent=2), dict(number=2, parent=1), dict(number=3, parent=3), dict(number=4, parent=99)]
    trees.write(tmp_path, **ABOUT, members=circle)
    assert sorted(m["number"] for m in trees.read(tmp_path).members) == [1, 2, 3, 4]


@pytest.mark.skipif(LACKING, reason="starlette, or its test client's httpx, not installed")
def test_loops_stand_beside_runs_and_have_a_page(tmp_path):
    loop, run = tmp_path / "evolve-1", make(tmp_path / "evolve-1" / "runs" / "01-root-0", finished=True)
    trees.write(loop, **ABOUT, members=MEMBERS)
    assert found.loops([tmp_path]) == [loop] and found.runs([tmp_path], [loop]) == [run]
    (tmp_path / "empty" / "evolve-2").mkdir(parents=True)
    trees.write(tmp_path / "empty" / "evolve-2", **ABOUT, members=MEMBERS[:1])  # before its first run
    assert found.runs([tmp_path / "empty"], found.loops([tmp_path / "empty"])) == []
    site = app.site_of([run], 8484, loops=[loop, loop, tmp_path / "empty"])
    assert list(site.loops) == ["evolve-1", "evolve-1-2", "empty"]
    here = client(run, loops=[loop, tmp_path / "empty"])
    listed = got(here, "/")["loops"]
    assert listed[0]["done"] == 2 and "cannot be read" in listed[1]["why"]
    text = here.get("/").text
    assert 'href="/loops/evolve-1"' in text and "01-root-0" in text and "cannot be read" in text
    page = here.get("/loops/evolve-1").text
    assert 'data-events="/loops/evolve-1/events"' in page and "2 of 40 trials" in page and "<script>" not in page
    assert got(here, "/loops/evolve-1")["members"][1]["gain"] == 0.02
    assert here.get("/loops/none").status_code == 404 and here.get("/loops/empty").status_code == 400
    assert client(run, loops=[loop], token="").get("/loops/evolve-1").status_code == 401
