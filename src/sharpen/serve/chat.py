"""A conversation in the terminal, for a look at a model. It works piped: one line is one message."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable
from typing import Any

from sharpen.core import Ask
from sharpen.serve.answering import Answering, Row, steady
from sharpen.serve.asked import as_trained
from sharpen.serve.opened import Opened
from sharpen.terminal import tables

LONGEST = 512  # tokens of an answer, where nothing else is said
HELP = "/reset forgets the conversation, /system TEXT begins it anew with that system message, /quit or Ctrl-D ends it"


def chat(here: Opened, lines: Iterable[str], write: Callable[[str], Any], seconds: float = 600.0, seed: int = 0) -> None:
    """Answer each line until there is none, or /quit. `write` is given pieces of text as they come.

    What is said is shown without control characters. A message that does not fit the context is said to be too long.
    """
    said: list[dict[str, str]] = []
    system: list[dict[str, str]] = []
    with Answering(here.policy) as answering:
        for number, line in enumerate(lines):
            text = line.strip()
            word, _, rest = text.partition(" ")
            if not text:
                continue
            if word in ("/quit", "/exit"):
                return
            if word == "/system":
                system, said = [{"role": "system", "content": rest.strip()}] if rest.strip() else [], []
                write("(a new conversation)\n")
            elif word == "/reset":
                said = []
                write("(forgotten)\n")
            elif word.startswith("/") and "/" not in word[1:]:
                write(f"({HELP})\n")
            else:
                said.append({"role": "user", "content": text})
                answer = answered(here, answering, [*system, *said], write, seconds, seed + number)
                if answer:
                    said.append({"role": "assistant", "content": answer})
                else:
                    said.pop()


def answered(
    here: Opened, answering: Answering, messages: list[dict[str, str]], write: Callable[[str], Any], seconds: float, seed: int
) -> str:
    """The answer, written as it comes; "" where there is none, and then why was written."""
    prompt = here.policy.prompt_tokens(Ask(as_trained(messages, here.asking)))
    room = here.longest - len(prompt) if here.longest else LONGEST
    if room < 1:
        write(f"(this conversation is longer than the model's context of {here.longest} tokens: /reset)\n")
        return ""
    news: queue.SimpleQueue[None] = queue.SimpleQueue()
    limit = min(here.asking.max_tokens or LONGEST, room)
    until = time.monotonic() + seconds
    row = Row(prompt, seed, limit, here.asking.sampling, until, lambda: news.put(None), streamed=True)
    answering.add([row])
    shown = 0
    try:
        while True:
            news.get(timeout=seconds + 60)
            end, text = row.over, steady(row)  # the end first: what is then read is all of it
            write(tables.safe(text[shown:]))
            shown = len(text)
            if end:
                break
    finally:
        row.gone = True
    write({"length": " … (cut off)\n", "late": f" … (no end within {seconds:g} s)\n"}.get(row.stop, "\n"))
    if row.stop == "failed":
        write(f"(the model failed: {tables.safe(row.why)})\n")
        return ""
    return row.text
