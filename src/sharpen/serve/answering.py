"""One thread that answers everybody, in slices: what is waiting joins those that are being answered.

1. All rows at hand are generated together for some tokens (`slice_of`), then looked at: who is done leaves, who came in joins.
2. A row draws from its own seed, and the next slice goes on where its numbers stopped. So an answer depends neither on how
   it was cut nor on what it was batched with, up to rounding.
3. A row that nobody waits for any more, or whose time is over, leaves at the next look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sharpen import models
from sharpen.core import NotFinite, Sampling, UserError
from sharpen.models.engine import generate

WINDOW = 0.01  # seconds in which requests that come together are taken together
FIRST, LONGEST = 32, 256  # tokens of a slice; it grows with what is written, so that running prompts again stays cheap
STREAMED = 8  # the same, where somebody reads along
MOST = 4096  # rows that may wait


class Busy(Exception):
    """More is waiting than is taken."""


@dataclass
class Row:
    """One answer in the making. `changed` is called from the answering thread after every slice, and at the end.

    written, drawn  token ids so far, and the log-probabilities that they were drawn with
    stop            "" while it goes on; "end", "length" or "stop" as in `core.Turn`; "failed" (`why` says so) or "late"
    top             None, or how many likeliest tokens are wanted in each place: then `likeliest` has them at the end, of the
                    prompt too where `echo` is wanted
    """

    prompt: np.ndarray
    seed: int
    max_tokens: int
    sampling: Sampling
    until: float
    changed: Callable[[], None]
    streamed: bool = False
    top: int | None = None
    echo: bool = False
    written: list[int] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)
    text: str = ""
    stop: str = ""
    why: str = ""
    gone: bool = False  # nobody waits for it
    over: bool = False  # nothing of it changes any more
    likeliest: models.Likeliest | None = None


class Answering:
    """Answers rows with a policy until `close`. `kept` is given every row that was answered."""

    def __init__(self, policy: models.LocalPolicy, kept: Callable[[Row], None] | None = None):
        self.policy, self.kept = policy, kept
        self.waiting: list[Row] = []
        self.news = threading.Condition()
        self.closed = False
        self.thread = threading.Thread(target=self.run, name="sharpen-serve", daemon=True)
        self.thread.start()

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        with self.news:
            self.closed = True
            self.news.notify()
        self.thread.join(timeout=60)

    def add(self, rows: Sequence[Row]) -> None:
        """Raises Busy where too many wait."""
        with self.news:
            if self.closed or len(self.waiting) + len(rows) > MOST:
                raise Busy
            self.waiting += rows
            self.news.notify()

    def run(self) -> None:
        going: list[Row] = []
        while True:
            with self.news:
                while not (going or self.waiting or self.closed):
                    self.news.wait()
                if not going and not self.closed:
                    self.news.wait(WINDOW)  # a lone request need not be alone
                going, self.waiting = [*going, *self.waiting], []
                if self.closed:
                    going = [ended(row, "failed", "the server is stopping") for row in going if not row.stop]
            self.slice(going)
            for row in going:
                if row.stop and self.kept and row.stop not in ("failed", "late"):
                    self.kept(row)
                row.over = bool(row.stop)
                row.changed()
            going = [row for row in going if not row.stop]
            if self.closed and not going:
                return

    def slice(self, going: Sequence[Row]) -> None:
        """Go on with all rows for a while."""
        now = time.monotonic()
        for row in going:
            if not row.stop and (row.gone or now > row.until):
                ended(row, "late", "its time is over")
        live = [row for row in going if not row.stop]
        size = slice_of(live)
        try:
            if live:
                generate.generate(
                    self.policy.model,
                    [request(row, min(size, row.max_tokens - len(row.written))) for row in live],
                    self.policy.end_ids,
                    self.policy.pad_id,
                    self.policy.stops,
                    lambda i, made: self.grow(live[i], made),
                )
            for row in live:
                if row.stop and row.top is not None:
                    self.look(row)
        except (NotFinite, UserError, RuntimeError, ValueError) as error:
            for row in live:
                ended(row, "failed", f"{type(error).__name__}: {error}")

    def grow(self, row: Row, made: generate.Generation) -> None:
        before = len(row.written)
        row.written += made.tokens.tolist()
        row.drawn += made.logprobs.tolist()
        row.text = self.policy.text(np.array(row.written, dtype=np.int32))
        if any(text in row.text for text in row.sampling.stop):
            for n in range(before + 1, len(row.written) + 1):  # the fewest tokens that hold it
                row.text = self.policy.text(np.array(row.written[:n], dtype=np.int32))
                if any(text in row.text for text in row.sampling.stop):
                    row.written, row.drawn = row.written[:n], row.drawn[:n]
                    break
            row.text = row.text[: min(at for at in map(row.text.find, row.sampling.stop) if at >= 0)]
            row.stop = "stop"
        elif made.stop == "end" or len(row.written) >= row.max_tokens:
            row.stop = "end" if made.stop == "end" else "length"

    def look(self, row: Row) -> None:
        """What the model says of each token: of those written, and of the prompt where that is wanted."""
        whole = np.concatenate([row.prompt, np.array(row.written, dtype=np.int32)])
        (found,) = models.likeliest(self.policy.model, [whole], row.top or 0)
        start = 0 if row.echo else len(row.prompt)
        row.likeliest = replace(found, **{name: array[start:] for name, array in vars(found).items()})


def request(row: Row, size: int) -> generate.Request:
    prompt = np.concatenate([row.prompt, np.array(row.written, dtype=np.int32)]).astype(np.int32)
    return generate.Request(prompt, row.seed, size, row.sampling, drawn=len(row.written))


def slice_of(rows: Sequence[Row]) -> int:
    """Tokens until the next look."""
    longest = max((len(row.written) for row in rows), default=0)
    return max(STREAMED, longest // 4) if any(row.streamed for row in rows) else min(max(FIRST, longest), LONGEST)


def ended(row: Row, stop: str, why: str) -> Row:
    row.stop, row.why = stop, why
    return row


def steady(row: Row) -> str:
    """Of a row's text, what no later token can change: no half of a character, and no beginning of a stop string."""
    if row.stop:
        return row.text
    text = row.text.rstrip("\ufffd")
    held = max((n for stop in row.sampling.stop for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
    return text[: len(text) - held]


def settings(row: Row) -> dict[str, Any]:
    """How a row was drawn, as JSON."""
    return {**vars(row.sampling), "stop": list(row.sampling.stop), "seed": row.seed, "max_tokens": row.max_tokens}
