"""What a client asks for, read from the JSON of OpenAI's API (and vLLM's additions) and checked; nothing is guessed.

A field that would change the answer and is not known here is refused, not ignored.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sharpen.core import Ask, Sampling, UserError
from sharpen.rollouts import asking
from sharpen.serve.opened import Opened

MOST_ROWS = 256  # answers to one request
MOST_TOP = 100
# What changes nothing here.
IGNORED = {"user", "model", "stream_options", "metadata", "store", "parallel_tool_calls", "service_tier", "safety_identifier"}
IGNORED |= {"skip_special_tokens", "add_special_tokens", "reasoning_effort", "return_token_ids", "prompt_cache_key"}
COMMON = {"n", "temperature", "top_p", "top_k", "min_p", "max_tokens", "stop", "seed", "logprobs", "stream", *IGNORED}
KNOWN = {"chat": COMMON | {"messages", "max_completion_tokens", "top_logprobs", "tools"}}
KNOWN["text"] = COMMON | {"prompt", "echo", "best_of", "suffix"}
# Others are taken where they say what is so anyway.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    **{name: (0, None) for name in ("frequency_penalty", "presence_penalty")},
    "repetition_penalty": (1, None),
    "logit_bias": ({}, None),
    "response_format": ({"type": "text"}, None),
    "tool_choice": ("none", "auto", None),
    "best_of": (1, None),
    "suffix": ("", None),
    "min_tokens": (0, None),
    "functions": (None, []),
    "ignore_eos": (False, None),
    "modalities": (["text"], None),
}


class Refused(Exception):
    """A request that cannot be answered, with what OpenAI's clients read: status, type, the field at fault, a code."""

    def __init__(self, why: str, param: str | None = None, status: int = 400, code: str | None = None, kind: str = ""):
        super().__init__(why)
        self.status, self.param, self.code = status, param, code
        self.kind = kind or ("invalid_request_error" if status < 500 else "server_error")


@dataclass(frozen=True)
class Wanted:
    """One request: prompts as token ids, n answers to each, and what is to be said of them.

    top     None, or how many likeliest tokens are wanted in each place
    usage   whether a stream ends with the numbers of tokens
    """

    chat: bool
    prompts: tuple[np.ndarray, ...]
    n: int
    max_tokens: int
    sampling: Sampling
    seed: int
    top: int | None
    echo: bool
    stream: bool
    usage: bool
    ids: bool


def read(body: Any, chat: bool, here: Opened) -> Wanted:
    """Raises Refused."""
    if not isinstance(body, dict):
        raise Refused("the request is no JSON object")
    known = KNOWN["chat" if chat else "text"]
    for name, value in body.items():
        if name in NEUTRAL:
            if value not in NEUTRAL[name]:
                raise Refused(f"{name}={value!r} is not supported here: leave it out", name)
        elif name not in known and value is not None:
            raise Refused(f"{name!r} is not known here: leave it out", name)
    if (named := body.get("model")) not in (None, here.name, str(here.home)):
        raise Refused(f"the model {named!r} does not exist: {here.name!r} is served", "model", 404, "model_not_found")
    told = body.get("stream_options") or {}
    prompts = chat_prompt(body, here) if chat else text_prompts(body.get("prompt"), here)
    n = number(body, "n", 1, 1, MOST_ROWS)
    if len(prompts) * n > MOST_ROWS:
        raise Refused(f"{len(prompts)} prompts with {n} answers each are more than {MOST_ROWS}", "n")
    wanted = Wanted(
        chat=chat,
        prompts=prompts,
        n=n,
        max_tokens=limit(body, chat, here, max(map(len, prompts))),
        sampling=drawn(body, here.asking.sampling),
        seed=number(body, "seed", secrets.randbits(31), -(2**63), 2**64),
        top=tops(body, chat),
        echo=flag(body, "echo"),
        stream=flag(body, "stream"),
        usage=isinstance(told, Mapping) and bool(told.get("include_usage")),
        ids=flag(body, "return_token_ids"),
    )
    for text in wanted.sampling.stop:
        if not text:
            raise Refused("a stop string is empty", "stop")
    return wanted


def chat_prompt(body: Mapping[str, Any], here: Opened) -> tuple[np.ndarray]:
    said = body.get("messages")
    if not isinstance(said, list) or not said or not all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in said):
        raise Refused("'messages' must be a list of objects, each with a 'role' and a 'content'", "messages")
    for message in said:
        if not isinstance(message.get("content"), str | list) and not message.get("tool_calls"):
            raise Refused("a message's 'content' must be text, or a list of parts of text", "messages")
    said = [{"role": "system", **m, **({"role": "system"} if m["role"] == "developer" else {})} for m in said]
    tools = body.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise Refused("'tools' must be a list of objects", "tools")
    try:
        messages = as_trained(said, here.asking)
        return (here.policy.prompt_tokens(Ask(messages, tools=tuple(tools))),)
    except (UserError, ValueError, TypeError, KeyError) as error:
        raise Refused(f"these messages cannot be asked: {error}", "messages") from error


