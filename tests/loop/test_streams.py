"""Streams: a stage for each task set, all measured in all of them; what carries over does so exactly, killed or not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from test_resume import SETTINGS, assert_same, in_turn, run_cases
from typer.testing import CliRunner

from sharpen.cli.program import app
from sharpen.core import UserError
from sharpen.loop import loop
from sharpen.recipes import catalog, streams
from sharpen.report import report
from sharpen.store.store import Store
from sharpen.terminal import terminal

STREAM = "chain_sum/1-2,spell_backward/1"
SMALL = [s for s in SETTINGS if not s.startswith(("samples", "prompts", "warmup"))]
BARE = ["student=micro", "precision=fp32", "test=3", "warmup_steps=0", "max_tokens=4", "lr=0.01"]
OWN = Path(__file__).with_name("stream_recipe.py")


def test_killed_is_never_killed_whatever_a_guard_keeps(tmp_path):
    """Before what a stage keeps is written, and after; in the midst of either set, and at the hand-over."""
    settings = [f"recipe={OWN}", *SMALL, "warmup_steps=0", "prompts=8", f"stream={STREAM}"]
    # Commits: the start; two rounds, the hand-over; two rounds, the hand-over, the end.
    kills = ["cleaned:1", "renamed:4", "cleaned:4", "written:5"]
    case = in_turn(kills)
    said = run_cases(tmp_path, settings, [case])
    assert said.count("killed 1") == len(kills), said
    assert_same(tmp_path / "whole", tmp_path / case.replace(":", "-"))
    with Store.open(tmp_path / "whole") as store:
        arms = store.rows(
            "SELECT DISTINCT r.step < 3 AS first, t.family FROM rollouts r JOIN tasks t ON t.id = r.task"
            " WHERE r.purpose = 'train' ORDER BY 1"
        )
        replayed = store.rows("SELECT count(*) FROM batches b JOIN rollouts r ON r.id = b.rollout WHERE r.step < b.step")
        assert [tuple(row) for row in arms] == [(0, "spell_backward"), (1, "chain_sum")] and replayed[0][0] > 0
        assert store.meta()["notes"]["step"] == 3
    past = load_file(tmp_path / "whole" / "past-1" / "past.safetensors")
    assert any(name.startswith("fisher:") and t.max() > 0 for name, t in past.items())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two sets of words with rules that a student of no size learns in a few steps."""
    folder = tmp_path_factory.mktemp("stream")
    words = [a + b for a in "abcd" for b in "abcdef"]
    for rule, of in (("first", 0), ("last", -1)):
        lines = [{"prompt": f"{rule} {w}", "answer": w[of], "solution": w[of], "family": rule} for w in words]
        (folder / f"{rule}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = f"{folder / 'first.jsonl'},{folder / 'last.jsonl'}"
    settings = [*BARE, "prompts=24", "validation=6", "round_steps=5", f"stream={text}"]
    loop.start(loop.Request("sft", tuple(settings), 0, "30steps", None, text, folder / "run"), terminal.Quiet())
    return folder


def test_the_matrix_is_what_was_measured_after_each_set(run):
    found = report.summary(run / "run")["stream"]
    with Store.open(run / "run") as store:
        begun, rounds = store.meta()["stages"], store.rounds()
        rows = {}
        for r in store.rows("SELECT round, family, n, correct FROM evaluations WHERE purpose = 'validation'"):
            rows.setdefault(r["round"], {})[r["family"]] = r["correct"] / r["n"]
    ends = [begun[1]["round"], rounds[-1]["round"]]
    assert found["sets"] == ["first", "last"] and found["arms"] == {"first": ["first/1"], "last": ["last/1"]}
    assert found["matrix"] == [[rows[n]["first"], rows[n]["last"]] for n in ends]
    assert found["start"] == [rows[0]["first"], rows[0]["last"]]
    assert [p["round"] for p in found["curve"]] == [r["round"] for r in rounds]
    matrix = np.array(found["matrix"])
    assert found["numbers"]["backward_transfer"] == pytest.approx(matrix[1, 0] - matrix[0, 0])
    assert [p["set"] for p in found["curve"]] == [None, *["first"] * 4, *["last"] * 3]
    page = report.render(run / "run").read_text()
    assert "What became of each task set?" in page and "after last" in page and "average accuracy at the end" in page


def test_what_no_stream_is_has_none_in_its_report(run, tmp_path):
    settings = [*BARE, "prompts=4", "validation=3"]
    where = loop.Request("sft", tuple(settings), 0, "1steps", None, str(run / "first.jsonl"), tmp_path / "run")
    loop.start(where, terminal.Quiet())
    assert report.summary(tmp_path / "run")["stream"] is None
    assert "What became of each task set?" not in report.render(tmp_path / "run").read_text()


def test_old_answers_that_another_verifier_judged_are_not_practised(run, tmp_path):
    """As after a run went on with a verifier that had changed."""
    import shutil
    import sqlite3
    from types import SimpleNamespace

    from sharpen.loop import lasting

    shutil.copytree(run / "run", tmp_path / "run")
    with sqlite3.connect(tmp_path / "run" / "run.db") as db:
        db.execute("UPDATE verdicts SET verifier_version = 'older' WHERE rollout IN (SELECT id FROM rollouts WHERE step < 5)")
    said: list[str] = []
    with Store.open(tmp_path / "run") as store:
        at, grown = SimpleNamespace(number=1, step=15), SimpleNamespace(repairs={})
        this = SimpleNamespace(at=at, store=store, grown=grown, progress=SimpleNamespace(say=said.append))
        found = lasting.earlier(this)
    assert found and {s.rollout.id[:7] for s in found} == {f"s{step:06d}" for step in range(5, 15)}
    assert "another version of their verifier" in said[0]


def test_a_model_for_a_preference_is_drawn_from_the_posteriors_of_a_run(run, tmp_path):
    import shutil

    import torch
    from safetensors.torch import save_file

    from sharpen.store import checkpoints

    shutil.copytree(run / "run", tmp_path / "run")
    with Store.open(tmp_path / "run") as store:
        state = load_file(store.checkpoint_path(store.last_commit().accepted) / "model.safetensors")
    past = {f"mean{k}:{n}": torch.full_like(t, k) for n, t in state.items() for k in (0, 1)}
    past |= {f"variance{k}:{n}": torch.full_like(t, 1e-12) for n, t in state.items() for k in (0, 1)}
    (tmp_path / "run" / "past-1").mkdir()
    save_file(past | {"stage:": torch.tensor([0, 1])}, tmp_path / "run" / "past-1" / "past.safetensors")
    checkpoints.stamp(tmp_path / "run" / "past-1")
    words = ["merge", str(tmp_path / "out"), str(tmp_path / "run"), "--how", "posterior", "--share", "0", "--share", "1"]
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0, found.output
    made = load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.allclose(t, torch.ones_like(t), atol=1e-4) for t in made.values())
    none = CliRunner().invoke(app, ["merge", str(tmp_path / "more"), str(run / "run"), "--how", "posterior"])
    assert none.exit_code == 2 and "No posterior is kept" in none.output


