"""The inputs of ../shared/cases/verify, in the style of public bug reports, each with the right outcome."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sharpen import sandbox
from sharpen.audit.offline import read_tasks, task_of
from sharpen.core import UserError
from sharpen.tasks import parse
from sharpen.verify import verify
from sharpen.verify.code import missing

CASES = Path(__file__).parents[3] / "shared/cases/verify"
EXPECTED = [json.loads(s) for s in (CASES / "expected.jsonl").read_text().splitlines()] if CASES.exists() else []
LEVEL = sandbox.probe().level

pytestmark = pytest.mark.skipif(not CASES.exists(), reason=f"{CASES} is not there")


def raw(name: str, id: str) -> bytes:
    return next(line for line in (CASES / name).read_bytes().splitlines() if json.loads(line)["id"] == id)


@pytest.mark.parametrize("case", EXPECTED, ids=lambda case: case["id"])
def test_a_case_of_a_bug_report_is_judged_right(case, tmp_path):
    line, response = raw("tasks.jsonl", case["id"]), json.loads(raw("responses.jsonl", case["id"]))["response"]
    if case["expected"] == "the line refused":
        (tmp_path / "tasks.jsonl").write_bytes(line)
        with pytest.raises(UserError, match="line 1"):
            read_tasks(tmp_path / "tasks.jsonl")
        return
    task = task_of(1, parse(line, "the case"), "the case").task
    if task.verifier == "code_io" and (absent := missing(str(task.data["language"]))):
        pytest.skip(absent)
    if task.verifier == "code_io" and LEVEL != "full":
        pytest.skip(f"the sandbox is only {LEVEL}")
    verdict = verify(task, response)
    assert verdict.outcome != "unscorable" and verdict.correct == (case["expected"] == "correct"), (case["why"], verdict)
