"""Agent programs that own the loop: what they are told is what was sampled, and every sequence is learnt from."""

from __future__ import annotations

import json
import sys

import numpy as np

from sharpen import rollouts
from sharpen.core import Observation, Sampling, Span, Task, Turn
from sharpen.data import make_batch
from sharpen.models import LocalPolicy, ScriptedPolicy, embedded
from sharpen.tasks import gym
from sharpen.verify import judge, verify

TASK = Task(({"role": "user", "content": "2 + 3 ="},), "5", "sums", 1, verifier="number")
HEAD = """
import json, os, sys, urllib.error, urllib.request
def ask(messages, **more):
    body = json.dumps({"messages": messages, "return_token_ids": True, **more}).encode()
    head = {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
    found = urllib.request.urlopen(urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body, head))
    return json.load(found)
question = sys.stdin.read()
first = [{"role": "user", "content": question}]
"""
# A conversation of two turns, a sub-agent, and a conversation that is compacted to one message.
AGENT = (
    HEAD
    + """
seen = []
one = ask(first)
talk = first + [one["choices"][0]["message"], {"role": "user", "content": "sure?"}]
for answer in (one, ask(talk), ask([{"role": "user", "content": "sub-agent"}]), ask([{"role": "user", "content": "in short"}])):
    seen.append([answer["prompt_token_ids"], answer["choices"][0]["token_ids"]])
print(json.dumps(seen))
"""
)


def run(tmp_path, source, policy, **more):
    (tmp_path / "agent.py").write_text(source)
    acted = lambda task: rollouts.agent(task, f"{sys.executable} {tmp_path / 'agent.py'}", seconds=600.0, **more)  # noqa: E731
    (made,) = rollouts.drive(policy, acted, [TASK], ["a"], seed=0, max_tokens=6, sampling=Sampling())
    return made


def test_tokens_that_are_recorded_are_those_that_were_sampled(tmp_path):
    """All of them, in three sequences under one verdict, with versions and log-probabilities."""
    policy = LocalPolicy(*embedded.build("micro", gym(["chain_sum"]), 0), precision="fp32", device="cpu")
    policy.version = 7
    made = run(tmp_path, AGENT, policy)
    told = json.loads(made.judged)
    sequences = [(turn.tokens, turn.sampled, turn.logprobs, turn.spans) for turn in (*made.others, made)]
    assert len(sequences) == 3 and len(made.turns) == 4
    spans = [(tokens, sampled, logprobs, span) for tokens, sampled, logprobs, all_ in sequences for span in all_]
    assert [tokens[s.start : s.stop].tolist() for tokens, _, _, s in spans] == [written for _, written in told]
    assert [tokens[: s.start].tolist() for tokens, _, _, s in spans] == [prompt for prompt, _ in told]
    assert all(sampled[s.start : s.stop].all() and (logprobs[s.start : s.stop] < 0).all() for _, sampled, logprobs, s in spans)
    assert {s.version for *_, s in spans} == {7}
    batch = make_batch(judge([made], [0], verify))
    assert len(batch) == 3 and batch.mask.sum() == sum(len(written) for _, written in told)


def test_what_is_asked_at_one_time_is_recorded_each_by_itself():
    """Two sub-agents at once are two sequences; so are two requests that go on with the same conversation. Every token that
    was sampled is in one sequence, once."""
    game = rollouts.agent(TASK, "nothing is started")
    next(game)

    def asked(**requests):
        bodies = [{"id": id, "body": {"messages": messages}} for id, messages in requests.items()]
        return game.send(Observation(json.dumps({"requests": bodies})))

    def answers(asks):
        """Each its own token, behind what it goes on with."""
        turns = []
        for ask in asks:
            before = ask.after.tokens.tolist() if ask.after else [0]
            tokens, spans = [*before, 100 + next(number)], ask.after.spans if ask.after else ()
            sampled = np.array([any(s.start <= i < s.stop for s in spans) for i in range(len(before))] + [True])
            spans = (*spans, Span(len(before), len(tokens)))
            turns.append(Turn(f"said {tokens[-1]}", np.array(tokens), sampled, -np.ones(len(tokens)), "end", 0, spans))
        return json.loads(game.send(turns).action)

    number = iter(range(9))
    asks = asked(a=[user("part 1")], b=[user("part 2")])
    assert [(ask.messages[0]["content"], ask.after) for ask in asks] == [("part 1", None), ("part 2", None)]
    told = answers(asks)
    on = [user("part 1"), told["a"]["choices"][0]["message"]]
    asks = asked(c=[*on, user("this way")], d=[*on, user("that way")])
    assert asks[0].after.tokens.tolist() == [0, 100] and asks[1].after is None
    answers(asks)
    try:
        game.send(Observation("5", done=True))
    except StopIteration as end:
        turns = end.value.turns
    assert sorted(t for turn in turns for t in turn.tokens[turn.sampled].tolist()) == [100, 101, 102, 103]


def user(text):
    return {"role": "user", "content": text}


def test_tools_and_streams_are_as_openai_has_them(tmp_path):
    source = (
        HEAD
        + """
schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
tools = [{"type": "function", "function": {"name": "add", "parameters": schema}}]
call = ask(first, tools=tools)["choices"][0]
assert call["finish_reason"] == "tool_calls" and call["message"]["content"] is None, call
made = call["message"]["tool_calls"][0]
assert json.loads(made["function"]["arguments"]) == {"a": 2}
again = first + [call["message"], {"role": "tool", "tool_call_id": made["id"], "content": "5"}]
print(ask(again, tools=tools)["choices"][0]["message"]["content"])
"""
    )
    said = iter(['{"name": "add", "arguments": {"a": 2}}', "5"])
    made = run(tmp_path, source, ScriptedPolicy(lambda m: next(said)))
    assert not made.others and made.judged == "5" and judge([made], [0], verify)[0].verdict.correct
    assert "<tool>5" in bytes(made.tokens.astype(np.uint8)).decode()


def test_messages_come_in_parts_and_what_is_no_text_is_refused(tmp_path):
    """Clients that write content as a list of parts are answered; a picture, or tools without a name, are said to be wrong."""
    source = (
        HEAD
        + """
parts = [{"type": "text", "text": "two "}, {"type": "text", "text": "parts"}]
kept = ask([{"role": "user", "content": parts}])["choices"][0]["message"]["content"]
picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]
for wrong, more in ((picture, {}), (first, {"tools": [{"name": "add"}]}), (first, {"stop": 3})):
    try:
        ask(wrong, **more)
    except urllib.error.HTTPError as error:
        kept += " | " + json.load(error)["error"]["message"]
print(kept)
"""
    )
    made = run(tmp_path, source, ScriptedPolicy(lambda m: "5"))
    five, picture, tools, stop = made.judged.split(" | ")
    assert five == "5" and "two parts" in bytes(made.tokens.astype(np.uint8)).decode()
    assert "'image_url'" in picture and "'tools' must be" in tools and "'stop' must be" in stop


def test_a_program_that_fails_is_not_the_models_fault(tmp_path):
    policy = ScriptedPolicy(lambda m: "5")
    for source, said in {
        HEAD + "ask(first); sys.exit(3)": "exited with 3",
        "print(5)": "without a request",
        HEAD + "while True: ask(first)": "more than 4 requests",
        HEAD + "ask(first); print('x' * 2_000_000, flush=True); sys.stdin = open(0); import time; time.sleep(600)": "bytes",
    }.items():
        made = run(tmp_path, source, policy, requests=4)
        assert made.stop == "failed" and said in made.response, made.response
        assert judge([made], [0], verify)[0].verdict.outcome == "unscorable"
