"""A policy behind an OpenAI-compatible server: it gives words, and nothing that needs its weights.

1. A conversation is kept as JSON, and its bytes are its tokens, so that a turn can be continued; nothing of it is ever trained.
2. Asks of one batch are sent side by side. One that gets no answer within its time has a turn with stop "failed".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from sharpen.core import Ask, Sampling, Turn, UserError
from sharpen.models.scripted import as_bytes
from sharpen.verify import judge_model

AT_ONCE = 16  # requests under way
REACH_S = 15.0  # for the first word
BYTES = 4  # of a token, where only the server knows them


class EndpointPolicy:
    """The model of that name at that address (up to and with /v1); `seconds` for each answer, `price` as `core.Role` has it.

    The key, where the server wants one, is read from SHARPEN_ROLE_KEY.
    """

    def __init__(self, url: str, model: str, seconds: float = 60.0, price: tuple[float, float] = (0.0, 0.0)):
        self.price = tuple(each / BYTES for each in price)
        self.endpoint = judge_model.Endpoint(url, model, "SHARPEN_ROLE_KEY", seconds)
        self.version = 0

    def reach(self) -> None:
        """Ask for one word. UserError where none comes."""
        near = judge_model.Endpoint(
            self.endpoint.url, self.endpoint.model, self.endpoint.key_variable, min(REACH_S, self.endpoint.timeout)
        )
        body = {"model": near.model, "messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 4}
        try:
            judge_model.asked(near, body, content)
        except judge_model.NoAnswer as error:
            raise UserError(
                f"{near.url} gives no answer as {near.model}: {error}. Start the server, or name another with --role."
            ) from error

    def respond(
        self,
        asks: Sequence[Ask],
        seeds: Sequence[int],
        max_tokens: int,
        sampling: Sampling,
        done: Callable[[int, Turn], None] | None = None,
    ) -> list[Turn]:
        """Answer every ask, in order."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            settings = [max_tokens] * len(asks), [sampling] * len(asks)
            turns = list(pool.map(self.one, asks, seeds, *settings))
        for i, turn in enumerate(turns):
            if done:
                done(i, turn)
        return turns

    def one(self, ask: Ask, seed: int, max_tokens: int, sampling: Sampling) -> Turn:
        how = ask.sampling or sampling
        before = json.loads(bytes(ask.after.tokens.astype(np.uint8))) if ask.after else []
        messages = [*before, *(dict(m) for m in ask.messages)]
        body: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": messages,
            "max_tokens": max_tokens if ask.max_tokens is None else ask.max_tokens,
            "temperature": how.temperature,
            "top_p": how.top_p,
            "seed": seed % 2**31,
        }
        if stop := [*how.stop, *ask.stop]:
            body["stop"] = stop
        if ask.goes_on or ask.hook or ask.study:
            what = "cannot go on within a turn" if ask.goes_on else "takes no hook" if ask.hook else "cannot be taught"
            return turn_of(messages, f"a server {what}", "failed")
        if ask.answer is not None:
            return turn_of(messages, ask.answer, "forced")
        try:
            return turn_of(messages, *judge_model.asked(self.endpoint, body, content))
        except judge_model.NoAnswer as error:
            return turn_of(messages, str(error), "failed")


def content(reply: bytes) -> tuple[str, str]:
    """(text, how it ended) of a server's reply. Raises judge_model.NoAnswer where it is none."""
    try:
        choice = json.loads(reply)["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise judge_model.NoAnswer(f"no chat completion where one was asked for ({type(error).__name__})") from error
    if not isinstance(text, str):
        raise judge_model.NoAnswer("a chat completion without text")
    return text, "length" if choice.get("finish_reason") == "length" else "end"


def turn_of(messages: Sequence[Any], text: str, stop: str) -> Turn:
    """A turn whose tokens are the bytes of the conversation as JSON, the text's marked as sampled."""
    said = as_bytes(json.dumps(text))
    head = as_bytes(f'{json.dumps(list(messages))[:-1]}{", " if messages else ""}{{"role": "assistant", "content": ')
    tokens = np.concatenate([head, said, as_bytes("}]")])
    sampled = np.zeros(len(tokens), dtype=bool)
    sampled[len(head) : len(head) + len(said)] = True
    return Turn(text, tokens, sampled, np.zeros(len(tokens), dtype=np.float32), stop)
