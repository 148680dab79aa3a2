"""A policy that answers from a function: for tests of rollouts, verifiers and loops without a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sharpen.core import PLAIN, Ask, Batch, Message, Sampling, Tableau, Turn


class ScriptedPolicy:
    """A policy whose answers come from `reply(messages) -> text`; it never learns, and counts its updates.

    Tokens are the bytes of the conversation, so lengths and masks are real. Nothing is drawn and nothing learnt, so
    a hook changes nothing, nor does a study.
    """

    def __init__(self, reply: Callable[[Sequence[Message]], str]):
        self.reply, self.version, self.pad_id = reply, 0, 0
        self.tick: Callable[[str, float], None] = lambda what, share: None
        self.past: dict[str, Any] = {}

    def text(self, tokens: np.ndarray) -> str:
        return bytes(tokens.astype(np.uint8)).decode(errors="replace")

    def respond(
        self,
        asks: Sequence[Ask],
        seeds: Sequence[int],
        max_tokens: int,
        sampling: Sampling,
        done: Callable[[int, Turn], None] | None = None,
    ) -> list[Turn]:
        turns: list[Turn] = []
        for ask in asks:
            before = ask.after.tokens if ask.after is not None else np.zeros(0, dtype=np.int32)
            before = before[: ask.cut] if ask.goes_on else before
            words = "".join(f"<{m['role']}>{m['content']}" for m in ask.messages)
            prompt = np.concatenate([before, as_bytes(words + ask.insert)])
            text = (
                ask.answer
                if ask.answer is not None
                else self.reply(ask.messages or ({"role": "context", "content": ask.insert},))
            )
            ends = [text.find(end) for end in (*(ask.sampling or sampling or PLAIN).stop, *ask.stop) if end in text]
            if ends and ask.answer is None:
                text = text[: min(ends)]
            limit = max_tokens if ask.max_tokens is None else ask.max_tokens
            said = as_bytes(text) if ask.answer is not None else as_bytes(text)[:limit]
            sampled = np.concatenate([np.zeros(len(prompt), dtype=bool), np.ones(len(said), dtype=bool)])
            if ask.after is not None:
                sampled[: len(before)] = ask.after.sampled[: len(before)]
            begin = ask.after.begin if ask.after is not None and ask.goes_on else len(prompt)
            stop = "forced" if ask.answer is not None else "stop" if ends else "length" if len(said) == limit else "end"
            tokens = np.concatenate([prompt, said])
            self.tick("answers", len(turns) / len(asks))
            logprobs, whole = np.where(sampled, -0.1, 0).astype(np.float32), self.text(tokens[begin:])
            turns.append(Turn(text, tokens, sampled, logprobs, stop, self.version, begin=begin, whole=whole))
            if done:
                done(len(turns) - 1, turns[-1])
        return turns

    def refer(self, directory: str, role: str = "reference") -> None:
        """Nothing is scored, so nothing is referred to."""

    def averaged(self) -> AbstractContextManager[None]:
        return nullcontext()

    def logprobs(self, batch: Batch) -> np.ndarray:
        return np.where(batch.mask > 0, -0.1, 0).astype(np.float32)

    def entropies(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        return self.logprobs(batch), np.where(batch.mask > 0, 0.1, 0).astype(np.float32)

    def prepare(self, batch: Batch, tableau: Tableau) -> Batch:
        zeros = np.zeros(batch.mask.shape, np.float32)
        return replace(
            batch, values=zeros if tableau.returns else None, before=self.logprobs(batch) if tableau.before else None
        )

    def update(self, batch: Batch, tableau: Tableau, lr: float) -> Mapping[str, float]:
        self.version += 1
        return dict(
            loss=0.0, grad_norm=0.0, mismatch=0.0, rows_trained=float(len(batch)), tokens_trained=float(batch.mask.sum())
        )

    def direction(self, batch: Batch, tableau: Tableau) -> list[Any]:
        return []

    def save(self, directory: str) -> None:
        (Path(directory) / "policy.json").write_text(json.dumps({"version": self.version}))

    def load(self, directory: str) -> None:
        self.version = json.loads((Path(directory) / "policy.json").read_text())["version"]


def as_bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32)
