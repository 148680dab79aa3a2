"""Tune and evolve on real runs of the smallest student: equal budget, halves, one report, and nothing made twice."""

from __future__ import annotations

import itertools
import json

import pytest
from typer.testing import CliRunner

from sharpen.cli.program import app
from sharpen.core import UserError
from sharpen.outer import evolve, runs, tuning
from sharpen.recipes import catalog
from sharpen.store import Store
from sharpen.terminal import terminal

SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_steps=6", "warmup_rows=8", "warmup_demos=4", "warmup_lr=0.004"),
    *("prompts=4", "samples=4", "round_steps=1", "validation=4", "test=4", "max_tokens=6"),
)
QUIET = terminal.Quiet()


@pytest.fixture(scope="module")
def echo(tmp_path_factory) -> str:
    """Say what you were told: one to three letters."""
    path = tmp_path_factory.mktemp("echo") / "echo.jsonl"
    words = ["".join(w) for n in (1, 2, 3) for w in itertools.product("abc", repeat=n)]
    path.write_text("".join(json.dumps({"prompt": f"Echo {w}", "answer": w, "family": "echo"}) + "\n" for w in words))
    return str(path)


def steps_of(directory):
    with Store.open(directory, write=False) as store:
        return sum(s["phase"] == "loop" for s in store.steps())


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, echo):
    """Four candidates, of which one goes on from a third of the budget to all of it."""
    plan = tuning.Plan(
        "grpo", "lr,temperature", trials=4, by="random", budget="3steps", rungs=2, confirm=1, tasks=echo, settings=SETTINGS
    )
    root = tmp_path_factory.mktemp("tuned")
    return root, plan, tuning.tune(root / "t", plan, QUIET)


def test_the_best_third_goes_on_and_all_begin_from_one_warm_up(tuned):
    root, _, found = tuned
    spent = {p.name: steps_of(p) for p in (root / "t" / "runs").iterdir()}
    trials = [n for name, n in spent.items() if name.startswith("01-t")]
    assert sorted(trials)[:2] == [1, 1] and max(trials) == 3 and len(trials) == 4
    warm = list((root / "t" / "warmups").iterdir())
    assert len({w.name.partition("-")[0] for w in warm}) == len(warm)  # one a seed
    assert len(found["trials"]) == 4 and found["trials"][0]["by"] == "base"


def test_it_ends_with_a_recipe_file_and_does_nothing_twice(tuned):
    root, plan, found = tuned
    built = catalog.build(found["file"])
    assert all(f"{getattr(built, k):g}" == v for k, v in found["values"].items())
    lines = (root / "t" / "history.jsonl").read_bytes()
    again = tuning.tune(root / "t", plan, QUIET)
    assert again == found and (root / "t" / "history.jsonl").read_bytes() == lines
    with pytest.raises(UserError, match="another search: trials"):
        tuning.tune(root / "t", tuning.Plan("grpo", "lr,temperature", trials=5), QUIET)


def test_what_may_not_be_tuned_is_said(echo, tmp_path):
    for over, why in (
        ("verify=exact|math", "would not be fair"),
        ("lr", "both set and tuned"),
        ("nonsense=1..2", "no setting"),
    ):
        plan = tuning.Plan("grpo", over, trials=2, by="random", tasks=echo, settings=(*SETTINGS, "lr=0.001"))
        with pytest.raises(UserError, match=why):
            tuning.base_of(plan)
    with pytest.raises(UserError, match="in steps"):
        listed = runs.trials(runs.Setting(tmp_path, "2m", (0,), None, echo, SETTINGS), "x", "grpo", (), (0,))
        runs.stops_after(listed[-1], 0.5)


def test_a_number_can_depend_on_how_long_a_run_lasts():
    values = {"lr": "0.001", "lr^N": "-0.5", "temperature": "1"}
    assert tuning.settled(values, 40.0, (20, 80)) == {"lr": "0.001", "temperature": "1"}
    assert tuning.settled(values, 160.0, (20, 80))["lr"] == "0.0005"
    assert tuning.lifetimes("20..80", "es") == (20, 80)
    for text, by in (("20", "es"), ("80..20", "es"), ("20..80", "gp")):
        with pytest.raises(UserError):
            tuning.lifetimes(text, by)


def test_options_of_another_kind_of_search_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for words, said in (
        (["tune", "grpo", "--over", "lr", "--for", "cost"], "--for does nothing with a recipe"),
        (["tune", str(tmp_path), "--over", "top_p", "--seeds", "2"], "--seeds does nothing with a finished model"),
        (["suite", str(tmp_path), "--suite", "continual", "-n", "4"], "-n does nothing with --suite continual"),
    ):
        found = CliRunner().invoke(app, words)
        assert found.exit_code == 2 and said in found.output, found.output


def test_a_root_that_keeps_nothing_is_said_to_tell_nothing(tmp_path, echo):
    """The ratchet wants more of a rise than a step of four prompts can show; `always` keeps whatever comes."""
    said: list[str] = []
    for guard in ("always", "ratchet"):
        setting = runs.Setting(tmp_path / guard, "1steps", (0,), tasks=echo, settings=(*SETTINGS, f"guard={guard}"))
        found = runs.measured(setting, "root", "grpo", (), seeds=(0,))
        said.append(runs.blind(found, "1steps") or "")
    assert said[0] == "" and "keeps none of its rounds" in said[1] and "guard=always" in said[1]


def test_an_evolution_tries_what_it_changes_and_goes_on_where_it_was(tmp_path, echo):
    plan = evolve.Plan("grpo", most=2, each="1steps", by="dgm", confirm=0, tasks=echo, settings=SETTINGS)
    found = evolve.evolve(tmp_path / "e", plan, QUIET)
    tried = [m for m in found["members"][1:] if m["trials"]]
    assert len(found["members"]) == 3 and all(m["trials"] == 1 or m["failed"] for m in found["members"][1:])
    assert all(0 <= m["score"] <= 1 for m in tried)
    lines = (tmp_path / "e" / "history.jsonl").read_bytes()
    assert evolve.evolve(tmp_path / "e", plan, QUIET) == found and (tmp_path / "e" / "history.jsonl").read_bytes() == lines
    assert catalog.build(found["file"])
    page = (tmp_path / "e" / "evolve.html").read_text()
    assert "Who came from whom?" in page and str(found["members"][-1]["number"]) in page
