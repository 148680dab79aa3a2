"""What chat templates do: whether they take a system message or tools, and how they end a turn. Each is found by trying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2.exceptions import TemplateError

from sharpen.core import Message, UserError, flat
from sharpen.verify import tools_told

# What a template can make of a conversation.
FAILS = (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError)
MARK = "@@"  # stands for words that are looked for in what a template makes of them
USER, ASSISTANT = {"role": "user", "content": "?"}, {"role": "assistant", "content": MARK}


def render(tokenizer: Any, messages: Sequence[Message], generation: bool, tools: Sequence[Any] = ()) -> str:
    """The conversation as the template writes it.

    Tools that it has no place for are put into the system message, and a system message that it refuses or leaves out is put
    before the first question. Raises UserError where the template refuses the conversation itself.
    """
    said = [defused(tokenizer, flat(message)) for message in messages]
    if any(message["role"] == "tool" for message in said) and not takes_results(tokenizer):
        said = as_questions(said)
    given: dict[str, Any] = {"add_generation_prompt": generation, "tokenize": False}
    if tools and takes_tools(tokenizer):
        given["tools"] = list(tools)
    elif tools:
        said = with_system(said, tools_told(tools))
    if said and said[0]["role"] == "system" and not takes_system(tokenizer):
        said = within_question(said)
    try:
        return tokenizer.apply_chat_template(said, **given)
    except FAILS as error:
        raise UserError(
            f"the model's chat template refuses a conversation: {str(error).rstrip('.')}. Its roles: {roles(said)}."
        ) from error


def defused(tokenizer: Any, message: dict[str, Any]) -> dict[str, Any]:
    """What a tool or an environment wrote, its marks of the template's broken up: <|im_end|> becomes < |im_end|>."""
    if not message.pop("observed", False):
        return message
    return {**message, "content": broken_up(tokenizer, message["content"])}


def broken_up(tokenizer: Any, text: str) -> str:
    for mark in {*tokenizer.all_special_tokens, *(str(t) for t in tokenizer.added_tokens_decoder.values() if t.special)}:
        if mark and mark in text:
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text


def takes_results(tokenizer: Any) -> bool:
    """Whether the template shows what a tool said."""
    try:
        answered = [USER, {"role": "assistant", "content": "!"}, {"role": "tool", "name": "f", "content": MARK}]
        shown = tokenizer.apply_chat_template(answered, tokenize=False)
    except FAILS:
        return False
    return MARK in shown


def as_questions(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What tools said, as the user would pass it on: one message for all that follow each other, for roles must alternate."""
    found: list[dict[str, Any]] = []
    for message in said:
        if message["role"] != "tool":
            found.append(message)
            continue
        text = f"<tool_response>\n{message['content']}\n</tool_response>"
        if found and found[-1].get("passed"):
            found[-1]["content"] += f"\n{text}"
        else:
            found.append({"role": "user", "content": text, "passed": True})
    return [{k: v for k, v in message.items() if k != "passed"} for message in found]


def roles(said: Sequence[Message]) -> str:
    return ", ".join(str(message["role"]) for message in said)


def with_system(said: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """Messages whose system message has this text too, before its own."""
    if said and said[0]["role"] == "system":
        return [{**said[0], "content": f"{text}\n\n{said[0]['content']}"}, *said[1:]]
    return [{"role": "system", "content": text}, *said]


def within_question(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The system message before the first question, in the same turn: where Gemma's makers say that it belongs."""
    system, rest = said[0]["content"], said[1:]
    first = next((i for i, message in enumerate(rest) if message["role"] == "user"), None)
    if first is None:
        return [{"role": "user", "content": system}, *rest]
    return [*rest[:first], {**rest[first], "content": f"{system}\n\n{rest[first]['content']}"}, *rest[first + 1 :]]


def takes_system(tokenizer: Any) -> bool:
    """Whether the template shows a system message: some refuse it, and some leave it out without a word."""
    try:
        shown = tokenizer.apply_chat_template([{"role": "system", "content": MARK}, USER], tokenize=False)
    except FAILS:
        return False
    return MARK in shown


def takes_tools(tokenizer: Any) -> bool:
    """Whether the template shows tools."""
    function = {"name": MARK, "description": "", "parameters": {"type": "object", "properties": {}, "required": []}}
    try:
        shown = tokenizer.apply_chat_template([USER], tools=[{"type": "function", "function": function}], tokenize=False)
    except FAILS:
        return False
    return MARK in shown


def turn_end(tokenizer: Any) -> int | None:
    """The token with which the template ends the model's turns, such as <|im_end|> or <end_of_turn>; None where it has none.

    Only a token of the vocabulary's own marks counts, not ordinary text.
    """
    if not getattr(tokenizer, "chat_template", None):
        return None
    try:
        shown = tokenizer.apply_chat_template([USER, ASSISTANT], add_generation_prompt=False, tokenize=False)
    except FAILS:
        return None
    behind = tokenizer(shown.rpartition(MARK)[2], add_special_tokens=False)["input_ids"] if MARK in shown else []
    marks = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    return next((int(token) for token in behind if token in marks), None)
