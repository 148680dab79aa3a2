"""Engines elsewhere: what they write is what this process would have written; weights are published with proof; faults have
names."""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import resource
import socket
import threading
import time

import numpy as np
import pytest
import torch

from sharpen import tasks
from sharpen.core import Ask, FatalDiagnosis, Sampling, UserError
from sharpen.engines import Served, meeting, pool, publish, routes, wire
from sharpen.hashing import derive
from sharpen.models import LocalPolicy, embedded
from sharpen.models.engine import generate
from sharpen.serve import contract, engine_routes, faults

HOW = Sampling(temperature=0.8)
ALL = tuple(contract.GENERATING.values())
ASKS = [Ask(({"role": "user", "content": f"{i // 2} + 2 ="},)) for i in range(6)]


def student(lora: int = 0) -> LocalPolicy:
    torch.manual_seed(0)
    return LocalPolicy(*embedded.build("micro", tasks.parse_spec("chain_sum/1"), 0), "fp32", lora=lora, device="cpu")


@contextlib.contextmanager
def engines(*given: str, routes=ALL):
    """A server of the student for each fault; "" has none."""
    servers = [contract.Server(contract.Engine(student(), "student", fault, routes)).begin() for fault in given]
    try:
        yield servers
    finally:
        for server in servers:
            server.stop()
            wire.close(server.url)


@contextlib.contextmanager
def served(servers, place, named="127.0.0.1", **how):
    urls = [s.url.replace("127.0.0.1", named) for s in servers]  # by another name, the lock of this machine is another one
    found = Served(urls, place / "published", seconds=60.0, **how)
    try:
        yield found
    finally:
        found.close()


def learn(policy: LocalPolicy, step: int) -> None:
    """The weights become others, a little."""
    rng = torch.Generator().manual_seed(step)
    policy.put([t + 0.01 * torch.randn(t.shape, generator=rng) for t in policy.trained.values()])
    policy.version += 1


def answers(policy: LocalPolicy, step: int):
    turns = policy.respond(ASKS, [derive(7, step, str(i)) for i in range(len(ASKS))], 8, HOW)
    return [(t.tokens.tolist(), t.logprobs.tolist(), t.stop, t.text, t.version) for t in turns]


def steps(policy: LocalPolicy, n: int, first: int = 0) -> list:
    found = []
    for step in range(first, first + n):
        found.append(answers(policy, step))
        learn(policy, step)
    return found


@pytest.mark.parametrize("lora", [0, 2])
@pytest.mark.parametrize("route", ["tokens", "completions", "sglang"])
def test_an_engine_writes_what_this_process_writes(tmp_path, lora, route):
    if lora and route == "sglang":
        return  # adapters go to vLLM
    here, there = student(lora), student(lora)
    with engines("", routes=(route,)) as servers, served(servers, tmp_path) as elsewhere:
        there.elsewhere = elsewhere
        assert steps(there, 3) == steps(here, 3)
        kept = [p.name for p in (tmp_path / "published").iterdir()]
        assert len(kept) == 2 and all(name.startswith(publish.PREFIX) for name in kept)  # older weights are gone


@pytest.mark.parametrize("kind", ["tokens", "completions"])
def test_what_goes_on_does_not_draw_the_same_numbers_again(kind):
    """vLLM knows a seed, and not how many of its numbers are used up; our own engine is told."""
    route = next(one for one in routes.ROUTES if contract.GENERATING[one.path] == kind)
    for drawn in (0, 3):
        body = route.body(generate.Request(np.array([5, 6], np.int32), 7, 4, HOW, drawn), "m", [1], False)
        asked = engine_routes.read(kind, body).request
        assert (asked.seed, asked.drawn) == (7, drawn)
        assert (body.get("sampling_params", body)["seed"] == 7) == (drawn == 0)