def as_trained(said: Sequence[Mapping[str, Any]], how: asking.Asking) -> tuple[Any, ...]:
    """Messages with the system message and the words behind the last question with which the model was trained."""
    found = list(asking.after_system(said, how.system))
    if how.prompt_suffix and found[-1]["role"] == "user" and isinstance(found[-1]["content"], str):
        content = found[-1]["content"]
        found[-1] = {**found[-1], "content": content if how.prompt_suffix in content else f"{content}\n\n{how.prompt_suffix}"}
    return tuple(found)


def text_prompts(prompt: Any, here: Opened) -> tuple[np.ndarray, ...]:
    """A text, token ids, or a list of either."""
    if isinstance(prompt, str) or (isinstance(prompt, list) and prompt and all(type(i) is int for i in prompt)):
        prompt = [prompt]
    if not isinstance(prompt, list) or not prompt:
        raise Refused("'prompt' must be a text, a list of token ids, or a list of either", "prompt")
    size = here.policy.model.config.get_text_config().vocab_size
    found = []
    for one in prompt:
        if isinstance(one, str):
            found.append(np.array(here.policy.tokenizer(one)["input_ids"], dtype=np.int32))
        elif isinstance(one, list) and all(type(i) is int and 0 <= i < size for i in one):
            found.append(np.array(one, dtype=np.int32))
        else:
            raise Refused(f"a prompt is neither a text nor a list of token ids from 0 to {size - 1}", "prompt")
        if not len(found[-1]):
            raise Refused("a prompt has no tokens", "prompt")
    return tuple(found)


def limit(body: Mapping[str, Any], chat: bool, here: Opened, longest: int) -> int:
    """The longest answer: what is asked for, else that of training, as far as the model's context allows."""
    key = "max_completion_tokens" if chat and body.get("max_completion_tokens") is not None else "max_tokens"
    room = here.longest - longest if here.longest else 2**20
    if room < 0:
        raise Refused(
            f"a prompt of {longest} tokens is longer than the model's context of {here.longest}",
            "messages" if chat else "prompt",
            code="context_length_exceeded",
        )
    usual = here.asking.max_tokens or (room if chat else 16)
    asked = number(body, key, min(usual, room), 0 if flag(body, "echo") else 1, 2**31)
    if asked > room:
        raise Refused(
            f"{longest} tokens of prompt and {asked} of answer are more than the model's context of {here.longest}",
            key,
            code="context_length_exceeded",
        )
    return asked


def drawn(body: Mapping[str, Any], usual: Sampling) -> Sampling:
    stop = body.get("stop")
    stop = [] if stop is None else [stop] if isinstance(stop, str) else stop
    if not isinstance(stop, list) or len(stop) > 16 or not all(isinstance(text, str) for text in stop):
        raise Refused("'stop' must be a text or a list of at most 16", "stop")
    top_k = number(body, "top_k", usual.top_k, -1, 2**31)
    found = replace(
        usual,
        temperature=real(body, "temperature", usual.temperature, 0, 1e6),
        top_p=real(body, "top_p", usual.top_p, 0, 1),
        min_p=real(body, "min_p", usual.min_p, 0, 1),
        top_k=max(top_k, 0),
        stop=tuple(dict.fromkeys([*usual.stop, *stop])),
    )
    if found.top_p == 0:
        raise Refused("'top_p' must be above 0", "top_p")
    return found


def tops(body: Mapping[str, Any], chat: bool) -> int | None:
    if not chat:
        return None if body.get("logprobs") is None else number(body, "logprobs", 0, 0, MOST_TOP)
    top = number(body, "top_logprobs", 0, 0, MOST_TOP)
    if top and not flag(body, "logprobs"):
        raise Refused("'top_logprobs' needs 'logprobs': true", "top_logprobs")
    return top if flag(body, "logprobs") else None


def flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, bool | None):
        raise Refused(f"{name!r} must be true or false", name)
    return bool(value)


def number(body: Mapping[str, Any], name: str, usual: int, least: int, most: int) -> int:
    value = body.get(name)
    if value is None:
        return usual
    if type(value) is not int or not least <= value <= most:
        raise Refused(f"{name!r} must be a whole number from {least} to {most}", name)
    return value


def real(body: Mapping[str, Any], name: str, usual: float, least: float, most: float) -> float:
    value = body.get(name)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Refused(f"{name!r} must be a number from {least} to {most:g}", name)
    return float(value)
