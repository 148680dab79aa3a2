"""Verdicts, programs and environments on other machines: the same outcomes, and a machine that dies costs no verdict."""

from __future__ import annotations

import threading
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import held
import pytest

from sharpen import sandbox, workers
from sharpen.core import Act, Failed, Run, Task, UserError
from sharpen.environments import open_env
from sharpen.rollouts import programs
from sharpen.verify import Judges, judging
from sharpen.workers import places

TASK = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sum", 1)


def nodes() -> list:
    return places._used[-1][1].nodes


def marks(folder: Path) -> list[tuple[str, int]]:
    return [(text, int(pid)) for text, _, pid in (p.name.partition("-") for p in sorted(folder.glob("*-*")))]


def test_a_dead_machine_costs_what_was_under_way_and_no_verdict(tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "WORTH_S", 0.0)  # a process for each, at once
    with workers.using("local://2x1"), Judges(partial(held.held, notes=str(tmp_path))) as judges:
        assert workers.slots() == 2
        for text in ("4", "5", "6"):
            judges.submit(text, TASK, text)
        while len(marks(tmp_path)) < 2:
            time.sleep(0.01)  # noqa: TID251  a pause between two looks
        first, second = (pid for _, pid in marks(tmp_path))
        dead = nodes()[0].process
        dead.kill()
        dead.wait()
        (tmp_path / "go").touch()
        assert {k: v.outcome for k, v in judges.collect().items()} == {"4": "correct", "5": "wrong", "6": "wrong"}
        assert dead.pid in (first, second)
        assert {pid for _, pid in marks(tmp_path)} == {n.process.pid for n in nodes()}
        lost = next(text for text, pid in marks(tmp_path) if pid == dead.pid)
        assert [text for text, _ in marks(tmp_path)].count(lost) == 2  # judged again, by the machine that is left
        nodes()[1].process.kill()
        nodes()[1].process.wait()
        with pytest.raises(UserError, match="workers_gone"):
            workers.start("")
    assert not workers.elsewhere()


def test_as_many_children_start_at_a_time_as_this_machine_has_cores(monkeypatch):
    monkeypatch.setattr(places, "_turns", threading.BoundedSemaphore(2))
    with workers.starting(), workers.starting():
        assert not places._turns.acquire(blocking=False)
        monkeypatch.setattr(places, "_used", [(1, SimpleNamespace(here=False))])
        with workers.starting():  # other machines have cores of their own
            pass
    assert places._turns.acquire(blocking=False)


def test_a_verifier_that_dies_is_not_taken_for_its_machine():
    with workers.using("local://1"), Judges(held.dies) as judges:
        judges.submit("a", TASK, "4")
        verdict, _ = judges.take("a")
        assert verdict.outcome == "unscorable" and "it exited with 3" in verdict.feedback


def test_environments_there():
    task = Task(({"role": "user", "content": "Count."},), None, "count", 1)
    with workers.using("local://2x1"):
        one = open_env(f"{held.__file__}:Counter", task)
        assert one.now(Act(one, "", kind="reset")).text == "0"
        assert one.now(Act(one, '{"name": "count", "arguments": {}}')).text == "1"
        for node in nodes()[:1]:  # the first host is its child
            node.process.kill()
            node.process.wait()
        others = [open_env(f"{held.__file__}:Counter", task) for _ in range(2)]
        assert [env.now(Act(env, "", kind="reset")).text for env in others] == ["0", "0"]
        nodes()[1].process.kill()
        with pytest.raises(Failed, match="gone"):
            others[0].now(Act(others[0], '{"name": "count", "arguments": {}}'))


@pytest.mark.skipif(sandbox.probe().level != "full", reason="programs need a sandbox")
def test_programs_there():
    event = Run("print(input()[::-1])", stdin="abc\n")
    with workers.using("local://2x1"):
        assert programs.run(event) == programs.here(event)
        ((_, child),) = programs._idle[-1:]
        assert programs.run(Run("def")).status == "malformed" and programs._idle[-1][1] is child
        for node in nodes()[:1]:
            node.process.kill()
            node.process.wait()
        assert programs.run(event).stdout == "cba\n"
        with pytest.raises(UserError, match="no language"):
            programs.run(Run("", language="none of these"))


def test_what_is_no_place():
    for spec in ("ray://", "cluster", "local://", "local://2x"):
        with pytest.raises(UserError, match="ray://HOST:PORT"):
            workers.checked(spec)
    if not find_spec("ray"):
        with pytest.raises(UserError, match=r"pip install 'sharpen\[ray\]'"), workers.using("ray://head:10001"):
            pass


@pytest.mark.skipif(not find_spec("ray"), reason="Ray is not installed")
def test_a_cluster(tmp_path):
    (tmp_path / "go").touch()
    with workers.using("ray://local"), Judges(partial(held.held, notes=str(tmp_path))) as judges:
        judges.submit("4", TASK, "4")
        assert judges.take("4")[0].outcome == "correct"
        ours = places._used[-1][1]
        handle = ours.spawn("import time; time.sleep(600)", [], [], {})
        handle.drop()
        with pytest.raises(workers.Gone):
            handle.read(5.0)