def test_weights_that_come_back_leave_no_directory_behind(tmp_path):
    policy = student(2)
    with engines("") as servers, served(servers, tmp_path) as elsewhere:
        policy.elsewhere = elsewhere
        for step in range(4):
            steps(policy, 1, step)
            policy.put([t.clone() for t in policy.trained.values()])  # as at the end of a round: loaded again, and the same
            answers(policy, step)
            policy.put([t.clone() for t in policy.trained.values()])
            answers(policy, step)
        assert len(list((tmp_path / "published").iterdir())) == 2


def test_stop_strings_and_greedy_answers_are_the_same_too(tmp_path):
    here, there = student(), student()
    how = [Sampling(0.0), Sampling(1.0, top_p=0.9), Sampling(1.0, stop=(here.text(np.array([9])),))]
    with engines("") as servers, served(servers, tmp_path) as elsewhere:
        there.elsewhere = elsewhere
        for one in how:
            both = [[(t.tokens.tolist(), t.stop) for t in p.respond(ASKS, range(6), 12, one)] for p in (here, there)]
            assert both[0] == both[1]
        with pytest.raises(UserError, match="together mean other probabilities"):
            there.respond(ASKS, range(6), 12, Sampling(1.0, top_k=4, top_p=0.9))


@pytest.mark.parametrize("fault", faults.SAID)
def test_every_fault_stops_the_run_by_its_name(tmp_path, fault):
    policy = student(2 if "adapter" in fault else 0)
    given = ["", fault] if fault in faults.ONE_OF_SEVERAL else [fault]
    stopping = pytest.raises((FatalDiagnosis, UserError))
    with engines(*given) as servers, stopping as stopped, served(servers, tmp_path) as elsewhere:
        policy.elsewhere = elsewhere
        steps(policy, faults.AFTER + 2)  # within one step of its beginning
    assert str(stopped.value).startswith(faults.SAID[fault]), stopped.value


@pytest.mark.parametrize("fault", ["stale_weights", "adapter_ignored", "replica_behind", "wrong_adapter"])
def test_who_never_takes_other_weights_is_found_when_it_is_met(tmp_path, monkeypatch, fault):
    """It has the right weights at the beginning: those that every run begins with."""
    monkeypatch.setattr(faults, "AFTER", 1)
    policy = student(2 if "adapter" in fault else 0)
    kept, given = [t.clone() for t in policy.trained.values()], ["", fault] if fault in faults.ONE_OF_SEVERAL else [fault]
    stopping = pytest.raises(FatalDiagnosis, match=faults.SAID[fault])
    with engines(*given) as servers, served(servers, tmp_path) as elsewhere, stopping:
        elsewhere.meet(policy)
    assert all(torch.equal(*pair) for pair in zip(kept, policy.trained.values()))


def test_a_replica_that_dies_leaves_and_comes_back_with_the_present_weights(tmp_path):
    here, there = student(), student()
    with engines("", "") as (one, two), served([one, two], tmp_path) as elsewhere:
        there.elsewhere = elsewhere
        wanted = [[ids for ids, *_ in step] for step in steps(here, 4)]
        found = steps(there, 1)
        port = one.server_address[1]
        one.stop()
        found += steps(there, 1, 1)  # the other one answers it all
        assert [r.stale for r in elsewhere.pool.replicas] == [True, False]
        again = contract.Server(contract.Engine(student(), "student"), port=port).begin()
        elsewhere.pool.replicas[0].away = 0.0
        found += steps(there, 1, 2)
        assert [r.stale for r in elsewhere.pool.replicas] == [
            False,
            False,
        ] and again.engine.version == elsewhere.now.published.name
        two.stop()
        found += steps(there, 1, 3)
        again.stop()
    assert [[ids for ids, *_ in step] for step in found] == wanted  # tokens; alone, last bits may differ