# ---------------------------------------------------------------------------------------------------- values and mistakes


def test_a_stream_is_stages_that_share_all_but_their_arms():
    made = catalog.build("sft", [f"stream={STREAM}", "lr=0.5", "2.lr=0.25", "budget=10steps"])
    assert [s.name for s in made.stages] == ["chain_sum_1_2", "spell_backward_1"]
    assert [s.arms for s in made.stages] == [("chain_sum/1", "chain_sum/2"), ("spell_backward/1",)]
    assert [s.recipe.lr for s in made.stages] == [0.5, 0.25] and [s.share for s in made.stages] == [0.5, 0.5]
    again = catalog.build("rewarm", [f"stream={STREAM},lcm", "budget=10steps"])
    assert [s.recipe.lr_end for s in again.stages] == [0.1, 0.1, 0.1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chain_sum", "two task sets or more, one after the other, and this is 1"),
        ("gcd,gcd", "names gcd twice"),
        ("gcd/1-2,gcd/2", "gcd/2 is in gcd_1_2 and in gcd_2"),
        ("gcd,lcmm", "lcmm"),
    ],
)
def test_what_is_no_stream_is_refused(text, said):
    with pytest.raises(UserError, match=said):
        catalog.build("sft", [f"stream={text}"])


@pytest.mark.parametrize("name", ["ewc", "online_ewc", "ibcl"])
def test_too_few_steps_for_what_a_guard_keeps_are_refused_before_the_first_one(name):
    whole = [f"stream={STREAM}", "prompts=4"]
    assert catalog.build(name, [*whole, "budget=8steps"]) and catalog.build(name, [*whole, "budget=10s"])
    with pytest.raises(
        UserError, match="spell_backward_1 needs 16 answers that chain_sum_1_2 learnt from, and 3 steps of 4 x 1"
    ):
        catalog.build(name, [*whole, "budget=6steps"])
    with pytest.raises(UserError, match="samples=15: a Fisher estimate needs 16"):
        catalog.build(name, [*whole, "budget=8steps", "samples=15"])


def test_a_recipe_with_stages_takes_no_stream():
    with pytest.raises(UserError, match="has stages already: sft, dpo, rl"):
        catalog.build("tulu", [f"stream={STREAM}"])


def test_a_guard_without_a_stream_is_refused_on_the_command_line(tmp_path):
    found = CliRunner().invoke(app, ["run", "ewc", "--tasks", "gcd", "--run-dir", str(tmp_path / "run")])
    assert found.exit_code == 2 and "--stream a.jsonl,b.jsonl" in found.output and not (tmp_path / "run").exists()
    both = CliRunner().invoke(app, ["run", "ewc", "--tasks", "gcd", "--stream", "gcd,lcm"])
    assert both.exit_code == 2 and "Leave one out" in both.output


def test_names_of_sets():
    assert streams.named(["x/a.jsonl", "b.csv", "gcd,lcm", "3d", "y/a.jsonl"]) == ["a", "b", "gcd_lcm", "set_3d", "a_5"]
