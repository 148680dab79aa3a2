"""The server as clients meet it: OpenAI's shapes, errors too, streams, token ids and log-probabilities; and real clients."""

from __future__ import annotations

import http.client
import importlib.util
import io
import json
import os
import subprocess
import sys
import threading

import pytest
import torch

from sharpen import tasks
from sharpen.cli import serving
from sharpen.core import Ask, Sampling, UserError
from sharpen.models import embedded
from sharpen.models.endpoint import EndpointPolicy
from sharpen.rollouts import Asking, asking
from sharpen.serve import app, chat, opened
from sharpen.store import Store
from sharpen.terminal import listening

LACKING = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
NEEDED = pytest.mark.skipif(bool(LACKING), reason=f"{' and '.join(LACKING)} not installed")
QUESTION = [{"role": "user", "content": "2 + 2 ="}]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    place = tmp_path_factory.mktemp("served") / "student"
    torch.manual_seed(0)
    model, tokenizer = embedded.build("micro", tasks.parse_spec("chain_sum/1"), 0)
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    asking.write(Asking(system="Be brief.", prompt_suffix="Answer now.", max_tokens=12), place)
    return place


@pytest.fixture(scope="module")
def address(directory):
    at = listening("127.0.0.1", 0)
    started, got = threading.Event(), []
    ready = lambda server: (got.append(server), started.set())  # noqa: E731
    thread = threading.Thread(target=app.serve, args=(opened(directory, precision="fp32"), at, 60.0, True, ready), daemon=True)
    thread.start()
    assert started.wait(900)
    yield at.getsockname()
    got[0].should_exit = True
    thread.join(900)
    with Store.open(directory / "served") as store:
        rows = store.rows("SELECT prompt, n_sampled, length(tokens), length(logprobs), settings FROM served")
    assert rows and all(row[2] > 4 * row[1] == row[3] for row in rows)  # int32 of prompt and answer, float32 of the answer
    assert any("Be brief." in row["prompt"] and "2 + 2 =" in row["prompt"] for row in rows)


def ask(address, path, body=None, method=None):
    connection = http.client.HTTPConnection(*address, timeout=600)
    connection.request(method or ("POST" if body is not None else "GET"), path, body and json.dumps(body).encode())
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    return reply.status, text.decode()


def good(address, path, **body):
    status, text = ask(address, f"/v1/{path}", body)
    assert status == 200, text
    return json.loads(text)


@NEEDED
def test_models_and_a_conversation_asked_as_it_was_trained(address, directory):
    (listed,) = json.loads(ask(address, "/v1/models")[1])["data"]
    assert listed["id"] == "student" and listed["object"] == "model"
    found = good(address, "chat/completions", messages=QUESTION, temperature=0, n=2, return_token_ids=True)
    one, two = found["choices"]
    assert one["message"] == two["message"] and one["message"]["role"] == "assistant"
    here = opened(directory)
    told = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2 =\n\nAnswer now."})
    assert found["prompt_token_ids"] == here.policy.prompt_tokens(Ask(told)).tolist()
    (turn,) = here.policy.respond([Ask(told)], [0], 12, Sampling(temperature=0))
    assert one["token_ids"] == turn.tokens[turn.sampled].tolist() and one["message"]["content"] == turn.text
    sizes = len(found["prompt_token_ids"]), 2 * len(one["token_ids"])
    assert (found["usage"]["prompt_tokens"], found["usage"]["completion_tokens"]) == sizes


@NEEDED
def test_token_ids_in_and_out_with_log_probabilities(address, directory):
    ids = opened(directory).policy.encode("2 + 2 = 4").tolist()
    body = dict(prompt=[ids, ids[:3]], max_tokens=3, temperature=0, logprobs=1, echo=True, return_token_ids=True)
    first, second = good(address, "completions", **body)["choices"]
    assert first["prompt_token_ids"] == ids and len(first["token_ids"]) == 3 and second["index"] == 1
    logprobs = first["logprobs"]
    assert (
        len(logprobs["tokens"]) == len(ids) + 3
        and logprobs["token_logprobs"][0] is None
        and logprobs["top_logprobs"][0] is None
    )
    assert all(max(top.values()) >= p for top, p in list(zip(logprobs["top_logprobs"], logprobs["token_logprobs"]))[1:])
    assert logprobs["text_offset"][0] == 0 and first["text"].startswith("2 + 2 = 4")
    only = good(address, "completions", prompt=ids, max_tokens=0, echo=True, logprobs=0)["choices"][0]  # scored, not answered
    assert only["logprobs"]["token_logprobs"][1:] == pytest.approx(logprobs["token_logprobs"][1 : len(ids)], abs=1e-4)


