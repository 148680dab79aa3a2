"""Learnt rewards in whole runs: beside the verifier, learning with the student, killed and resumed with it."""

from __future__ import annotations

import itertools
import json

import pytest
from test_resume import SETTINGS, assert_same, run_cases

from sharpen.audit.learnt import HACKERS
from sharpen.loop import loop
from sharpen.store import Store
from sharpen.terminal import Quiet


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    path = tmp_path_factory.mktemp("echo") / "echo.jsonl"
    words = ["".join(w) for n in (1, 2, 3) for w in itertools.product("abc", repeat=n)]
    path.write_text("".join(json.dumps({"prompt": f"Echo {w}", "answer": w, "family": "echo"}) + "\n" for w in words))
    return str(path)


def test_killed_at_any_commit_a_reward_model_goes_on_as_if_never_killed(tmp_path):
    cases = ("committed:3",)
    said = run_cases(tmp_path, [*SETTINGS, "guard=always", "recipe=outcome_rm"], cases)
    assert "killed 0" not in said
    for case in cases:
        assert_same(tmp_path / "whole", tmp_path / case.replace(":", "-"))


def test_the_reward_is_the_models_and_the_outcome_the_verifiers(echo, tmp_path):
    loop.start(loop.Request("outcome_rm", (*SETTINGS, "guard=always"), 3, "4steps", None, echo, tmp_path / "run"), Quiet())
    with Store.open(tmp_path / "run") as store:
        steps = [s for s in store.steps() if s["phase"] == "loop"]
        assert all(s["reward_lessons"] == 16 and s["reward_loss"] > 0 for s in steps)
        train, held = store.read_rollouts("train"), store.read_rollouts("validation")
        path = store.checkpoint_path(store.last_commit().accepted)
    first, later = ([s.verdict for s in train if s.rollout.id.startswith(f"s{n:06d}")] for n in (6, 9))
    assert {v.reward for v in first} == {0.5} and len({v.reward for v in later}) > 1  # a fresh head prefers nothing
    assert all(v.outcome in ("correct", "wrong", "malformed") and v.parts["learnt"] == v.reward for v in first + later)
    assert all("learnt" in s.verdict.parts for s in held)
    assert (path / "roles" / "reward" / "head.safetensors").is_file()
    with Store.open(tmp_path / "run") as store:
        audits = store.meta()["audits"]
    assert [row["round"] for row in audits] == [1, 2] and all(row["calibration"]["n"] == len(held) // 3 for row in audits)
    assert {act["name"] for act in audits[-1]["gallery"]} == set(HACKERS)
