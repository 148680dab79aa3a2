"""Roles in whole runs: bound before the first step, asked, learning beside the student, killed and resumed with it."""

from __future__ import annotations

import http.server
import itertools
import json
import threading

import numpy as np
import pytest
from test_resume import SETTINGS, assert_same, in_turn, run_cases

from sharpen.core import Role, UserError
from sharpen.loop import loop
from sharpen.models import roles as casting
from sharpen.models.endpoint import EndpointPolicy
from sharpen.recipe import opening
from sharpen.recipes import catalog
from sharpen.store import Store
from sharpen.terminal import Quiet

PROPOSER = '''
"""A partner that proposes a first step, and learns which proposals the student makes something of."""
from dataclasses import replace
from functools import partial
from scripted_roles import paid
from sharpen.core import Ask, Role
from sharpen.objectives import policy_gradient
from sharpen.recipes.policy_gradient import grpo


def proposed(task):
    hint = yield Ask(task.prompt, role="proposer", max_tokens=4)
    asked = {**task.prompt[-1], "content": f"{task.prompt[-1]['content']} {hint.text}"}
    return (yield Ask((*task.prompt[:-1], asked)))


def recipe(**knobs):
    partner = Role("proposer", bound="start", objective=partial(policy_gradient.reinforce, baseline=True), lr=1e-3)
    return replace(grpo.recipe(**knobs), rollout=proposed, verify=paid, roles=(partner,))
'''


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    path = tmp_path_factory.mktemp("echo") / "echo.jsonl"
    words = ["".join(w) for n in (1, 2, 3) for w in itertools.product("abc", repeat=n)]
    path.write_text("".join(json.dumps({"prompt": f"Echo {w}", "answer": w, "family": "echo"}) + "\n" for w in words))
    return str(path)


def request(recipe, tasks, directory, *roles, settings=()):
    return loop.Request(recipe, (*SETTINGS, *settings), 3, "4steps", None, tasks, directory, roles=roles)


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PROPOSER)
    return str(path)


def test_a_proposer_learns_beside_the_student_and_its_words_are_not_the_students(echo, mine, tmp_path):
    loop.start(request(mine, echo, tmp_path / "run", settings=("guard=always",)), Quiet())
    with Store.open(tmp_path / "run") as store:
        steps = [s for s in store.steps() if s["phase"] == "loop"]
        assert all("proposer_loss" in s and 0 <= s["proposer_reward"] <= 1 for s in steps)
        samples = store.read_rollouts("train")
        path = store.checkpoint_path(store.last_commit().accepted)
    for sample in samples:
        (theirs,) = [turn for turn in sample.rollout.others if turn.author == "proposer"]
        assert theirs.text in sample.rollout.task.prompt[0]["content"] + theirs.text and len(sample.rollout.turns) == 1
        assert sample.rollout.sampled.sum() == sum(s.stop - s.start for s in sample.rollout.spans if not s.author)
    assert {t.version for s in samples for t in s.rollout.others} == {0, 1, 2, 3}  # four updates of its own
    own, student = (path / name / "model.safetensors" for name in ("roles/proposer", "."))
    assert own.is_file() and own.read_bytes() != student.read_bytes()


@pytest.mark.parametrize(
    ("guard", "kills"), [("always", ("saved:2", "renamed:3", "committed:3")), ("ratchet", ("committed:3",))]
)
def test_killed_at_any_commit_a_learning_role_goes_on_as_if_never_killed(mine, tmp_path, guard, kills):
    """With the ratchet, rounds are taken back to the first checkpoint, which is older than the role's own weights."""
    case = in_turn(kills)
    said = run_cases(tmp_path, [*SETTINGS, f"guard={guard}", f"recipe={mine}"], [case])
    assert said.count("killed 1") == len(kills)
    assert_same(tmp_path / "whole", tmp_path / case.replace(":", "-"))


def test_a_scripted_judge_judges(echo, tmp_path):
    loop.start(request("self_judge", echo, tmp_path / "run", "judge=scripted_roles:strict_judge"), Quiet())
    with Store.open(tmp_path / "run") as store:
        samples = store.read_rollouts("train")
        assert samples and {s.verdict.rule for s in samples} == {"judged by judge"}
        assert all(s.verdict.correct == (s.rollout.response.strip() == s.rollout.task.answer) for s in samples)


