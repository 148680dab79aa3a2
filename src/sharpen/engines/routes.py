"""How each kind of server is asked for tokens, and what it says: vLLM's tokens in and out, vLLM's completions, SGLang.

Token ids go in and come out; nothing is tokenised on the way. What a server says is checked: the ids are of our vocabulary,
each has its log-probability, and they are the ids that were asked about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpen.core import Sampling, UserError
from sharpen.hashing import derive
from sharpen.models.engine import generate

SHOWN = 120  # characters of what a reply could not be read for


class Wrong(Exception):
    """A server said what must not be learnt from. `name` is the fault's."""

    def __init__(self, name: str, why: str):
        super().__init__(why)
        self.name = name


@dataclass(frozen=True)
class Said:
    """What a server generated: token ids (N,) int32, their log-probabilities (N,) float32, of the prompt where they were asked
    for (P,), NaN first; and the weights that wrote it, where the server says so."""

    tokens: np.ndarray
    logprobs: np.ndarray
    prompt: np.ndarray | None = None
    weights: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """A way to ask. `body(request, model, end ids, prompt)` makes the JSON, `parse(reply, request)` a `Said`.

    prompt  whether log-probabilities of the prompt are wanted
    """

    name: str
    path: str
    body: Callable[[generate.Request, str, Sequence[int], bool], dict[str, Any]]
    parse: Callable[[Mapping[str, Any], generate.Request], Said]

    def read(self, reply: Mapping[str, Any], request: generate.Request, prompt: bool = False) -> Said:
        """What a reply says. Raises Wrong, also where it has another shape than this route's."""
        try:
            said = self.parse(reply, request)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # of values that are others' too
            why = " ".join(str(error).split())[:SHOWN]
            raise Wrong(
                "other_version", f"its reply has another shape than {self.name} ({type(error).__name__}: {why})"
            ) from error
        if prompt and said.prompt is None:
            raise Wrong(
                "logprobs_missing", "it gave no log-probabilities of the prompt, so nothing shows which weights it runs"
            )
        return said


def alike(sampling: Sampling) -> None:
    """UserError where a server would not draw as it is computed here: two cuts together are taken one after the other there,
    and side by side here."""
    cuts = {"top_k": sampling.top_k > 0, "top_p": sampling.top_p < 1, "min_p": sampling.min_p > 0}
    if sampling.temperature > 0 and sum(cuts.values()) > 1:
        both = " and ".join(name for name, there in cuts.items() if there)
        raise UserError(
            f"{both} together mean other probabilities on a server than here, and learning would be biased without a sign of "
            "it. Use one of them, or run without --engines."
        )


def drawing(request: generate.Request, end_ids: Sequence[int]) -> dict[str, Any]:
    """What vLLM calls sampling parameters."""
    how = request.sampling
    alike(how)
    found: dict[str, Any] = {
        "temperature": how.temperature,
        "top_p": how.top_p,
        "top_k": how.top_k or -1,
        "min_p": how.min_p,
        "seed": request.seed,
        "max_tokens": request.max_tokens,
        "stop_token_ids": list(end_ids),
    }
    if request.drawn:  # it goes on: an engine that does not know where would draw the same random numbers again
        found["seed"] = derive(request.seed, "drawn", request.drawn)
        found["extra_args"] = {"drawn": request.drawn, "seed": request.seed}
    return found


def _tokens_body(request: generate.Request, model: str, end_ids: Sequence[int], prompt: bool) -> dict[str, Any]:
    drawn = drawing(request, end_ids) | {"logprobs": 1} | ({"prompt_logprobs": 1} if prompt else {})
    return {"model": model, "token_ids": request.prompt.tolist(), "sampling_params": drawn, "output_mode": "tokens"}


def _tokens_read(reply: Mapping[str, Any], request: generate.Request) -> Said:
    choice = _choice(reply)
    content = (choice.get("logprobs") or {}).get("content")
    values = None if content is None else [entry.get("logprob") for entry in content]
    spans = reply.get("weight_versions") or choice.get("weight_versions") or ()
    weights = tuple(dict.fromkeys(str(span.get("version")) for span in spans))
    return checked(choice.get("token_ids"), values, request, _prompt(reply.get("prompt_logprobs"), request), weights)


def _completions_body(request: generate.Request, model: str, end_ids: Sequence[int], prompt: bool) -> dict[str, Any]:
    asked = {"model": model, "prompt": request.prompt.tolist(), "return_token_ids": True, "logprobs": 1}
    body = asked | drawing(request, end_ids) | ({"prompt_logprobs": 1} if prompt else {})
    if request.sampling.stop:
        body |= {"stop": list(request.sampling.stop), "include_stop_str_in_output": True}
    return body


