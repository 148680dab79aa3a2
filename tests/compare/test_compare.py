"""Comparisons: the same table whether killed or not, runs like any other, fair turns, and mistakes told in words."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import compared_run
import jsonschema
import pytest
from test_resume import assert_same
from typer.testing import CliRunner

import prefork
from sharpen.cli import program
from sharpen.compare import page as compare_page
from sharpen.compare import result, runner, workers
from sharpen.compare.runner import Trial, contender
from sharpen.core import Arm, Decision, Evaluation, UserError
from sharpen.guard import control
from sharpen.loop import loop
from sharpen.loop.session import Request
from sharpen.store import database
from sharpen.store.store import Position, Store
from sharpen.terminal import tables, terminal


@pytest.fixture(scope="module")
def echo(tmp_path_factory) -> str:
    """Say what you were told: one to three letters."""
    path = tmp_path_factory.mktemp("echo") / "echo.jsonl"
    words = ["".join(w) for n in (1, 2, 3) for w in itertools.product("abc", repeat=n)]
    lines = [{"prompt": f"Echo {w}", "answer": w, "family": "echo"} for w in words]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


@pytest.fixture(scope="module")
def killed(tmp_path_factory, echo) -> Path:
    """The same comparison twice: never disturbed, and killed again and again."""
    root = tmp_path_factory.mktemp("killed")
    assert compared(root, echo, "1") >= 4
    return root


def compared(root: Path, tasks: str, *numbers: str) -> int:
    """What compared_run.py does, and prints: how often it was killed."""
    return int(prefork.run(Path(compared_run.__file__), str(root), tasks, *numbers))


def figures(directory: Path) -> dict:
    """A comparison's result without what the clock and the place decide."""
    found = result.result(directory, runner.read_plan(directory))
    for row in found["contenders"]:
        row["seconds"] = row["to_target"]["seconds"] = None
        for run in row["runs"]:
            run["directory"] = None
            run["curve"] = [[*p[:3], p[4]] for p in run["curve"]]
    return found


def test_killed_and_gone_on_with_is_never_killed(killed):
    whole, cut = figures(killed / "whole"), figures(killed / "killed")
    assert whole["finished"] and whole == cut
    runs = sorted((killed / "whole" / "runs").iterdir())
    assert len(runs) == 6 and len(list((killed / "whole" / "warmups").iterdir())) == 4
    for run in runs:
        with Store.open(run) as store:  # every round was a turn of its own, and one more for the test split
            turns = store.rows("SELECT count(DISTINCT session) FROM timings")[0][0]
            assert turns == len(store.rounds()) + 1 >= 4, run.name
        assert_same(run, killed / "killed" / "runs" / run.name)


def test_a_trial_is_the_run_that_the_command_would_have_made(killed, echo, tmp_path):
    """Beginning from a copy, and pausing after every round, changes no bit. The budget counts tokens, exactly."""
    asked = runner.read_plan(killed / "whole")
    request = runner.request(asked, asked.contenders[1], 1, tmp_path / "alone")
    loop.start(request, terminal.Quiet())
    trial = killed / "whole" / "runs" / "02-rft-lr=0.002-curriculum=pcl-1"
    assert_same(trial, tmp_path / "alone")
    with Store.open(trial) as store:
        tokens = [s["tokens"] for s in store.steps() if s["phase"] == "loop"]
        assert runner.totals(store)["tokens"] == sum(tokens) >= 350 > sum(tokens[:-1])


def test_what_is_finished_is_not_made_again_and_another_question_is_refused(killed, echo):
    directory = killed / "whole"
    before = {path: path.stat().st_mtime_ns for path in directory.glob("runs/*/checkpoints/*/*")}
    asked = runner.read_plan(directory)
    runner.compare(directory, asked, terminal.Quiet())
    assert before == {path: path.stat().st_mtime_ns for path in directory.glob("runs/*/checkpoints/*/*")}
    with pytest.raises(UserError, match="holds another comparison: seeds differ"):
        runner.compare(directory, replace(asked, seeds=(0,)), terminal.Quiet())
    with database.locked(directory), pytest.raises(UserError, match="in use by process"):
        runner.compare(directory, asked, terminal.Quiet())


