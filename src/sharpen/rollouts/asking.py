"""How a model is asked: the system message, what stands behind each question, and the limits; and the file that keeps it.

What a model was trained with goes with it: an export holds `asking.json`, and whoever asks the model again reads it there.

    {"system": "", "prompt_suffix": null, "instructions": {"number": "…"}, "max_tokens": 96,
     "sampling": {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "stop": []}}

The file is data: texts and numbers, of bounded size, and nothing of it is run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from sharpen.core import PLAIN, Ask, Measure, Message, RolloutGenerator, Sampling, Task, UserError
from sharpen.verify import instruction, shown_tools

FILE = "asking.json"
LARGEST = 2**20  # bytes
SHOWN = 300  # characters of a text that are shown to people


@dataclass(frozen=True)
class Asking:
    """How a model is asked.

    system         message before every prompt, put before one that the prompt has itself; "": none
    prompt_suffix  what stands behind every question, after an empty line; None: what `instructions` say of its verifier,
                   unless there is a system message, or the prompt says itself how to answer
    instructions   by verifier (verify/instructions.py)
    max_tokens     longest answer, in tokens; 0: not said
    sampling       how answers were drawn in training
    """

    system: str = ""
    prompt_suffix: str | None = ""
    instructions: Mapping[str, str] = field(default_factory=dict)
    max_tokens: int = 0
    sampling: Sampling = PLAIN

    @property
    def silent(self) -> bool:
        """Whether nothing is told beside the question."""
        return not self.system and self.prompt_suffix == ""

    def suffix(self, task: Task) -> str:
        """What is put behind the question of this task."""
        if self.prompt_suffix is not None:
            return self.prompt_suffix
        return "" if self.system else instruction(task, self.instructions)

    def __str__(self) -> str:
        """For people: what is told, and the limits."""
        told = [f"after the system message {in_short(self.system)!r}"] if self.system else []
        if self.prompt_suffix is None and not self.system and any(self.instructions.values()):
            told.append("told of each question how its answer is read")
        told += [f"with {in_short(self.prompt_suffix)!r} behind each question"] if self.prompt_suffix else []
        told += [f"for answers of at most {self.max_tokens} tokens"] if self.max_tokens else []
        return ", ".join(told) or "with the question alone"


def in_short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text):,} characters)"


UNTOLD = Asking()


def asked(rollout: RolloutGenerator, task: Task, asking: Asking) -> RolloutGenerator:
    """The rollout, each conversation of the student begun as `asking` says, with the task's tools. Roles are asked as ever."""
    plain = asking.silent and task.verifier != "tool_call"
    return rollout if plain else passed_on(rollout, partial(told, task=task, asking=asking))


def told(event: Any, task: Task, asking: Asking) -> Any:
    """An event of a rollout of this task, as it is asked of the student. What goes on with a conversation stays as it is."""
    if not isinstance(event, Ask | Measure) or event.role:
        return event
    suffix = asking.suffix(task)
    if isinstance(event, Ask) and event.hook is not None and event.hook.beside:
        beside = (
            replace(b, messages=messages(task, b.messages, asking.system, suffix)) if b.messages and not b.role else b
            for b in event.hook.beside
        )
        event = replace(event, hook=replace(event.hook, beside=tuple(beside)))
    if isinstance(event, Ask) and event.after is not None:
        return event
    said = messages(task, event.messages, asking.system, suffix)
    if isinstance(event, Measure):
        return replace(event, messages=said)
    answer = formed(event.answer, suffix) if event.answer is not None and event.answer == task.answer else event.answer
    tools = tuple(shown_tools(task.data.get("tools") or ())) if task.verifier == "tool_call" else event.tools
    return replace(event, messages=said, answer=answer, tools=tools)


def passed_on(rollout: RolloutGenerator, change: Callable[[Any], Any]) -> Generator[Any, Any, Any]:
    """A generator that yields what another does, each event changed, and is sent what came of it."""
    try:
        wish = next(rollout)
        while True:
            wish = [change(event) for event in wish] if isinstance(wish, list) else change(wish)
            try:
                got = yield wish
            except Exception as error:  # what failed is raised where it was asked for
                wish = rollout.throw(error)
            else:
                wish = rollout.send(got)
    except StopIteration as end:
        return end.value