@NEEDED
def test_a_stream_says_what_the_whole_says(address):
    body = dict(messages=QUESTION, seed=5, max_tokens=30, n=2)
    whole = good(address, "chat/completions", **body)
    status, text = ask(address, "/v1/chat/completions", {**body, "stream": True, "stream_options": {"include_usage": True}})
    events = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert status == 200 and events[-1] == "[DONE]"
    *pieces, usage = map(json.loads, events[:-1])
    for i in range(2):
        mine = [piece["choices"][0] for piece in pieces if piece["choices"][0]["index"] == i]
        assert "".join(piece["delta"]["content"] for piece in mine) == whole["choices"][i]["message"]["content"]
        assert mine[0]["delta"]["role"] == "assistant" and len(mine) > 1
        assert [piece["finish_reason"] for piece in mine if piece["finish_reason"]] == [whole["choices"][i]["finish_reason"]]
    assert usage["choices"] == [] and usage["usage"] == whole["usage"]


REFUSALS = [
    ({"messages": []}, 400, "messages"),
    ({"messages": QUESTION, "temperature": -1}, 400, "temperature"),
    ({"messages": QUESTION, "temperature": True}, 400, "temperature"),
    ({"messages": QUESTION, "n": 10**6}, 400, "n"),
    ({"messages": QUESTION, "top_p": 0}, 400, "top_p"),
    ({"messages": QUESTION, "max_tokens": 10**6}, 400, "max_tokens"),
    ({"messages": QUESTION, "stop": [""]}, 400, "stop"),
    ({"messages": QUESTION, "temprature": 1}, 400, "temprature"),
    ({"messages": QUESTION, "logit_bias": {"1": 5}}, 400, "logit_bias"),
    ({"messages": QUESTION, "top_logprobs": 3}, 400, "top_logprobs"),
    ({"messages": QUESTION, "model": "other"}, 404, "model"),
    ({"messages": [{"role": "user", "content": 3}]}, 400, "messages"),
    ([1], 400, None),
]


@NEEDED
@pytest.mark.parametrize("body, status, param", REFUSALS, ids=lambda v: json.dumps(v)[:40])
def test_what_cannot_be_is_refused_in_openais_shape(body, status, param, address):
    found, text = ask(address, "/v1/chat/completions", body)
    said = json.loads(text)["error"]
    assert found == status and said["param"] == param and said["message"] and said["type"] == "invalid_request_error"


@NEEDED
def test_other_ways_of_getting_it_wrong(address):
    for path, body, method, status in (
        ("/v1/nothing", None, "GET", 404),
        ("/v1/completions", None, "GET", 405),
        ("/v1/completions", {"prompt": [10**9]}, "POST", 400),
        ("/v1/completions", {"prompt": ""}, "POST", 400),
        ("/v1/models/other", None, "GET", 404),
    ):
        found, text = ask(address, path, body, method)
        assert found == status and json.loads(text)["error"]["message"], text


@NEEDED
def test_a_role_of_a_recipe_may_be_this_server(address):
    role = EndpointPolicy(f"http://{address[0]}:{address[1]}/v1", "student")
    role.reach()
    asks = [Ask(tuple(QUESTION)), Ask(tuple(QUESTION))]
    one, two = role.respond(asks, [4, 4], 8, Sampling())
    assert one.stop in ("end", "length") and one.text == two.text


@NEEDED
def test_a_key_is_wanted_where_one_is_set(directory, monkeypatch):
    monkeypatch.setenv(app.KEY, "secret")
    given = type("Request", (), {"headers": {"authorization": "Bearer secret"}})
    app.allowed(given, "secret")
    for wrong in ({}, {"authorization": "Bearer other"}, {"authorization": "Bearer s\u00e9"}):
        with pytest.raises(app.Refused) as refusal:
            app.allowed(type("Request", (), {"headers": wrong}), "secret")
        assert refusal.value.status == 401


