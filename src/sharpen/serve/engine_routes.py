"""What an engine is asked and says, as JSON: vLLM's routes and SGLang's, for the engine of `contract.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpen.core import Sampling
from sharpen.models.engine import generate
from sharpen.serve.asked import Refused


@dataclass(frozen=True)
class Asked:
    """One request: how it is generated, under which name of weights, and whether its prompt is to be scored."""

    request: generate.Request
    model: str
    prompt: bool
    kind: str  # of its route: "tokens", "completions" or "sglang"


@dataclass(frozen=True)
class Written:
    """What came of it: `prompt` is (P,) log-probabilities, NaN first, or None; `weights` their version."""

    tokens: np.ndarray
    logprobs: np.ndarray
    stop: str
    prompt: np.ndarray | None
    weights: str


def read(kind: str, body: Mapping[str, Any]) -> Asked:
    """Raises Refused for what is no such request."""
    try:
        if kind == "sglang":
            how = dict(body["sampling_params"])
            how["max_tokens"], how["seed"] = how.pop("max_new_tokens"), how.pop("sampling_seed", 0)
            return Asked(_request(body["input_ids"], how), "", "logprob_start_len" in body, kind)
        how = dict(body["sampling_params"] if kind == "tokens" else body)
        ids = body["token_ids"] if kind == "tokens" else body["prompt"]
        return Asked(_request(ids, how), str(body.get("model") or ""), how.get("prompt_logprobs") is not None, kind)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"no request of {kind}: {type(error).__name__}: {error}", status=400) from error


def _request(ids: list[int], how: Mapping[str, Any]) -> generate.Request:
    if not ids or not all(type(i) is int and i >= 0 for i in ids):
        raise ValueError("the prompt is no list of token ids")
    stop = how.get("stop") or ()
    cuts = float(how.get("top_p", 1.0)), float(how.get("min_p", 0.0))
    sampling = Sampling(float(how.get("temperature", 1.0)), max(int(how.get("top_k", 0)), 0), *cuts, tuple(stop))
    on = how.get("extra_args") or {}
    seed, drawn = int(on.get("seed", how.get("seed") or 0)), int(on.get("drawn", 0))
    return generate.Request(np.array(ids, dtype=np.int32), seed, int(how["max_tokens"]), sampling, drawn)


def say(asked: Asked, written: Written) -> dict[str, Any]:
    """The reply."""
    ids, values = written.tokens.tolist(), [float(v) for v in written.logprobs]
    prompt = None
    if written.prompt is not None:
        pairs = zip(asked.request.prompt[1:].tolist(), written.prompt[1:], strict=True)
        prompt = [None, *({str(token): {"logprob": float(value)}} for token, value in pairs)]
    reason = "length" if written.stop == "length" else "stop"
    if asked.kind == "sglang":
        told: dict[str, Any] = {
            "output_token_logprobs": [[v, i, None] for v, i in zip(values, ids, strict=True)],
            "finish_reason": {"type": reason},
            "weight_version": written.weights,
        }
        if written.prompt is not None:
            pairs = zip(written.prompt, asked.request.prompt.tolist(), strict=True)
            told["input_token_logprobs"] = [[None if math.isnan(v) else float(v), i, None] for v, i in pairs]
        return {"output_ids": ids, "meta_info": told}
    choice: dict[str, Any] = {"index": 0, "token_ids": ids, "finish_reason": reason}
    if asked.kind == "completions":
        choice |= {"prompt_token_ids": asked.request.prompt.tolist(), "logprobs": {"token_logprobs": values}}
        return {"object": "text_completion", "choices": [choice | {"prompt_logprobs": prompt}]}
    choice["logprobs"] = {"content": [{"token": f"token_id:{i}", "logprob": v} for i, v in zip(ids, values, strict=True)]}
    spans = [{"version": written.weights, "start": 0, "end": len(ids)}]
    return {"choices": [choice], "prompt_logprobs": prompt, "weight_versions": spans}
