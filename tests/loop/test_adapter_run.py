"""A run of adapters commits them alone, and whoever takes a model out of it gets a whole one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from test_resume import SETTINGS, assert_same, run_cases
from typer.testing import CliRunner

from sharpen.cli import app
from sharpen.core import UserError
from sharpen.models import load_model
from sharpen.serve.opened import opened
from sharpen.store import Position, Store, database

CASES = ["committed:2", "renamed:3", "events:5"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Runs of the embedded student, one of them undisturbed."""
    place = tmp_path_factory.mktemp("adapters")
    said = run_cases(place, [*SETTINGS, "recipe=grpo", "lora=2", "guard=always", "average=0.5"], CASES)
    assert not [line for line in said.splitlines() if line.endswith("killed 0")], said
    return place


@pytest.fixture
def run(place, tmp_path) -> Path:
    return shutil.copytree(place / "whole", tmp_path / "moved" / "run")


def accepted(run: Path) -> Path:
    with Store.open(run) as store:
        return store.verified(store.last_commit().accepted)


def export(*given: object):
    return CliRunner().invoke(app, ["export", *map(str, given)])


def test_killed_and_resumed_it_is_the_same_run(place):
    for case in CASES:
        assert_same(place / "whole", place / case.replace(":", "-"))


def test_a_commit_holds_the_adapter_and_says_what_it_lies_on(run):
    names = {file.name for file in accepted(run).iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "base.json", "optimizer.safetensors"} <= names
    assert not {"model.safetensors", "config.json", "tokenizer.json"} & names
    told = json.loads((accepted(run) / "base.json").read_text())
    assert told["path"] == "" and str(run) not in json.dumps(told), "it moves with the run"
    base = load_model(run / "base")[0].state_dict()
    model = load_model(accepted(run))[0].state_dict()
    assert base.keys() == model.keys() and any(not torch.equal(base[n], model[n]) for n in base)


def test_what_is_taken_out_of_it_is_a_whole_model_or_the_adapter(run, tmp_path):
    model = load_model(accepted(run))[0].state_dict()
    done = export(run, tmp_path / "model")
    assert done.exit_code == 0 and not (tmp_path / "model" / "base.json").exists(), done.output
    merged = load_model(tmp_path / "model")[0].state_dict()
    assert all(torch.equal(merged[n], t) for n, t in model.items())
    done = export(run, tmp_path / "adapter", "--adapter")
    assert done.exit_code == 0 and f"It lies on {run / 'base'}" in done.output, done.output
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(run / "base")
    again = load_model(tmp_path / "adapter")[0].state_dict()
    assert all(torch.equal(again[n], t) for n, t in model.items())
    answering = opened(run).policy.model.state_dict()
    assert all(torch.equal(answering[n].float(), t.to(answering[n].dtype).float()) for n, t in model.items())
    assert "a file with the whole model" in export(run, tmp_path / "a.gguf", "--adapter").output


def test_a_copy_of_the_run_takes_the_base_with_it(run, tmp_path):
    with Store.open(run) as store:
        meta = store.meta()
    database.branch(run, tmp_path / "branch", meta)
    shutil.rmtree(run)
    load_model(accepted(tmp_path / "branch"))


@pytest.mark.parametrize("name", ["checkpoint", "base"])
def test_a_flipped_byte_is_found_wherever_it_is(run, tmp_path, name):
    file = accepted(run) / "adapter_model.safetensors" if name == "checkpoint" else run / "base" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)
    done = export(run, tmp_path / "model")
    assert done.exit_code == 2 and file.name in done.output and not (tmp_path / "model").exists(), done.output
    with pytest.raises(UserError, match=file.name):
        opened(run)


def test_a_run_of_whole_weights_has_no_adapter(tmp_path):
    with Store.create(tmp_path / "run", {}) as store:
        store.commit(Position("loop", 1, 0, accepted="this"), lambda path: (path / "model.safetensors").write_bytes(b"whole"))
    assert "it trains whole weights" in export(tmp_path / "run", tmp_path / "out", "--adapter").output