def test_a_port_in_use_and_a_library_that_lacks_are_said_with_the_cure():
    with listening("127.0.0.1", 0) as at, pytest.raises(UserError, match="--port"):
        listening("127.0.0.1", at.getsockname()[1])
    if LACKING:
        with pytest.raises(UserError, match=r"pip install 'sharpen\[serve\]'"):
            app.require()


def test_a_conversation_works_piped(directory):
    said: list[str] = []
    lines = ["2 + 2 =\n", "\n", "/reset\n", "2 + 2 =\n", "/nonsense\n", "/system Shout.\n", "x" * 3000, "/quit\n", "never\n"]
    chat(opened(directory, ["temperature=0"]), lines, said.append)
    text = "".join(said)
    first, second = text.split("(forgotten)\n")
    assert second.startswith(first) and "/reset forgets" in text and "longer than the model's context" in text


def test_what_is_no_text_in_a_message_is_no_error(monkeypatch):
    for encoding, errors in (("utf-8", "strict"), ("ascii", "surrogateescape")):
        given = io.TextIOWrapper(io.BytesIO(b"one\ntw\xff\nthree"), encoding, errors)
        monkeypatch.setattr("sys.stdin", given)
        assert list(serving.lines()) == ["one\n", "tw\ufffd\n", "three"]


@NEEDED
@pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="openai is not installed")
def test_the_official_client(address):
    import openai

    client = openai.OpenAI(base_url=f"http://{address[0]}:{address[1]}/v1", api_key="none", max_retries=0)
    how = dict(model="student", messages=QUESTION, max_tokens=9, temperature=0)
    whole = client.chat.completions.create(**how, logprobs=True, top_logprobs=2)
    pieces = client.chat.completions.create(**how, stream=True)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == whole.choices[0].message.content
    assert len(whole.choices[0].logprobs.content[0].top_logprobs) == 2
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="other", prompt="x")
    client.close()


def harness(*argv, cwd):
    env = {
        **os.environ,
        "SHARPEN_API_KEY": "none",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    done = subprocess.run([sys.executable, "-m", *argv], cwd=cwd, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


@NEEDED
@pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed")
def test_lm_eval_measures_over_the_wire(address, directory, tmp_path):
    (tmp_path / "d.jsonl").write_text('{"q": "2 + 2 =", "c": ["4", "5"], "gold": 0}\n')
    (tmp_path / "mc.yaml").write_text(
        f"task: mc\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path}/d.jsonl}}}}\ntest_split: test\n"
        "output_type: multiple_choice\ndoc_to_text: '{{q}}'\ndoc_to_target: gold\ndoc_to_choice: '{{c}}'\n"
        "metric_list: [{metric: acc}]\n"
    )
    url = f"http://{address[0]}:{address[1]}/v1/completions"
    model = f"model=student,base_url={url},tokenizer={directory},tokenizer_backend=huggingface"
    where = ("--include_path", str(tmp_path), "--tasks", "mc")
    said = harness("lm_eval", "run", "--model", "local-completions", "--model_args", model, *where, cwd=tmp_path)
    assert "|mc" in said.replace(" ", "")


@NEEDED
@pytest.mark.skipif(importlib.util.find_spec("inspect_ai") is None, reason="inspect-ai is not installed")
def test_inspect_asks_over_the_wire(address, tmp_path, monkeypatch):
    monkeypatch.setenv("SHARPEN_BASE_URL", f"http://{address[0]}:{address[1]}/v1")
    (tmp_path / "sums.py").write_text(
        "from inspect_ai import Task, task\nfrom inspect_ai.dataset import Sample\nfrom inspect_ai.scorer import includes\n"
        "from inspect_ai.solver import generate\n\n\n@task\ndef sums():\n"
        "    return Task(dataset=[Sample(input='2 + 2 =', target='4')], solver=generate(), scorer=includes())\n"
    )
    how = ("--model", "openai-api/sharpen/student", "--max-tokens", "8", "--display", "plain")
    assert "accuracy" in harness("inspect_ai", "eval", "sums.py", *how, cwd=tmp_path)
