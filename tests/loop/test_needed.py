"""What a run needs of others is missed before a model is loaded or anything measured, and is told in a sentence."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sharpen.core import UserError
from sharpen.loop import loop, needed
from sharpen.models import embedded
from sharpen.recipes import catalog
from sharpen.tasks import parse_spec
from sharpen.terminal import terminal


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Starts a run on tasks of one row; no model is ever made."""

    def unwanted(*given, **more):
        raise AssertionError("a model was made first")

    monkeypatch.setattr(loop, "build_policy", unwanted)

    def start(engines=(), **row):
        file = tmp_path / "tasks.jsonl"
        file.write_text("".join(json.dumps({"prompt": f"Say {i}.", "answer": str(i), **row}) + "\n" for i in range(40)))
        request = loop.Request("grpo", ("student=micro",), 0, "1steps", None, str(file), tmp_path / "run", engines=engines)
        loop.start(request, terminal.Quiet())

    return start


@pytest.mark.parametrize(
    "row",
    [{"verifier": "judge"}, {"verifier": "rubric", "rubric": [{"kind": "judge", "value": "Is it polite?"}]}],
)
def test_a_judge_that_nobody_named_or_that_is_not_there(started, monkeypatch, row):
    monkeypatch.delenv("SHARPEN_JUDGE_URL", raising=False)
    with pytest.raises(UserError, match="SHARPEN_JUDGE_URL is not set"):
        started(**row)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setenv("SHARPEN_JUDGE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        monkeypatch.setenv("SHARPEN_JUDGE_MODEL", "any")
        with pytest.raises(UserError, match="cannot be reached"):
            started(**row)


def test_engines_that_are_not_there(started):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(UserError, match="No engine answers there"):
            started(engines=(f"http://127.0.0.1:{taken.getsockname()[1]}",))
    with pytest.raises(UserError, match="this is no address"):
        started(engines=("localhost:8000",))


def test_where_nobody_is_asked_no_judge_is_missed(started, monkeypatch):
    monkeypatch.delenv("SHARPEN_JUDGE_URL", raising=False)
    with pytest.raises(AssertionError, match="a model was made first"):
        started()


def test_a_directory_that_holds_a_run(started, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.db").touch()
    with pytest.raises(UserError, match="already holds a run"):
        started()


def test_a_teacher_with_other_tokens(tmp_path):
    made = {spec: embedded.build("micro", parse_spec(spec), 0)[1] for spec in ("chain_sum/1", "spell_backward/1")}
    made["spell_backward/1"].save_pretrained(tmp_path)
    recipe = catalog.build("forward_kl")
    recipe = replace(recipe, roles=tuple(replace(role, bound=str(tmp_path)) for role in recipe.roles))
    needed.kin(recipe, SimpleNamespace(tokenizer=made["spell_backward/1"]))
    with pytest.raises(UserError, match="cannot be the teacher"):
        needed.kin(recipe, SimpleNamespace(tokenizer=made["chain_sum/1"]))