def test_a_judge_that_says_nothing_stops_the_run_with_its_words(echo, tmp_path):
    from sharpen.core import FatalDiagnosis

    with pytest.raises(FatalDiagnosis, match="neither yes nor no"):
        loop.start(request("self_judge", echo, tmp_path / "run", "judge=scripted_roles:noncommittal"), Quiet())


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("jugde=student", "Did you mean 'judge'"),
        ("judge", "say who it is"),
        ("judge=", "say who it is"),
        ("judge=nowhere", "no such directory"),
        ("judge=.", "this directory is no model"),
        ("judge=nowhere:f", "cannot be imported"),
        ("judge=scripted_roles:nobody", "no function 'nobody'"),
        ("judge=http://127.0.0.1:9/v1", "model's name is missing"),
        ("judge=http://127.0.0.1:9/v1#m", "gives no answer"),
    ],
)
def test_a_role_that_cannot_be_is_refused_before_anything_is_measured(role, said, echo, tmp_path):
    with pytest.raises(UserError, match=said):
        loop.start(request("self_judge", echo, tmp_path / "run", role), Quiet())
    if (tmp_path / "run" / "run.db").exists():
        with Store.open(tmp_path / "run") as store:
            assert store.last_commit() is None


WITH_ROLES = [info.name for info in catalog.recipes() if opening(catalog.build(info.name)).roles]


@pytest.mark.parametrize("name", WITH_ROLES)
def test_roles_keep_to_the_contract(name, tmp_path):
    """Of every recipe: each has a name of its own and gives what can be given; who is missing, or is not there, is named before
    the first step, with the option that binds him."""
    roles = opening(catalog.build(name)).roles
    assert len({role.name for role in roles}) == len(roles)
    assert all(role.gives in ("words", "logprobs", "distributions", "scores") and role.seconds > 0 for role in roles)

    def refused(*bound: str) -> str:
        settings = "student=micro", "precision=fp32", "warmup_steps=1"
        with pytest.raises(UserError) as stopped:
            loop.start(loop.Request(name, settings, 0, "40steps", None, None, tmp_path / "run", roles=bound), Quiet())
        assert not (tmp_path / "run" / "run.db").exists()
        return str(stopped.value)

    if free := [role.name for role in roles if not role.bound]:
        assert f"the role {free[0]!r}, and nobody is bound to it. Bind it with --role {free[0]}=" in refused()
    for role in roles:
        others = tuple(f"{other.name}=student" for other in roles if other is not role and not other.bound)
        said = refused(*others, f"{role.name}=no/such/place")
        assert "no/such/place" in said or f"{role.name!r}" in said, said


@pytest.mark.parametrize(
    ("role", "said"),
    [
        (Role("teacher", gives="distributions"), "nobody is bound"),
        (Role("teacher", gives="distributions", bound="student"), "cannot be the student"),
        (Role("teacher", gives="distributions", bound="http://x/v1#m"), "gives words only"),
        (Role("value", gives="logprobs", bound="scripted_roles:strict_judge"), "gives words only"),
        (Role("proposer", bound="student", objective=dict), "learns already"),
        (Role("proposer", bound="http://x/v1#m", objective=dict), "no weights here"),
    ],
)
def test_what_a_role_cannot_give_is_said(role, said):
    with pytest.raises(UserError, match=said):
        casting.check(role)


class Server(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible server that counts the messages it is sent; to "hang" it gives no answer, to "prose" no JSON."""

    over = threading.Event()  # the test is

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        last = body["messages"][-1]["content"]
        if last == "hang":
            self.over.wait(900)
        reply = {"choices": [{"message": {"content": f"{len(body['messages'])} {last}"}, "finish_reason": "stop"}]}
        content = b"<html>" if last == "prose" else json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *given):
        """Says nothing."""


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    Server.over.clear()
    yield f"http://127.0.0.1:{made.server_port}/v1"
    Server.over.set()
    made.shutdown()
    made.server_close()


def test_a_server_answers_goes_on_with_a_conversation_and_fails_one_at_a_time(server):
    from sharpen.core import GREEDY, Ask

    policy, hasty = EndpointPolicy(server, "any", seconds=900.0), EndpointPolicy(server, "any", seconds=0.5)
    policy.reach()
    asks = {text: Ask(({"role": "user", "content": text},)) for text in ("hé", "prose", "hang")}
    first, prose = policy.respond([asks["hé"], asks["prose"]], [0, 2], 8, GREEDY)
    (slow,) = hasty.respond([asks["hang"]], [1], 8, GREEDY)
    assert (first.text, first.stop) == ("1 hé", "end") and slow.stop == prose.stop == "failed"
    assert "deadline" in slow.text and "no chat completion" in prose.text
    (second,) = policy.respond([Ask(({"role": "user", "content": "more"},), after=first)], [3], 8, GREEDY)
    assert second.text == "3 more" and first.sampled.sum() == len(json.dumps("1 hé"))
    assert np.array_equal(second.tokens[: len(first.tokens) - 1], first.tokens[:-1])


def test_a_judge_behind_a_server_is_asked_by_a_run(server, echo, tmp_path):
    """It repeats what it was asked, which says "yes or no": nothing to go by."""
    from sharpen.core import FatalDiagnosis

    with pytest.raises(FatalDiagnosis, match="neither yes nor no"):
        loop.start(request("self_judge", echo, tmp_path / "run", f"judge={server}#any"), Quiet())
