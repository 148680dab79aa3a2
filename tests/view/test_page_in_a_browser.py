"""The page in a real browser: it opens, shows what is new by itself, takes a decision, and does nothing that a text tells it
to."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_view import ATTACK, CLAIM, META, evaluate, make, question, sample, steps

import browsing
from sharpen.core import Arm, ArmStats
from sharpen.store import Position, Store, asked
from sharpen.terminal import listening
from sharpen.view import app

LACKING = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(LACKING), reason=f"{' and '.join(LACKING)} not installed")


@pytest.fixture(scope="module")
def tab(tmp_path_factory) -> Iterator[browsing.Tab]:
    with browsing.chromium(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@contextmanager
def served(*runs: Path) -> Iterator[app.Site]:
    at = listening("127.0.0.1", 0)
    site = app.site_of(runs, at.getsockname()[1])
    started, servers = threading.Event(), []
    thread = threading.Thread(
        target=app.serve, args=(site, at, lambda server: (servers.append(server), started.set())), daemon=True
    )
    thread.start()
    assert started.wait(900)
    yield site
    servers[0].should_exit = True
    thread.join(900)


def text(tab, selector: str) -> str:
    return tab.run(f"document.querySelector({selector!r})?.innerText ?? ''")


def test_it_opens_updates_and_decides(tab, tmp_path):
    run = make(tmp_path / "run")
    with served(run) as site:
        home = f"http://127.0.0.1:{site.port}"
        tab.open(f"{home}/run")
        assert "Open the address" in text(tab, "main")  # no token yet
        tab.open(app.address(site))
        assert tab.run("location.href") == f"{home}/run"  # the one run there is; and no token is left in the address
        assert (
            "50.0" in text(tab, ".fig.main") and "stopped" in text(tab, "#head") and "mismatch grows" in text(tab, "#findings")
        )
        assert tab.run("[...document.querySelectorAll('.map td b')].map(b => b.innerText)") == ["75", "25"]
        with Store.open(run, write=True) as store:  # a round more
            steps(store, 8, 4, 3)
            evaluate(
                store, 3, {question_arm: marks for question_arm, marks in ((Arm("add", 1), "1111"), (Arm("sort", 2), "0111"))}
            )
            store.add_decision(3, make_better())
            store.commit(Position("loop", 12, 3))
        tab.until(lambda: "87.5" in text(tab, ".fig.main"))
        assert "round 3" in text(tab, "#head") and tab.console == []
        tab.open(f"{home}/run/labels")
        tab.run("document.querySelector('.dispute input[name=label]').value = '5'")
        tab.run("document.querySelector('.dispute input[name=who]').value = 'Ada'")
        tab.run("document.querySelector('.dispute button[value=edit]').click()")
        tab.until(lambda: "takes this in" in text(tab, ".said"))
        assert "edit: 5" in text(tab, "main table") and "Ada" in text(tab, "main table")
        assert [(a.subject, a.label, a.who) for a in asked.listed(run, "dispute")] == [(CLAIM.id, "5", "Ada")]
        assert tab.console == [] and all(url.startswith(home) for url in tab.asked)


def make_better():
    from sharpen.core import Decision

    return Decision("better", "accepted: it rose", {})


def test_a_search_goes_on_by_itself_and_every_page_fits_a_phone(tab, tmp_path):
    run = make(tmp_path / "run")
    with served(run) as site:
        home = f"http://127.0.0.1:{site.port}"
        tab.open(app.address(site))
        tab.size(375, 800, 2, mobile=True)
        for path in ("", "/rollouts", "/rollouts/s000003.000.000", "/compare", "/lineage?of=sort/2", "/labels"):
            tab.open(f"{home}/run{path}")
            assert tab.run("document.documentElement.scrollWidth") == 375, path
            assert tab.console == [], path
        tab.send("Emulation.clearDeviceMetricsOverride")
        # A page that has found nothing, and has earlier rollouts to look through, goes on.
        tab.open(f"{home}/run/rollouts?text=question+0&before=3")
        tab.run("history.replaceState(null, '', '/run/rollouts')")
        link = "<tr class=further><td><a data-further=none href='/run/rollouts?purpose=train&before=40'>on</a></td></tr>"
        tab.run(f"document.getElementById('found').innerHTML = {link!r}; goOn()")
        tab.until(lambda: tab.run("document.querySelectorAll('#found tr').length") == 17)  # 16 rollouts, and how far it came
        assert tab.console == []


def test_a_phone_shows_what_runs_are_worth_without_scrolling(tab, tmp_path):
    with served(make(tmp_path / "one"), make(tmp_path / "a-run-of-a-long-name-that-nobody-would-break")) as site:
        tab.size(400, 800, 2, mobile=True)
        tab.open(app.address(site))
        ends = "[...document.querySelectorAll('.runs td.num')].filter(e => e.innerText.includes('50.0'))"
        assert tab.run(f"{ends}.length") == 2 and tab.run(f"{ends}.every(e => e.getBoundingClientRect().right <= 400)")
        tab.send("Emulation.clearDeviceMetricsOverride")


def test_hostile_text_does_nothing(tab, tmp_path):
    plain = ATTACK.replace("\ud800", "")
    arm = Arm(plain, 1)
    with Store.create(tmp_path / "run", {**META, "recipe": plain}) as store:
        task = question(arm, 0)
        store.add_samples("train", 0, 1, [sample(task, "s000000.000.000", "wrong", ATTACK)])
        store.add_arm_stats([ArmStats(0, arm, 1, 0, 0.0, 1)])
        store.add_step(0, "loop", 1, {"reward": 0.0})
        evaluate(store, 0, {arm: "10"})
        store.add_decision(0, make_better())
        store.add_rows("disputes", [(1, task.id, plain, plain)])
        store.commit(Position("loop", 1, 1))
    with served(tmp_path / "run") as site:
        tab.open(app.address(site))
        for path in ("", "/rollouts", "/rollouts/s000000.000.000", "/labels", "/compare", f"/lineage?of={task.id}"):
            tab.open(f"http://127.0.0.1:{site.port}/run{path}")
            tab.until(lambda: tab.run("document.querySelector('#head .strip') !== null"))
            assert tab.run("document.title") == "run · sharpen", path
            assert tab.run("[document.querySelectorAll('script').length, document.images.length]") == [1, 0], path
            assert tab.console == [], path
        # The second lock: the same text put in unescaped neither runs nor loads anything.
        tab.run(f"document.querySelector('main').innerHTML = {plain!r}; document.images.length")
        tab.until(lambda: any("Content Security Policy" in line for line in tab.console))
        assert tab.run("document.title") == "run · sharpen"
