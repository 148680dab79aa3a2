"""What clients get, as OpenAI's API has it, with vLLM's token ids where they are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sharpen.serve.answering import Row
from sharpen.serve.asked import Refused, Wanted

ENDS = {"end": "stop", "stop": "stop", "length": "length"}
SHAPES = {
    (True, False): ("chatcmpl", "chat.completion"),
    (True, True): ("chatcmpl", "chat.completion.chunk"),
    (False, False): ("cmpl", "text_completion"),
    (False, True): ("cmpl", "text_completion"),
}


def whole(head: Mapping[str, Any], wanted: Wanted, rows: Sequence[Row], tokenizer: Any) -> dict[str, Any]:
    """The answer to a request that is not streamed. `rows` are the n answers to each prompt, in order."""
    choices = [choice(wanted, i, row, tokenizer) for i, row in enumerate(rows)]
    found = {**head, "choices": choices, "usage": usage(wanted, rows)}
    if wanted.ids and wanted.chat:
        found["prompt_token_ids"] = wanted.prompts[0].tolist()
    return found


def choice(wanted: Wanted, i: int, row: Row, tokenizer: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"index": i, "finish_reason": ENDS[row.stop], "stop_reason": None}
    if wanted.chat:
        found["message"] = {"role": "assistant", "content": row.text}
        found["logprobs"] = chat_logprobs(row, tokenizer)
    else:
        found["text"] = (tokenizer.decode(row.prompt) if wanted.echo else "") + row.text
        found["logprobs"] = text_logprobs(wanted, row, tokenizer)
    return found | ids(wanted, row)


def ids(wanted: Wanted, row: Row) -> dict[str, Any]:
    if not wanted.ids:
        return {}
    return {"token_ids": list(row.written)} | ({} if wanted.chat else {"prompt_token_ids": row.prompt.tolist()})


def delta(wanted: Wanted, i: int, text: str, new: Sequence[int], first: bool, row: Row, tokenizer: Any) -> dict[str, Any]:
    """One piece of a stream. Log-probabilities come with the last one."""
    found: dict[str, Any] = {"index": i, "finish_reason": ENDS[row.stop] if row.stop else None, "logprobs": None}
    if wanted.chat:
        found["delta"] = ({"role": "assistant"} if first else {}) | {"content": text}
        found["logprobs"] = chat_logprobs(row, tokenizer) if row.stop else None
    else:
        found["text"] = (tokenizer.decode(row.prompt) if wanted.echo and first else "") + text
        found["logprobs"] = text_logprobs(wanted, row, tokenizer) if row.stop else None
    if wanted.ids:
        found["token_ids"] = list(new)
        if first:
            found["prompt_token_ids"] = row.prompt.tolist()
    return found


def usage(wanted: Wanted, rows: Sequence[Row]) -> dict[str, int]:
    before, after = sum(map(len, wanted.prompts)), sum(len(row.written) for row in rows)
    return {"prompt_tokens": before, "completion_tokens": after, "total_tokens": before + after}


def told(row: Row) -> list[int]:
    """The tokens that `row.likeliest` is about."""
    return [*(row.prompt.tolist() if row.echo else []), *row.written]


def chat_logprobs(row: Row, tokenizer: Any) -> dict[str, Any] | None:
    if row.likeliest is None:
        return None
    content = []
    for token, logprob, likely, values in zip(told(row), *vars(row.likeliest).values(), strict=True):
        top = [one(tokenizer, int(i), v) for i, v in zip(likely, values, strict=True)]
        content.append(one(tokenizer, token, logprob) | {"top_logprobs": top})
    return {"content": content, "refusal": None}


def one(tokenizer: Any, token: int, logprob: float) -> dict[str, Any]:
    text = tokenizer.decode([token])
    return {"token": text, "logprob": finite(logprob), "bytes": list(text.encode())}


def text_logprobs(wanted: Wanted, row: Row, tokenizer: Any) -> dict[str, Any] | None:
    if row.likeliest is None:
        return None
    tokens = told(row)
    texts = [tokenizer.decode([token]) for token in tokens]
    tops: list[dict[str, float] | None] = []
    for text, logprob, likely, values in zip(texts, *vars(row.likeliest).values(), strict=True):
        found: dict[str, float] = {}
        for i, value in zip(likely, values, strict=True):
            name = tokenizer.decode([int(i)]) if i >= 0 else ""
            # Two tokens may have one text, such as halves of characters: they must not hide each other.
            found[name if name not in found else f"token_id:{int(i)}"] = float(value)
        tops.append(None if math.isnan(logprob) else found | ({} if text in found else {text: float(logprob)}))
    start = 0 if wanted.echo else len(tokenizer.decode(row.prompt))
    offsets = np.cumsum([start, *map(len, texts[:-1])]).tolist() if texts else []
    logprobs = [None if math.isnan(p) else float(p) for p in row.likeliest.logprobs]
    return {"tokens": texts, "token_logprobs": logprobs, "top_logprobs": tops, "text_offset": offsets}


def finite(value: float) -> float:
    """JSON has no infinity; OpenAI's smallest is this."""
    return float(value) if math.isfinite(value) else -9999.0


def error(refused: Refused) -> dict[str, Any]:
    said = {"message": str(refused), "type": refused.kind, "param": refused.param, "code": refused.code}
    return {"error": said}