def messages(task: Task, said: Sequence[Message], system: str, suffix: str) -> tuple[Message, ...]:
    """Messages with the system message, and the suffix behind the last one that asks the task's question."""
    found = list(after_system(said, system))
    question = task.prompt[-1]["content"] if task.prompt else ""
    for i in reversed(range(len(found))) if suffix and isinstance(question, str) else ():
        content = found[i]["content"]
        if found[i]["role"] == "user" and isinstance(content, str) and content.startswith(question):
            found[i] = {**found[i], "content": f"{content}\n\n{suffix}"}
            break
    return tuple(found)


def after_system(said: Sequence[Message], system: str) -> tuple[Message, ...]:
    """Messages after a system message: one that they begin with already comes behind it, for templates take only one."""
    if not system:
        return tuple(said)
    if said and said[0]["role"] == "system":
        own = str(said[0]["content"])
        return ({**said[0], "content": own if system in own else f"{system}\n\n{own}"}, *said[1:])
    return ({"role": "system", "content": system}, *said)


def formed(answer: str, suffix: str) -> str:
    """A bare right answer in the form that the model is told to give it in, so that what is shown is what is asked for."""
    forms = {
        "<answer>": f"<answer>{answer}</answer>",
        "\\boxed": f"\\boxed{{{answer}}}",
        "The answer is": f"The answer is {answer}",
    }
    return next((form for mark, form in forms.items() if mark in suffix), answer)


# The file.


def write(asking: Asking, directory: Path) -> None:
    text = json.dumps(asdict(asking), ensure_ascii=False, indent=1)
    (directory / FILE).write_text(text + "\n", encoding="utf-8")


def read(directory: Path) -> Asking | None:
    """How a model of this directory is asked; None where it says nothing. Raises UserError where the file is broken."""
    path = directory / FILE
    if not path.is_file():
        return None
    cure = f"Mend {path}, or delete it, and the model is asked as any other."
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is larger than 1 MiB")
        found = json.loads(path.read_text(encoding="utf-8"))
        return parsed(found)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} does not say how the model is asked: {error}. {cure}") from error


def parsed(found: Any) -> Asking:
    """What JSON says. Raises ValueError where it is something else."""
    if not isinstance(found, dict) or (unknown := set(found) - {f.name for f in fields(Asking)}):
        raise ValueError(f"an unknown field {sorted(unknown)[0]!r}" if isinstance(found, dict) else "it is no object")
    told = found.get("instructions", {})
    suffix, limit = found.get("prompt_suffix", ""), found.get("max_tokens", 0)
    if not isinstance(found.get("system", ""), str) or not isinstance(suffix, str | None):
        raise ValueError("'system' and 'prompt_suffix' must be text")
    if not isinstance(told, dict) or not all(isinstance(text, str) for text in told.values()):
        raise ValueError("'instructions' must be texts by verifier")
    if not whole(limit):
        raise ValueError("'max_tokens' must be a whole number from 0")
    drawn = found.get("sampling", {})
    numbers = {"temperature": 1e6, "top_p": 1.0, "min_p": 1.0}
    if not isinstance(drawn, dict) or set(drawn) - {*numbers, "top_k", "stop"} or not whole(drawn.get("top_k", 0)):
        raise ValueError(f"'sampling' must have {', '.join(numbers)}, top_k and stop")
    for name, most in numbers.items():
        value = drawn.get(name, 1.0 if name != "min_p" else 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise ValueError(f"{name!r} must be a number from 0 to {most:g}")
    stop = drawn.get("stop", [])
    if not isinstance(stop, list) or not all(isinstance(text, str) and text for text in stop):
        raise ValueError("'stop' must be a list of texts")
    return Asking(found.get("system", ""), suffix, told, limit, Sampling(**{**drawn, "stop": tuple(stop)}))


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
