"""A run is shown where it is asked to be; a tracker that is down, or hangs, costs the run nothing; a resume goes on."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sharpen import track
from sharpen.cli import program
from sharpen.core import UserError
from sharpen.store import Store
from sharpen.track import processes

HERE = str(Path(__file__).parent)
SMALL = dict(prompts=2, samples=2, max_tokens=4, round_steps=1, validation=2, test=2, warmup_steps=1)


def sharpen(*argv):
    done = CliRunner().invoke(program.app, [str(a) for a in argv])
    assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"
    return done.output


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run and its going on, shown by a tracker that writes down what it gets, and one that is down."""
    place = tmp_path_factory.mktemp("tracked") / "run"
    settings = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        begun = ("run", "--model", "micro", "--tasks", "chain_sum/1", "--budget", "2steps", "--run-dir", place)
        said = sharpen(*begun, *settings, "--track", "scripted_tracker:Written,scripted_tracker:down")
        again = sharpen("resume", place, "--budget", "1steps")
    return place, said, again


def lines(place):
    return [json.loads(line) for line in (place / "written.jsonl").read_text().splitlines()]


def test_every_committed_step_and_evaluation_is_sent_once_and_in_order(run):
    place, _, _ = run
    got = lines(place)
    with Store.open(place) as store:
        steps = [step["step"] for step in store.steps()]
        shown = {(e["round"], e["purpose"]) for e in store.rows("SELECT round, purpose FROM evaluations")}
    trained = [step for kind, step, values in (g for g in got if g[0] == "metrics") if "loop/reward" in values]
    assert steps == [0, 1, 2, 3] and trained == [1, 2, 3]
    measured = [values for kind, _, values in (g for g in got if g[0] == "metrics") if any("/accuracy" in k for k in values)]
    assert len(measured) == len(shown) == sum(g[0] == "table" for g in got)
    where = [g[1] for g in got if g[0] == "metrics"]
    assert where == sorted(where)
    assert all("validation/arm/chain_sum/1" in values for values in measured if "validation/accuracy" in values)


def test_a_resume_goes_on_with_the_same_run_and_the_report_comes_last(run):
    got = lines(run[0])
    first, second = [g for g in got if g[0] == "begin"]
    assert first[1:3] == [0, ""] and second[1:3] == [3, "first"] and first[3]["samples"] == "2"
    assert got[-1] == ["finish"] and got[-2][:2] == ["artefact", "report.html"] and got[-2][2].startswith("<!")


def test_one_that_is_down_is_said_once_and_the_run_goes_on(run):
    _, said, again = run
    assert said.count("tracker scripted_tracker:down failed") == 1 and "the tracker is down" in said
    assert "The report is at" in said and again.count("the tracker is down") == 1


def test_what_another_user_asked_for_is_not_followed(run, monkeypatch, capsys):
    from sharpen.cli import serving

    monkeypatch.syspath_prepend(HERE)
    place = run[0]
    names = ["scripted_tracker:Written", "scripted_tracker:down"]
    assert serving.tracked(place, None) == names and serving.tracked(place, ["none"]) == []
    asked = place / "track" / "asked.json"
    before = asked.read_text()
    asked.write_text(before.replace("Written", "Other"))
    assert serving.tracked(place, None) == [] and "--track" in capsys.readouterr().err
    asked.write_text(before)
    assert serving.tracked(place / "nowhere", None) == []


def test_one_that_hangs_is_left_at_its_deadline(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    Store.create(tmp_path, {"recipe": "x"}).close()
    said: list[str] = []
    with track.following(tmp_path, ["scripted_tracker:hung"], said.append, last_s=0.0):
        pass
    assert len(said) == 1 and "did not take everything in time" in said[0]


def test_names_are_checked_before_anything_is_spent(monkeypatch):
    for name, said in (("wandbb", "Did you mean 'wandb'"), ("nowhere:begin", "no module nowhere")):
        with pytest.raises(UserError, match=said):
            track.trackers([name])
    for name in processes.KNOWN:
        if importlib.util.find_spec(name) is None:
            with pytest.raises(UserError, match=rf"pip install 'sharpen\[{name}\]'"):
                track.trackers([name])
    monkeypatch.syspath_prepend(HERE)
    one = "scripted_tracker:Written"
    assert track.trackers([f"{one}, {one}", one]) == [one]


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed")
def test_a_server_that_is_not_there_is_said_at_once(tmp_path, monkeypatch):
    Store.create(tmp_path, {"recipe": "x"}).close()
    said: list[str] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with track.following(tmp_path, ["mlflow"], said.append):
            pass
    assert len(said) == 1 and "cannot be reached" in said[0] and "the run goes on without it" in said[0]


@pytest.mark.parametrize("name", processes.KNOWN)
def test_offline(name, run, tmp_path, monkeypatch):
    """Each tracker takes a whole run without network, and goes on with it."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    place = tmp_path / "run"
    place.mkdir()
    for file in run[0].glob("run.db*"):
        shutil.copy(file, place)
    (place / "report.html").write_text("<!doctype html>")
    for key, value in dict(WANDB_MODE="offline", TRACKIO_DIR=str(tmp_path / "trackio"), WANDB_SILENT="true").items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    said: list[str] = []
    for _ in range(2):
        with track.following(place, [name], said.append, last_s=120.0):
            pass
    assert not said, (place / "track" / f"{name}.log").read_text()
    far = json.loads((place / "track" / f"{name}.json").read_text())
    assert far["step"] == 3 and far["id"]
    if name == "tensorboard":
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

        files = sorted((place / "tensorboard").glob("events*"))
        events = [event for file in files for event in EventFileLoader(str(file)).Load()]
        tags = {value.tag for event in events for value in event.summary.value}
        assert {"loop/reward", "validation/accuracy", "test/samples", "config", "report"} <= tags
    elif name == "mlflow":
        kept = place / "mlruns"
        assert list(kept.rglob("metrics/loop/reward")) and list(kept.rglob("artifacts/report.html"))
        assert len(list(kept.rglob("params/recipe"))) == 1  # one run, not two
    elif name == "trackio":
        assert list((tmp_path / "trackio").glob("sharpen*.db"))
    else:
        assert {p.name.rpartition("-")[2] for p in (place / "wandb").glob("offline-run-*")} == {far["id"]}
