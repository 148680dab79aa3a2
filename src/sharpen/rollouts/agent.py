"""An agent program as a rollout: it owns the loop, and each of its requests is a turn of the student's.

A request that goes on with a conversation that was answered before, its messages and then more, continues that one's tokens as
they were sampled. Any other begins a sequence of its own: a sub-agent, what a program makes of a conversation that it has
compacted, or, of two requests at one time that go on with the same conversation, the second. All sequences are learnt from,
under one verdict: the task's verifier on what the program printed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sharpen.core import Act, Ask, Ended, Failed, Message, Observation, RolloutGenerator, Task, Turn, flat
from sharpen.environments import Program, completion


@dataclass(eq=False)
class Conversation:
    """What was said so far, as the program has it, the last answer included; and its last turn."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    turn: Turn | None = None


def agent(task: Task, command: str = "", requests: int = 50, seconds: float = 300.0) -> RolloutGenerator:
    """The agent `command` on a task, with at most so many requests, each step of it within so many seconds.

    How tokens are drawn is the run's own: what a request says of temperature and the like is left alone.
    """
    program = Program(command, task)
    seen: Observation = yield Act(program, "", seconds, longest=2**24, kind="reset")
    conversations: list[Conversation] = []
    asked = 0
    while not seen.done:
        wanted = json.loads(seen.text)["requests"]
        asked += len(wanted)
        if asked > requests:
            program.close()
            raise Failed(f"the agent made more than {requests} requests")
        held: list[Conversation] = []
        for request in wanted:
            held.append(of(conversations, request["body"], held))
        turns: list[Turn] = yield [ask(c, request["body"]) for c, request in zip(held, wanted, strict=True)]
        answers = {}
        for conversation, request, turn in zip(held, wanted, turns, strict=True):
            answers[request["id"]] = answered(conversation, request["body"], turn)
        seen = yield Act(program, json.dumps(answers), seconds, longest=2**24)
    ends = [conversation.turn for conversation in conversations if conversation.turn is not None]
    if not ends:
        raise Failed("the agent ended without a request")
    return Ended(tuple(ends), seen.text)


def of(conversations: list[Conversation], body: Mapping[str, Any], taken: Sequence[Conversation]) -> Conversation:
    """The conversation that a request goes on with; a new one where it goes on with none, or another request of the same time,
    in `taken`, goes on with it: one turn has one next turn."""
    said = body["messages"]
    for conversation in (each for each in reversed(conversations) if each not in taken):
        n = len(conversation.messages)
        if n < len(said) and [plain(m) for m in said[:n]] == [plain(m) for m in conversation.messages]:
            return conversation
    made = Conversation()
    conversations.append(made)
    return made


def plain(message: Mapping[str, Any]) -> list[Any]:
    """What of a message counts: clients drop what is empty, and write arguments anew."""
    calls = [
        (c.get("function", {}).get("name"), loaded(c.get("function", {}).get("arguments")))
        for c in message.get("tool_calls") or ()
    ]
    return [message.get("role"), message.get("content") or "", calls]


def loaded(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def ask(conversation: Conversation, body: Mapping[str, Any]) -> Ask:
    new: Sequence[Message] = [spoken(message) for message in body["messages"][len(conversation.messages) :]]
    stop = body.get("stop")
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    more: dict[str, Any] = {"max_tokens": limit} if type(limit) is int and limit > 0 else {}
    more |= {"stop": tuple([stop] if isinstance(stop, str) else stop)} if stop else {}
    tools = tuple(body.get("tools") or ()) if conversation.turn is None else ()
    return Ask(tuple(new), after=conversation.turn, tools=tools, **more)


def spoken(message: Mapping[str, Any]) -> Message:
    """A message as a template takes it: what tools say is the world's, and no mark in it is the template's."""
    content = flat({**message, "content": message.get("content") or ""})["content"]
    if message.get("tool_calls"):
        calls = [{"name": n, "arguments": a} for n, a in plain(message)[2]]
        content = "\n".join(filter(None, [content, *(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)]))
    role = {"developer": "system", "function": "tool"}.get(str(message["role"]), str(message["role"]))
    found: dict[str, Any] = {"role": role, "content": content}
    return found | ({"observed": True} if role == "tool" else {})


def answered(conversation: Conversation, body: Mapping[str, Any], turn: Turn) -> dict[str, Any]:
    """What the program is told, which is then part of the conversation."""
    span = turn.spans[-1]
    answer = completion(
        body, turn.text, turn.tokens[: span.start].tolist(), turn.tokens[span.start : span.stop].tolist(), turn.stop
    )
    conversation.messages, conversation.turn = [*body["messages"], answer["choices"][0]["message"]], turn
    return answer
