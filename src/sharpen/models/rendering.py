"""A chat template is a program of somebody else's; one that never ends would hang whatever renders it, so it is tried first.

The trial is this file run by itself, with limits of processor time, memory and length: a short, a long, and a long-winded
conversation, one with tools, and one that begins with a system message. It renders as transformers does
(utils/chat_template_utils.py), so what a template raises is left to the real rendering, which says so. It takes a fifth of a
second, once for each template. Not covered: a template that goes wrong with some words only, or at random.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

SECONDS = 5.0  # of processor time for all conversations, so that a busy machine refuses nobody
DEADLINE = 300.0  # seconds of wall time, start and all
MEMORY = 2**30  # bytes of address space
LONGEST = 10**6  # characters that a template may add to what is said
TOOL = {"name": "f", "description": "", "parameters": {"type": "object", "properties": {}, "required": []}}


@functools.cache
def fault(templates: tuple[str, ...], marks: tuple[tuple[str, str], ...], seconds: float = SECONDS) -> str:
    """What is wrong with one of the templates, in words; "" where they end.

    marks  the tokenizer's special tokens by name, which templates see
    """
    given = json.dumps({"templates": templates, "marks": dict(marks), "seconds": seconds})
    path = os.pathsep.join(filter(None, sys.path))
    try:
        found = subprocess.run(
            [sys.executable, "-P", __file__],
            input=given.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            timeout=DEADLINE,
            start_new_session=True,  # Ctrl-C is the run's alone
        )
    except subprocess.TimeoutExpired:
        return f"does not end: a few conversations took more than {DEADLINE:g} s"
    except OSError:
        return ""  # no room for another process: the first prompt will say more
    if found.returncode == -signal.SIGPROF:
        return f"does not end: a few conversations took more than {seconds:g} s of the processor"
    return found.stdout.decode()


def conversations() -> list[list[dict[str, Any]]]:
    question, answer = {"role": "user", "content": "?"}, {"role": "assistant", "content": "<think>so</think>!"}
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    called = {"role": "assistant", "content": "", "tool_calls": [call]}
    return [
        [question],
        [question, {**answer, "content": "!"}],
        [{"role": "system", "content": "@"}, question],
        [{**question, "content": "What is it? " * 5000}],
        [{"role": "system", "content": "@"}, *[question, answer] * 64, question],
        [question, called, {"role": "tool", "name": "f", "content": "2"}],
    ]


def main() -> None:
    """Try every template with every conversation; write what is wrong, or nothing."""
    import resource

    given = json.loads(sys.stdin.read())
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_PROF, given["seconds"])  # nothing handles it, so it kills, whatever is being computed
    for template in given["templates"]:
        try:
            made = compiled(template)
        except MemoryError:
            return write(f"needs more than {MEMORY >> 20} MiB by itself")
        except Exception:  # the real rendering says what it is
            continue
        for said in conversations():
            for told in ({}, {"add_generation_prompt": True}, {"add_generation_prompt": True, "tools": [TOOL]}):
                try:
                    shown = made.render(**given["marks"], messages=said, documents=None, **{"tools": None, **told})
                except MemoryError:
                    return write(f"needs more than {MEMORY >> 20} MiB for one conversation")
                except Exception:  # as above
                    continue
                words = len(json.dumps(said))
                if len(shown) > words * 10 + LONGEST:
                    return write(f"writes {len(shown):,} characters where {words:,} were said")


def write(text: str) -> None:
    sys.stdout.write(text)


def compiled(template: str) -> Any:
    """A template in the environment that transformers gives it."""
    from datetime import datetime

    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("written"), [], [], body).set_lineno(line)

        def written(self, caller: Any) -> Any:
            return caller()

    def tojson(x: Any, ensure_ascii: bool = False, **how: Any) -> str:
        return json.dumps(x, ensure_ascii=ensure_ascii, **how)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    world = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    world.filters["tojson"] = tojson
    world.globals |= {"raise_exception": raise_exception, "strftime_now": lambda form: datetime.now().strftime(form)}
    return world.from_string(template)


def of(tokenizer: Any) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The templates of a tokenizer, and its special tokens by name."""
    held = getattr(tokenizer, "chat_template", None)
    templates = held.values() if isinstance(held, Mapping) else [held]
    marks = {name: str(mark) for name, mark in tokenizer.special_tokens_map.items() if not isinstance(mark, list)}
    return tuple(t for t in templates if isinstance(t, str)), tuple(sorted(marks.items()))


if __name__ == "__main__":
    main()
