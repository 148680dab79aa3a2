"""What a run needs of others is missed before a model is loaded or anything measured, and is told in a sentence."""

from __future__ import annotations

import http.server
import json
import socket
import threading
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
        rows = [{"prompt": f"Say {i}.", "answer": str(i), **row} for i in range(40)]
        file.write_text("".join(json.dumps({k: v for k, v in one.items() if v is not None}) + "\n" for one in rows))
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


def test_a_judge_that_can_judge_nothing_is_named_with_what_it_said(started, monkeypatch):
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            said = b'{"error": {"message": "900 tokens of prompt are more than the context of 512"}}'
            self.send_response(400)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *said):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        monkeypatch.setenv("SHARPEN_JUDGE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        monkeypatch.setenv("SHARPEN_JUDGE_MODEL", "small")
        with pytest.raises(UserError, match="none of the 3 tasks .* more than the context of 512. Serve a larger"):
            started(verifier="judge")
        server.shutdown()


def test_a_warm_up_that_has_nothing_to_show(started):
    rubric = dict(verifier="rubric", rubric=[{"kind": "contains", "value": "Ada"}], answer=None)
    with pytest.raises(UserError, match="neither solutions nor answers, .* --set warmup_steps=0"):
        started(**rubric)
    with pytest.raises(AssertionError, match="a model was made first"):
        started(**rubric, solution="Ada!")


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