def _completions_read(reply: Mapping[str, Any], request: generate.Request) -> Said:
    choice = _choice(reply)
    asked = choice.get("prompt_token_ids")
    if asked is not None and list(asked) != request.prompt.tolist():
        raise Wrong("other_ids", "the server answered another prompt than it was asked: its token ids are not those sent")
    values = (choice.get("logprobs") or {}).get("token_logprobs")
    said = choice.get("prompt_logprobs", reply.get("prompt_logprobs"))
    return checked(choice.get("token_ids"), values, request, _prompt(said, request), ())


def _sglang_body(request: generate.Request, model: str, end_ids: Sequence[int], prompt: bool) -> dict[str, Any]:
    drawn = drawing(request, end_ids)
    drawn["max_new_tokens"], drawn["sampling_seed"] = drawn.pop("max_tokens"), drawn.pop("seed")
    drawn.pop("extra_args", None)
    found = {"input_ids": request.prompt.tolist(), "sampling_params": drawn, "return_logprob": True}
    return found | ({"logprob_start_len": 0} if prompt else {})


def _sglang_read(reply: Mapping[str, Any], request: generate.Request) -> Said:
    told = reply.get("meta_info") or {}
    pairs = told.get("output_token_logprobs")
    values = None if pairs is None else [pair[0] for pair in pairs]
    ids = reply.get("output_ids", None if pairs is None else [pair[1] for pair in pairs])
    if pairs is not None and ids != [pair[1] for pair in pairs]:
        raise Wrong("other_ids", "the server's token ids are not those that its log-probabilities belong to")
    before = told.get("input_token_logprobs")
    prompt = None if before is None else np.array([math.nan if p[0] is None else p[0] for p in before], dtype=np.float32)
    weights = (str(told["weight_version"]),) if told.get("weight_version") else ()
    return checked(ids, values, request, prompt, weights)


TOKENS = Route("vLLM's tokens in and out", "/inference/v1/generate", _tokens_body, _tokens_read)
COMPLETIONS = Route("completions with token ids", "/v1/completions", _completions_body, _completions_read)
SGLANG = Route("SGLang", "/generate", _sglang_body, _sglang_read)
ROUTES = (TOKENS, COMPLETIONS, SGLANG)


def _choice(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = reply.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise Wrong("other_version", "the server's reply has not one choice: it speaks another version of the route")
    return choices[0]


def _prompt(said: Any, request: generate.Request) -> np.ndarray | None:
    """(P,) log-probabilities of the prompt's own tokens, from vLLM's list of {token id: {"logprob": …}}."""
    if said is None:
        return None
    if len(said) != len(request.prompt):
        raise Wrong("other_ids", f"the server scored {len(said)} tokens of a prompt of {len(request.prompt)}")
    found = [math.nan]
    for token, entry in zip(request.prompt[1:].tolist(), said[1:], strict=True):
        if not isinstance(entry, dict) or str(token) not in entry:
            raise Wrong("other_ids", f"the server's log-probabilities are not of the token ids sent: {token} is missing")
        found.append(entry[str(token)]["logprob"])
    return np.array(found, dtype=np.float32)


def checked(ids: Any, values: Any, request: generate.Request, prompt: np.ndarray | None, weights: tuple[str, ...]) -> Said:
    """Raises Wrong where ids or log-probabilities are missing, or are not of each other."""
    if not isinstance(ids, list) or not all(type(i) is int and i >= 0 for i in ids):
        raise Wrong("ids_missing", "the server gave no token ids; vLLM gives them from version 0.10.2 on")
    if values is None or any(v is None for v in values):
        raise Wrong("logprobs_missing", "the server gave token ids without log-probabilities, so nothing can be learnt of them")
    if len(values) != len(ids):
        raise Wrong("other_ids", f"the server gave {len(ids)} token ids and {len(values)} log-probabilities")
    if len(ids) > request.max_tokens or not ids:
        raise Wrong("other_version", f"{len(ids)} tokens came where at most {request.max_tokens} were asked for")
    logprobs = np.array(values, dtype=np.float32)
    if not np.isfinite(logprobs).all():
        raise Wrong("logprobs_missing", "a log-probability of the server's is no number")
    return Said(np.array(ids, dtype=np.int32), logprobs, prompt, weights)
