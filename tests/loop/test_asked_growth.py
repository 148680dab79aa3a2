"""`sharpen grow`: tasks from a run's failures as a file, labels in dispute as another, and the run left as it was."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from test_resume import SETTINGS

from sharpen import audit
from sharpen.core import UserError
from sharpen.loop import asked_growth, loop
from sharpen.tasks import decisions, parse_spec
from sharpen.terminal import terminal

OWN = str(Path(__file__).with_name("growers.py"))
ROLES = ("proposer=growers:wrong_teacher", "judge=growers:right_judge")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of the recipe grpo, which grows nothing, of four steps."""
    directory = tmp_path_factory.mktemp("asked") / "run"
    loop.start(loop.Request("grpo", tuple(SETTINGS), 3, "4steps", None, "chain_sum/1-2", directory), terminal.Quiet())
    return directory


def test_tasks_and_disputes_become_files_that_are_read_and_decided(run, tmp_path):
    before = (run / "run.db").read_bytes()
    made = asked_growth.grow(run, 12, terminal.Quiet(), OWN, ["grower=written", "tries=0"], ROLES, trusted=True)
    out = tmp_path / "new.jsonl"
    said = asked_growth.write(made, out)
    assert (run / "run.db").read_bytes() == before and len(made.tasks) == 12 and len(said) == 2
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(line["parents"] and line["operator"] and line["split"] == "train" for line in lines)
    source = parse_spec(str(out))
    assert sum(source.size(arm, "train") for arm in source.arms) == 12
    beside = tmp_path / "new.disputes.jsonl"
    disputed = [json.loads(line) for line in beside.read_text().splitlines()]
    assert disputed and len(decisions.unused(beside)) == len(disputed) == made.figures()["disputes"]
    assert not {line["prompt"] for line in lines} & {line["prompt"] for line in disputed}
    audit.decide(beside, [f"{disputed[0]['id']}=right"])
    assert len(decisions.unused(beside)) == len(disputed) - 1


def test_without_a_proposer_the_families_own_programs_make_tasks(run):
    made = asked_growth.grow(run, 6, terminal.Quiet(), trusted=True)
    assert made.failures and made.weaknesses and made.figures()["refused"] is not None
    assert all(task.operator and task.parents for task, _, _ in made.tasks)


def test_what_cannot_be_is_said(run, tmp_path):
    with pytest.raises(UserError, match="grows nothing"):
        asked_growth.grow(run, 6, terminal.Quiet(), "grpo", trusted=True)
    with pytest.raises(UserError, match="nobody is bound"):
        asked_growth.grow(run, 6, terminal.Quiet(), OWN, ["grower=written"], trusted=True)
    empty = asked_growth.Made()
    assert asked_growth.write(empty, tmp_path / "none.jsonl") == [f"0 tasks in {tmp_path / 'none.jsonl'}"]
    with pytest.raises(UserError, match="cannot be written"):
        asked_growth.write(dataclasses.replace(empty), tmp_path / "no" / "folder.jsonl")
