"""From what is asked to tokens, and from what was generated to a turn: the conversation's side of a `LocalPolicy`.

A conversation is never re-tokenised. One that goes on within the model's own turn keeps its tokens up to where it is cut; the
mark that ended it is taken back.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from sharpen.core import Ask, Sampling, Turn, UserError
from sharpen.models import templates
from sharpen.models.engine import generate
from sharpen.models.engine import hooked as engine

NO_TOOLS = "[]"


def prompt_tokens(policy: Any, ask: Ask) -> np.ndarray:
    """(P,) int32: the conversation up to where the model's turn begins, or goes on."""
    messages = json.dumps([dict(m) for m in ask.messages])
    if ask.after is None:
        return policy.encode(policy.render(messages, True, json.dumps(list(ask.tools)) if ask.tools else NO_TOOLS))
    if ask.goes_on:
        inserted = templates.broken_up(policy.tokenizer, ask.insert)
        return np.concatenate([ask.after.tokens[: kept(policy, ask)], policy.encode(inserted)])
    # What the template writes between an assistant's words and the next turn, found on a conversation that holds a
    # mark; the real conversation's tokens stay as they were sampled.
    opening = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "@@"}]
    text = policy.render(json.dumps([*opening, *json.loads(messages)]), True).split("@@", 1)[1]
    for end in policy.end_ids:
        mark = policy.tokenizer.decode([end])
        if text.startswith(mark) and int(ask.after.tokens[-1]) == end:
            text = text[len(mark) :]
    return np.concatenate([ask.after.tokens, policy.encode(text)])


def kept(policy: Any, ask: Ask) -> int:
    """How many tokens of the conversation before it an ask keeps. Within the model's own turn the mark that ended it, if
    there is one, is taken back."""
    assert ask.after is not None
    whole = len(ask.after.tokens)
    if not ask.goes_on:
        return whole
    n = whole if ask.cut is None else ask.cut
    return n - (n > ask.after.begin and int(ask.after.tokens[n - 1]) in policy.end_ids)


def begun(ask: Ask) -> int:
    """How many tokens of the conversation stand before a further turn; 0 for a first one, and within a turn."""
    return 0 if ask.after is None or ask.goes_on else len(ask.after.tokens)


def used(ask: Ask) -> int:
    """How many random numbers of its seed the turn has used: where it goes on as if it had never been interrupted."""
    goes_on = ask.goes_on and not ask.insert and ask.cut is None
    return ask.after.drawn[1] if goes_on and ask.after else 0


def hooked(policy: Any, ask: Ask, prompt: np.ndarray) -> engine.Hooked | None:
    """An ask's hook as the engine takes it: who reads along is a model with a prompt, and with what the turn has said so
    far. UserError for a role that gives words only, or has another vocabulary."""
    if ask.hook is None:
        return None
    said = prompt[ask.after.begin :] if ask.after is not None and ask.goes_on else prompt[:0]
    beside = []
    for one in ask.hook.beside:
        speaker = one.speaker or policy
        if getattr(speaker, "vocabulary", None) != policy.vocabulary:
            raise UserError(
                f"the role {one.role!r} reads along, so it has to be a model in this process with the student's "
                "vocabulary. Take a directory of the same family."
            )
        before = np.concatenate([speaker.prompt_tokens(Ask(one.messages)), said]) if one.messages else prompt
        beside.append((speaker.model, before))
    return engine.Hooked(ask.hook.change, tuple(beside), ask.hook.hidden, policy.encode)


def forced(policy: Any, answer: str) -> generate.Generation:
    tokens = np.append(policy.encode(answer), np.int32(policy.end_ids[0]))
    return generate.Generation(tokens.astype(np.int32), np.zeros(len(tokens), dtype=np.float32), "forced")


def turn(policy: Any, ask: Ask, prompt: np.ndarray, made: generate.Generation, sampling: Sampling, seed: int) -> Turn:
    """What a generation comes to, with the conversation before it."""
    tokens = np.concatenate([prompt, made.tokens])
    sampled, logprobs = np.zeros(len(tokens), dtype=bool), np.zeros(len(tokens), dtype=np.float32)
    sampled[len(prompt) :], logprobs[len(prompt) :] = True, made.logprobs
    begin, before = len(prompt), 0
    if ask.after is not None:
        before = used(ask)
        n = kept(policy, ask)
        sampled[:n], logprobs[:n] = ask.after.sampled[:n], ask.after.logprobs[:n]
        if ask.goes_on:
            begin = ask.after.begin
    text = policy.text(made.tokens)
    if made.stop == "stop":
        text = text[: min(at for at in map(text.find, sampling.stop) if at >= 0)]
    return Turn(
        text=text,
        tokens=tokens,
        sampled=sampled,
        logprobs=logprobs,
        stop=made.stop,
        version=policy.version,
        begin=begin,
        whole=policy.text(tokens[begin:]) if begin < len(prompt) else "",
        drawn=(seed, before + len(made.tokens)),
    )


def how(ask: Ask, sampling: Sampling) -> Sampling:
    """How an ask is drawn: its own way or the run's, ended by its own strings too."""
    own = ask.sampling or sampling
    return replace(own, stop=(*own.stop, *ask.stop)) if ask.stop else own