NUMBER = {"type": ["number", "null"]}
ESTIMATE = {
    "type": "object",
    "required": ["value", "ci95", "n"],
    "properties": {"value": NUMBER, "ci95": {"type": ["array", "null"], "items": {"type": "number"}, "maxItems": 2}},
}
VERSUS = {
    "type": "object",
    "required": ["value", "ci95", "p", "p_corrected", "verdict", "says"],
    "properties": {"verdict": {"enum": ["better", "worse", "no difference shown"]}, "p": {"type": "number", "maximum": 1}},
}
ROW = {
    "type": "object",
    "required": ["name", "accuracy", "gain", "area", "to_target", "tokens", "steps", "seconds", "versus", "runs", "complete"],
    "properties": {
        "accuracy": ESTIMATE,
        "area": ESTIMATE,
        "to_target": {"required": ["reached", "of", "at_start", "share", "steps", "tokens", "seconds"]},
        "tokens": NUMBER,
        "versus": {"type": ["object", "null"], "required": ["accuracy", "area"], "additionalProperties": VERSUS},
        "runs": {"items": {"required": ["seed", "directory", "before", "accuracy", "area", "reached", "curve"]}},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["budget", "seeds", "student", "tasks", "target", "finished", "contenders", "notes"],
    "properties": {"contenders": {"type": "array", "items": ROW}, "notes": {"items": {"type": "string"}}},
}


def test_json_and_page_of_a_finished_comparison(killed):
    shown = CliRunner().invoke(program.app, ["compare", "--run-dir", str(killed / "whole"), "--json"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    jsonschema.validate(found, SCHEMA)
    assert "NaN" not in shown.stdout
    first, *others = found["contenders"]
    assert first["versus"] is None and all(set(row["versus"]) == {"accuracy", "area"} for row in others)
    assert [note for note in found["notes"] if "a warm-up of its own" in note and "average" in note]
    page = (killed / "whole" / "compare.html").read_text()
    assert page.count("<h1>") == 1 and "<script" not in page and "http" not in page.split("</style>")[1]
    assert all(row["name"] in page for row in found["contenders"])
    table = CliRunner().invoke(program.app, ["compare", "--run-dir", str(killed / "whole"), "--target", "1"]).stdout
    assert "not reached (0 of 2)" in table or "(1 of 2)" in table
    assert "rft:lr=0.002:curriculum=pcl: " in table and " grpo: " in table and table.splitlines()[-1].endswith("compare.html")


def test_so_far_shows_what_is_finished_and_goes_on_with_nothing(killed, tmp_path):
    there = tmp_path / "stopped"
    shutil.copytree(killed / "whole", there)
    gone = sorted((there / "runs").iterdir())[-1]
    shutil.rmtree(gone)
    shown = CliRunner().invoke(program.app, ["compare", "--run-dir", str(there), "--so-far", "--trust", "--json"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    assert not found["finished"] and not gone.exists()
    assert sum(len(row["runs"]) for row in found["contenders"]) == len(list((there / "runs").iterdir()))


def test_side_by_side_is_as_one_after_the_other(tmp_path, echo):
    asked = replace(compared_run.plan(echo, ("grpo", "rloo"), 1, "4steps"), threads=1)
    runner.compare(tmp_path / "alone", asked, terminal.Quiet(), slice_s=0.0)
    total = compared(tmp_path, echo, "1", "0")
    assert compared(tmp_path, echo, "1", str(total)) == 1
    assert figures(tmp_path / "alone") == figures(tmp_path / "whole") == figures(tmp_path / "killed")


def test_what_a_worker_raises_is_raised_here_a_dead_one_is_noticed_and_the_other_ends_in_good_order(monkeypatch):
    """Also where a shell has put them into the background: what `command &` starts from a script ignores Ctrl-C, and so would
    its workers the signal that ends them."""
    monkeypatch.setattr(workers, "PATIENCE", 200.0)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with workers.workers(2, 1) as submit:
            children = multiprocessing.active_children()
            with pytest.raises(UserError, match="no unit"):
                submit(control.parse_budget, "10").result(timeout=900)
            with pytest.raises(UserError, match="work side by side died"):
                submit(os._exit, 7).result(timeout=900)
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(child.exitcode for child in children) == [0, 7]


def test_the_loops_own_time_is_what_its_budget_counts(tmp_path, echo):
    asked = compared_run.plan(echo, ("grpo",), 1, "0.1s")
    runner.compare(tmp_path / "c", asked, terminal.Quiet())
    with Store.open(tmp_path / "c" / "runs" / "01-grpo-0") as store:
        work = "phase IN ('curriculum', 'generate', 'verify', 'learn')"
        spent = [s for (s,) in store.rows(f"SELECT sum(seconds) FROM timings WHERE {work} GROUP BY step ORDER BY step")]
        assert store.meta()["request"]["budget"] == "0.1s loop"
    assert sum(spent) >= 0.1 > sum(spent[:-1])


def test_what_diverges_or_is_stopped_is_told_and_the_others_go_on(tmp_path, echo):
    asked = compared_run.plan(echo, ("grpo", "sft:lr=1e30:samples=1"), 1, "4steps")
    runner.compare(tmp_path / "c", asked, terminal.Quiet())
    found = result.result(tmp_path / "c", asked)
    grpo, sft = found["contenders"]
    assert grpo["complete"] and not sft["complete"] and sft["versus"] is None and sft["accuracy"]["value"] is None
    assert [note for note in found["notes"] if "the doctor stopped it: batch_not_finite" in note and "lower --set lr" in note]
    assert "Not compared" in compare_page.html(tmp_path / "c", found)
    runner.compare(tmp_path / "c", asked, terminal.Quiet())  # and it is not tried again


def test_a_warm_up_that_diverges_is_told_too(tmp_path, echo):
    asked = compared_run.plan(echo, ("grpo", "sft:warmup_lr=1e30"), 1, "4steps")
    runner.compare(tmp_path / "c", asked, terminal.Quiet())
    found = result.result(tmp_path / "c", asked)
    grpo, sft = found["contenders"]
    assert grpo["complete"] and not sft["complete"] and sft["area"]["value"] is None and sft["runs"][0]["curve"] == []
    assert [note for note in found["notes"] if "batch_not_finite" in note and "lower --set warmup_lr" in note]
    assert "Not compared" in compare_page.html(tmp_path / "c", found)
    tables.show_comparison(found)


def test_a_recipe_that_shows_answers_is_measured_without_them(tmp_path, echo):
    asked = compared_run.plan(echo, ("sft",), 1, "1steps")
    runner.compare(tmp_path / "c", asked, terminal.Quiet())
    with Store.open(tmp_path / "c" / "runs" / "01-sft-0") as store:
        forced = "SELECT count(*) FROM rollouts WHERE purpose IN ('before', 'validation', 'test') AND n_sampled = 0"
        assert store.rows(forced)[0][0] == 0
        assert store.evaluation(0, "validation").accuracy < 1


# Turns.


def trial(name: str, seed: int, origin: str | None = "warm") -> Trial:
    origin_path = Path(f"{origin}-{seed}") if origin else None
    return Trial(name, Request(seed=seed, directory=Path(f"{name}-{seed}")), control.Budget("steps", 4), origin_path)


def test_what_is_furthest_behind_goes_next_after_its_warm_up_and_seed_by_seed():
    warm, a, b, later = trial("warm", 0, None), trial("a", 0), trial("b", 0), trial("a", 1)
    next_warm = trial("warm", 1, None)
    spent = {warm: 0.0, a: 0.0, b: 0.0, next_warm: 0.0, later: 0.0}
    assert runner.following(spent, set()) == warm
    assert runner.following(spent, {warm}) == next_warm  # nothing of seed 0 can begin
    spent[warm] = 1.0
    assert runner.following(spent, set()) == a
    spent[a] = 0.3
    assert runner.following(spent, set()) == b
    spent[b] = 0.31
    assert runner.following(spent, set()) == a and runner.following(spent, {a}) == b
    assert runner.following(spent, {a, b}) == next_warm
    assert runner.following(dict.fromkeys(spent, 1.0), set()) is None


# Figures.

ARM = Arm("f", 1)


def outcome(*accuracies: float, shares: tuple[float, ...] = (0.0, 0.5, 1.0), stopped: str | None = None):
    """A run on ten tasks whose curve stands at these accuracies, a multiple of a tenth each."""
    of = [Evaluation({ARM: tuple(i < round(10 * a) for i in range(10))}) for a in accuracies]
    points = [result.Point(x, int(10 * x), int(100 * x), 60 * x, e) for x, e in zip(shares, of)]
    return result.Outcome(0, Path("run"), stopped, of[0], of[-1], points, len(of) - 1, len(of) - 1)


def test_a_curve_is_that_of_the_kept_weights_over_what_the_loop_used(tmp_path):
    def solved(n: int) -> Evaluation:
        return Evaluation({ARM: tuple(i < n for i in range(10))})

    with Store.create(tmp_path / "run", {}) as store:
        store.add_step(0, "warmup", 0, {"tokens": 1000})
        store.add_timing("warmup", 50.0, 0)
        steps = ((1, 1, 10), (2, 1, 30), (3, 2, 20), (4, 3, 40))  # step, round, tokens
        for step, number, tokens in steps:
            store.add_step(step, "loop", number, {"tokens": tokens})
            store.add_timing("learn", 1.0, step)
            store.add_timing("generate", 0.5, step)
            store.add_timing("evaluate", 9.0, step)  # not the method's own work
        for number, (n, answer) in enumerate(((2, "better"), (9, "worse"), (6, "better"), (5, "better"))):
            store.add_evaluation(number, "validation", solved(n))
            store.add_decision(number, Decision(answer, "because"))
        store.add_evaluation(0, "before", solved(1))
        store.add_evaluation(3, "test", solved(4))
        store.commit(Position("done", 5, 3, finished=True))
    found = result.read(tmp_path / "run", 7, control.Budget("tokens", 200))
    assert [(p.share, p.steps, p.tokens, p.seconds) for p in found.curve] == [
        (0.0, 0, 0, 0.0),
        (0.2, 2, 40, 3.0),
        (0.3, 3, 60, 4.5),
        (0.5, 4, 100, 6.0),
    ]
    assert [p.kept.accuracy for p in found.curve] == [0.2, 0.2, 0.6, 0.5]  # the first round was rolled back
    assert (found.before.accuracy, found.after.accuracy, found.rounds, found.kept, found.whole) == (0.1, 0.4, 3, 2, True)
    in_time = result.read(tmp_path / "run", 7, control.Budget("loop seconds", 12.0))
    assert [p.share for p in in_time.curve] == [0, 0.25, 0.375, 0.5]


def test_the_area_is_that_of_the_trapezoids_with_the_last_value_held():
    one = result.area(outcome(0.2, 0.4, 0.8).curve)
    # 0.5 * (0.2 + 0.4) / 2 + 0.5 * (0.4 + 0.8) / 2 = 0.15 + 0.30
    assert one[ARM].mean() == pytest.approx(0.45)
    early = result.area(outcome(0.2, 0.4, shares=(0.0, 0.5)).curve)
    assert early[ARM].mean() == pytest.approx(0.5 * 0.3 + 0.5 * 0.4)


def test_not_reached_is_later_than_any_time():
    never, late, early = outcome(0.1, 0.2, 0.2), outcome(0.1, 0.2, 0.5), outcome(0.1, 0.5, 0.4)
    found = result.to_target([never, late, early], 0.5)
    assert (found["reached"], found["of"], found["steps"], found["seconds"]) == (2, 3, 10, 60)
    assert result.to_target([never, never, early], 0.5) == dict(
        reached=1, of=3, at_start=0, share=None, steps=None, tokens=None, seconds=None
    )


def test_a_target_that_was_met_before_the_first_step_is_no_time():
    met, late = outcome(0.5, 0.6), outcome(0.1, 0.6)
    found = result.to_target([met, late, met], 0.5)
    assert (found["reached"], found["at_start"], found["steps"], found["seconds"]) == (3, 2, None, None)


def test_names_of_contenders():
    assert contender("grpo") == runner.Contender("grpo", "grpo", ())
    assert contender("grpo:lr=1e-3:samples=4").settings == ("lr=1e-3", "samples=4")
    assert contender("a:b/mine:lr=1").recipe == "a:b/mine"
    assert contender("grpo:as_control=even:lr=1") == runner.Contender("grpo:lr=1 [even]", "grpo", ("lr=1",), "even")
    assert runner.slug("a/b.py:lr=1e-3") == "a-b.py-lr=1e-3"


def test_fresh_seeds_are_another_comparison():
    given = ("4steps", 2, None, None, (), 1)
    places, plans = zip(*(runner.plan(["grpo", "rloo"], *given, first_seed=first) for first in (None, 0, 3)), strict=True)
    assert [made.seeds for made in plans] == [(0, 1), (0, 1), (3, 4)]
    assert places[0] == places[1] != places[2]


def test_a_setting_of_its_own_stands_before_the_one_for_all(echo):
    asked = compared_run.plan(echo, ("grpo", "grpo:lr=0.5"), 1, "4steps")
    assert [recipe.lr for recipe in runner.check(asked)] == [0.003, 0.5]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["grppo"], "Did you mean 'grpo'?"),
        (["grpo", "rloo:sampels=4"], "Did you mean 'samples'?"),
        (["grpo", "grpo"], "come out the same"),
        (["grpo", "grpo:samples=4"], "come out the same"),
        (["grpo", "rloo:budget=40steps"], "budget is the same for all"),
        (["grpo", "rloo:tasks=chain_sum"], "--tasks"),
        (["grpo", "rloo:test=3"], "test is the same for all"),
        (["grpo", "code_quickstart"], "cannot be compared"),
        (["grpo", "rloo", "--budget", "10m40steps"], "not a number and a unit"),
        (["grpo", "rloo", "--budget", "10"], "has no unit"),
        (["grpo", "rloo", "--seeds", "0"], "--seeds"),
        (["grpo", "rloo", "--jobs", "0"], "--jobs"),
        (["grpo", "rloo", "--target", "50"], "--target"),
        (["grpo", "rloo", "--model", "nowhere"], "nowhere"),
        (["grpo", "rloo", "--tasks", "nowhere.jsonl"], "nowhere.jsonl"),
        (["grpo", "rloo", "--set", "promts=4"], "Did you mean 'prompts'?"),
        (["grpo", "nowhere.py"], "nowhere.py"),
        ([], "Name recipes"),
        (["--run-dir", "nowhere"], "holds no comparison"),
        (["--run-dir", "nowhere", "--seeds", "2"], "Name recipes"),
    ],
)
def test_mistakes_are_told_in_words_and_leave_nothing_behind(argv, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(program.app, ["compare", *argv])
    assert done.exit_code == 2, done.output
    assert says in done.stderr and "Traceback" not in done.stderr and done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_holds_something_else_is_left_alone(tmp_path, echo):
    (tmp_path / "thesis.txt").write_text("mine")
    asked = compared_run.plan(echo, ("grpo", "rloo"), 1, "4steps")
    with pytest.raises(UserError, match="is not empty and holds no comparison"):
        runner.compare(tmp_path, asked, terminal.Quiet())
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "compare.json").write_text('{"contenders": 3}')
    with pytest.raises(UserError, match="cannot be read as a comparison"):
        runner.read_plan(tmp_path / "broken")


def test_a_copy_of_another_warm_up_is_refused(killed, echo, tmp_path):
    asked = runner.read_plan(killed / "whole")
    request = runner.request(asked, asked.contenders[0], 7, tmp_path / "run")
    origin = next((killed / "whole" / "warmups").glob("0-*"))
    with pytest.raises(UserError, match="warmed up in another way"):
        loop.start(request, terminal.Quiet(), origin=origin)
    assert not (tmp_path / "run").exists()


def test_a_role_goes_to_the_recipes_that_have_it(echo, tmp_path):
    def plan(*roles):
        return runner.plan(("grpo", "self_judge"), "4steps", 1, None, echo, compared_run.SETTINGS, 1, tmp_path, roles=roles)[1]

    asked = plan("judge=scripted_roles:strict_judge")
    assert [recipe.roles[0].bound for recipe in runner.check(asked)[1:]] == ["scripted_roles:strict_judge"]
    alone, judged = (runner.request(asked, one, 0, tmp_path) for one in asked.contenders)
    assert alone.roles == () and judged.argv[-2:] == ("--role", "judge=scripted_roles:strict_judge")
    assert runner.check(plan())[1].roles[0].bound == "student"
    with pytest.raises(UserError, match="no recipe of this comparison has a role"):
        runner.check(plan("teacher=student"))