ASKED = generate.Request(np.array([5, 6, 7], np.int32), 7, 4, HOW)
PROMPT = [None, {"6": {"logprob": -1.0}}, {"7": {"logprob": -2.0}}]
REPLIES = {  # whole ones of two tokens
    routes.TOKENS: {
        "choices": [{"token_ids": [9, 1], "logprobs": {"content": [{"logprob": -1.0}, {"logprob": -0.5}]}}],
        "prompt_logprobs": PROMPT,
        "weight_versions": [{"version": "a"}],
    },
    routes.COMPLETIONS: {
        "choices": [
            {
                "prompt_token_ids": [5, 6, 7],
                "token_ids": [9, 1],
                "logprobs": {"token_logprobs": [-1.0, -0.5]},
                "prompt_logprobs": PROMPT,
            }
        ],
    },
    routes.SGLANG: {
        "output_ids": [9, 1],
        "meta_info": {
            "output_token_logprobs": [[-1.0, 9, None], [-0.5, 1, None]],
            "input_token_logprobs": [[None, 5, None], [-1.0, 6, None], [-2.0, 7, None]],
            "weight_version": "a",
        },
    },
}
ODD = (None, 0, -1, 1.5, True, "x", "1", [], {}, [None], [[]], [{}], {"a": 1}, np.inf, -np.inf, np.nan, 10**30, 10**400)


def places(value, path=()):
    """The paths of all that lies in a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*path, key)
        yield from places(one, (*path, key))


@pytest.mark.parametrize("route", REPLIES, ids=lambda route: route.path)
def test_a_reply_of_another_shape_is_read_or_has_a_name(route):
    assert route.read(REPLIES[route], ASKED, prompt=True).tokens.tolist() == [9, 1]
    read = 0
    for (*path, last), odd in itertools.product(places(REPLIES[route]), ODD):
        reply = copy.deepcopy(REPLIES[route])
        at = reply
        for key in path:
            at = at[key]
        at[last] = odd
        try:
            said = route.read(reply, ASKED)
        except routes.Wrong as wrong:
            assert wrong.name in ("other_version", "other_ids", "ids_missing", "logprobs_missing")
        else:
            read += 1
            assert np.isfinite(said.logprobs).all() and len(said.tokens) == len(said.logprobs)
    assert read  # such as another weight


class Changed:
    """A route whose replies are changed on the way."""

    def __init__(self, route, change):
        self.route, self.change = route, change

    def __getattr__(self, name):
        return getattr(self.route, name)

    def read(self, reply, request, prompt=False):
        return self.route.read(self.change(reply), request, prompt)


def without_prompt(reply):
    return {key: value for key, value in reply.items() if key != "prompt_logprobs"}


def beyond(reply):
    (choice,) = reply["choices"]
    return {**reply, "choices": [{**choice, "token_ids": [10**6] * len(choice["token_ids"])}]}


@pytest.mark.parametrize(("change", "name"), [(without_prompt, "logprobs_missing"), (beyond, "other_ids .token 1000000")])
def test_what_proves_nothing_or_is_no_token_of_ours_stops_the_run(tmp_path, change, name):
    policy = student()
    with engines("") as servers, served(servers, tmp_path) as elsewhere:
        policy.elsewhere = elsewhere
        steps(policy, 1)
        (replica,) = elsewhere.pool.replicas
        replica.route = Changed(replica.route, change)
        with pytest.raises(FatalDiagnosis, match=f"^{name}"):
            steps(policy, 1, 1)


def test_nobody_there_and_two_runs(tmp_path):
    with engines("") as (one,), served([one], tmp_path):
        with pytest.raises(UserError, match="another_run"):
            Served([one.url], tmp_path)
        with pytest.raises(UserError, match="names an address twice"):
            Served(["http://localhost:1", "http://localhost:1/"], tmp_path)
        gone = contract.Server(one.engine)
        gone.server_close()
        with served([gone], tmp_path) as elsewhere, pytest.raises(UserError, match="No engine answers there"):
            elsewhere.meet(student())
    for wrong in ("localhost:8000", "ftp://a", "http://a:b", "http://a/v2"):
        with pytest.raises(UserError, match="no address"):
            wire.address(wrong)


def test_a_server_that_two_runs_publish_to_in_turn_stops_the_first_that_notices(tmp_path):
    """Each finds its own weights there while it asks; what the other has published lies between."""
    one, other = student(), student()
    learn(other, 9)
    with (
        engines("") as (server,),
        served([server], tmp_path / "a") as first,
        served([server], tmp_path / "b", "localhost") as second,
    ):
        one.elsewhere, other.elsewhere = first, second
        steps(one, 1)
        steps(other, 1)
        with pytest.raises(FatalDiagnosis, match="^another_run: .* runs sharpen-.*Give each run servers of its own"):
            steps(one, 1, 1)


def test_a_full_disk_on_the_way_to_the_engines_stops_the_run(tmp_path):
    policy, (soft, hard) = student(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(FatalDiagnosis, match="publish_disk_full"):
            publish.write(policy, tmp_path / "published")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "published").iterdir())
    found = publish.write(policy, tmp_path / "published")
    assert publish.write(policy, tmp_path / "published").name == found.name  # the same weights, the same name
    os.truncate(found.path / "model.safetensors", 100)
    with pytest.raises(FatalDiagnosis, match="half_written"):
        found.whole()


@contextlib.contextmanager
def cut_off():
    """The address of a host that takes connections and says nothing any more."""
    with socket.create_server(("127.0.0.1", 0)) as at:
        yield f"http://127.0.0.1:{at.getsockname()[1]}"


def pieces(n: int) -> list[pool.Work]:
    return [pool.Work(i, str(i).encode(), 1) for i in range(n)]


def test_a_host_that_is_cut_off_at_work_loses_it_to_another(monkeypatch):
    monkeypatch.setattr(pool, "LOOK_S", 0.05)
    monkeypatch.setattr(pool, "THERE_S", 0.2)
    with cut_off() as silent, engines("") as (one,):
        replicas, said = pool.Pool([silent, one.url], revive=lambda replica: None), {}

        def ask(replica, piece, until):
            return wire.text(replica.url, "/health", None, until) or replica.url

        replicas.run(pieces(6), ask, said.__setitem__, 600.0, lambda share: None)
        assert said == dict.fromkeys(range(6), one.url)
        assert replicas.replicas[0].stale and "deadline" in replicas.replicas[0].why and not replicas.replicas[1].stale


def test_where_no_answer_comes_any_more_the_run_stops():
    with cut_off() as silent, pytest.raises(FatalDiagnosis, match=r"^engines_gone .*no answer has come for 0 s"):
        given = pool.Pool([silent], lambda replica: None)
        given.run(pieces(2), lambda r, _, until: wire.text(r.url, "/", None, until), {}.__setitem__, 0.1, lambda share: None)


def test_who_stops_waits_for_no_request_that_is_under_way():
    with cut_off() as silent:
        asked, replicas = threading.Barrier(3), pool.Pool([silent], revive=lambda replica: None)

        def ask(replica, piece, until):
            if piece.number < 2:
                threading.Thread(target=asked.wait, daemon=True).start()  # it is sent by the time that the third one fails
                return wire.text(replica.url, "/health", None, until)
            asked.wait()
            raise UserError("enough")

        with pytest.raises(UserError, match="enough"):
            replicas.run(pieces(3), ask, {}.__setitem__, 600.0, lambda share: None)
        assert not any(thread.name.startswith("sharpen-engine_") for thread in threading.enumerate())
        assert not replicas.replicas[0].stale  # it has done nothing wrong


def test_runs_of_one_name_publish_to_places_of_their_own(tmp_path):
    places = {meeting.directory(tmp_path / where / "run", str(tmp_path / "shared")) for where in "ab"}
    assert len(places) == 2 and {p.parent for p in places} == {tmp_path / "shared"}
    assert {meeting.directory(tmp_path / "run", given) for given in (None, "nccl")} == {tmp_path / "run" / "published"}


def test_a_server_that_says_nothing_costs_its_deadline_only():
    at = contract.ThreadingHTTPServer(("127.0.0.1", 0), contract.BaseHTTPRequestHandler)  # it accepts, and never answers
    try:
        with pytest.raises(wire.NoReply) as late:
            wire.call(f"http://127.0.0.1:{at.server_address[1]}", "/health", None, time.monotonic() + 0.05)  # noqa: TID251 - the deadline of what hangs
        assert late.value.late
    finally:
        at.server_close()
