"""A model that is brought is tried before it is paid for: what it cannot do is said in one sentence, with the cure.

1. Ids and lengths: every id that is used has a row in the embedding, and prompts with their answers have positions.
2. It reads from left to right: what comes behind a token changes nothing of it.
3. It generates as it reads: words of two prompts of different length, drawn together by our engine, have the log-probabilities
   that transformers gives them in one pass, and so do they in the pass that trains.
4. A forced answer is the text that was forced.
5. Saved and loaded it is the same, bit for bit; with adapters, the merged model says what the adapted one says.

A few passes over some fifty tokens; the fifth writes and reads the model once, where it is not above SAVED_BYTES.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sharpen.core import Ask, Batch, FatalDiagnosis, Sampling, UserError
from sharpen.models import adapters, saving
from sharpen.models.engine import generic, transformer
from sharpen.models.loading import broken, in_short, load_weights

SAVED_BYTES = 4 * 2**30
WRITTEN = 6  # tokens drawn after each prompt
# Mean difference of log-probabilities, in nats, above which two ways to compute them are not the same. bfloat16 is off by 0.03.
NEAR = {torch.float32: 0.005, torch.bfloat16: 0.15}
QUESTIONS = ("Hi.", "What is 12 + 30? Answer with the number alone.", "What is 12 + 30? Answer with the number alone.")


def probe(policy: Any, name: str, prompts: Sequence[Ask] = (), max_tokens: int = 0, beside: Path | None = None) -> None:
    """Try a policy. Raises UserError for the first thing that it cannot do, and FatalDiagnosis where its numbers
    are not finite; leaves everything as it was.

    name     the model's, for messages
    prompts  what it will be asked, as far as that is known, and the longest answer
    beside   an existing directory on the disk that checkpoints go to; None: it will not be saved
    """
    asks = [Ask(({"role": "user", "content": question},)) for question in QUESTIONS]
    with _told(name):
        check_ids(policy, name)
        check_lengths(policy, name, prompts or asks, max_tokens)
        rows = [policy.prompt_tokens(ask) for ask in asks]
        if not min(map(len, rows)) or np.array_equal(rows[0], rows[1]):
            raise UserError(
                f"{name}: its chat template does not write what the user says, so every question is the same to it. Put the "
                "chat_template.jinja of the model that it was made from beside its tokenizer.json."
            )
        check_reading(policy, name, rows[1])
        check_writing(policy, name, asks)
        if policy.recompute and not transformer.supported(policy.model) and not generic.layers(policy.model):
            raise UserError(f"{name}: recompute has nothing to compute again in its layers. Leave it out: --set recompute=no.")
        if beside is not None:
            check_place(beside)
            check_saving(policy, name, rows[1], beside)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What an architecture's own code raises on a plain prompt, as a sentence."""
    try:
        yield
    except (UserError, FatalDiagnosis):
        raise
    except Exception as error:  # it fails in its own ways
        raise UserError(
            f"{name} cannot be used: a plain question makes it fail ({type(error).__name__}: {in_short(error)}). Try it by "
            "itself in transformers, or another version of that; text-only use of a model for images or sound is often "
            "what fails."
        ) from error


def check_ids(policy: Any, name: str) -> None:
    rows = policy.model.get_input_embeddings().weight.shape[0]
    above = [i for i in (*policy.end_ids, policy.pad_id) if i >= rows]
    if above:
        raise UserError(
            f"{name}: the tokenizer's marks go up to {max(above)}, and the model's embedding has {rows} rows: the two are "
            "not of one model. Copy the tokenizer that it was trained with, or resize_token_embeddings and save it."
        )


def check_lengths(policy: Any, name: str, prompts: Sequence[Ask], max_tokens: int) -> None:
    """Raise UserError where the longest prompt with its answer has no positions, or changes those of what came before."""
    rows = policy.model.get_input_embeddings().weight.shape[0]
    tokens = [policy.prompt_tokens(ask) for ask in prompts]
    highest = max((int(t.max()) for t in tokens if len(t)), default=0)
    if highest >= rows:
        raise UserError(
            f"{name}: a prompt becomes the token {highest}, and the model's embedding has {rows} rows. Copy the tokenizer "
            "that it was trained with."
        )
    config = policy.model.config.get_text_config()
    limit = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kind = rope.get("rope_type", "default")
    if kind in ("dynamic", "longrope"):
        limit = (
            rope.get("original_max_position_embeddings") or getattr(config, "original_max_position_embeddings", None) or limit
        )
    longest = max(map(len, tokens)) + max_tokens
    if not isinstance(limit, int) or limit <= 0 or longest <= limit:
        return
    why = f"its positions end at {limit}"
    if kind in ("dynamic", "longrope"):
        why = (
            f"beyond {limit} its positions ({kind}) move those of all earlier tokens, so a text is not what it was when written"
        )
    room = limit - (longest - max_tokens)
    cure = f"--set max_tokens={room} fits" if room > 0 else "leave out the long tasks, or take a model for longer texts"
    raise UserError(
        f"{name}: the longest prompt ({longest - max_tokens} tokens) and an answer of {max_tokens} make {longest}, and "
        f"{why}: {cure}."
    )


@torch.no_grad()
def own(policy: Any, tokens: np.ndarray) -> Tensor:
    """(T, V) float32 log-probabilities after each token, by transformers' own forward pass."""
    ids = torch.from_numpy(tokens.astype(np.int64))[None].to(policy.model.device)
    return generic.call(policy.model, input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1)


def check_reading(policy: Any, name: str, row: np.ndarray) -> None:
    """Finite, and from left to right."""
    whole = own(policy, row)
    if not bool(torch.isfinite(whole).all()):
        raise FatalDiagnosis(f"not_finite: what {name} says is not finite, so no answer means anything. {broken(policy.model)}")
    half = max(len(row) // 2, 1)
    gap = float((own(policy, row[:half]) - whole[:half]).abs().mean())
    if gap > NEAR[policy.model.dtype]:
        raise UserError(
            f"{name} reads ahead: what it says after a token changes with what follows ({gap:.2g} nats), as BERT's kind "
            "does, so it cannot write. Take a causal model; where it was trained as a decoder, set is_decoder in its "
            "config.json."
        )


def check_writing(policy: Any, name: str, asks: Sequence[Ask]) -> None:
    """Engine against transformers, and against the pass that trains; and one forced answer."""
    turns = policy.respond(asks, range(len(asks)), WRITTEN, Sampling())
    width, near = max(len(t.tokens) for t in turns), NEAR[policy.model.dtype]
    tokens, mask, drawn, read = (np.zeros((len(turns), width), dtype=kind) for kind in (np.int64, *[np.float32] * 3))
    for i, turn in enumerate(turns):
        n = len(turn.tokens)
        tokens[i, :n], mask[i, :n], drawn[i, :n] = turn.tokens, turn.sampled, turn.logprobs
        words = torch.from_numpy(tokens[i, 1:n, None]).to(policy.model.device)
        read[i, 1:n] = own(policy, turn.tokens)[:-1].gather(1, words).squeeze(1).cpu().numpy() * mask[i, 1:n]
    ones, lengths = np.ones(len(turns), dtype=np.float32), np.array([len(t.tokens) for t in turns])
    batch = Batch(tokens, mask, drawn, ones, np.array([0, 1, 1]), ones, lengths)
    for what, other in (("generates", drawn), ("trains", policy.logprobs(batch))):
        gap = float(np.abs(read - other).sum() / max(mask.sum(), 1))
        if not gap <= near:
            raise UserError(
                f"{name} {what} otherwise than it reads: the same words differ by {gap:.2g} nats a token from one plain "
                f"pass of {type(policy.model).__name__}. Its architecture is not supported by this version of transformers; "
                "try another."
            )
    forced = policy.respond([Ask(asks[0].messages, answer="42")], [0], WRITTEN, Sampling())[0]
    if forced.text.strip() != "42":
        raise UserError(
            f"{name}: the answer 42, put into its mouth, reads {forced.text!r} when its tokens are turned back into text, "
            "so worked answers cannot be learnt. Copy the tokenizer that it was trained with."
        )


def check_place(beside: Path) -> None:
    """Raise UserError where no directory can be made: that is no fault of the model's."""
    try:
        tempfile.TemporaryDirectory(prefix=".probe-", dir=beside).cleanup()
    except OSError as error:
        raise UserError(f"{beside} cannot be written: {error.strerror or error}. Choose another --run-dir.") from error


def check_saving(policy: Any, name: str, row: np.ndarray, beside: Path) -> None:
    """Saved, loaded and compared; with adapters that add something, since fresh ones add nothing."""
    if sum(t.nbytes for t in policy.model.parameters()) > SAVED_BYTES:
        return
    with _adding(policy), tempfile.TemporaryDirectory(prefix=".probe-", dir=beside) as directory:
        path = Path(directory)
        state = saving.weights(policy.model, policy.trained)
        state = adapters.merged(policy.model, state) if policy.lora else state
        saving.write_model(policy.model, state, path)
        again = load_weights(path, type(policy.model))
        kept = again.state_dict()
        lost = sorted(n for n, t in state.items() if n not in kept or not torch.equal(kept[n], t.to(kept[n].device)))
        if lost:
            raise UserError(
                f"{name}: {lost[0]} is not what it was after saving and loading, so no checkpoint of it would be. Try "
                "another version of transformers."
            )
        if policy.lora:
            with torch.no_grad():
                ids = torch.from_numpy(row.astype(np.int64))[None]
                merged = generic.call(again.to(policy.model.device), input_ids=ids.to(policy.model.device), use_cache=False)
            gap = float((merged.logits[0].float().log_softmax(-1) - own(policy, row)).abs().mean())
            if gap > NEAR[policy.model.dtype]:
                raise UserError(
                    f"{name}: with adapters merged in it differs by {gap:.2g} nats from what was trained, so "
                    f"lora={policy.lora} would not be what is exported. Train the weights themselves: --set lora=0."
                )


@contextmanager
def _adding(policy: Any) -> Iterator[None]:
    """Inside, adapters add something."""
    before = {n: t.detach().clone() for n, t in policy.trained.items()} if policy.lora else {}
    with torch.no_grad():
        for n, (name, tensor) in enumerate(policy.trained.items() if before else ()):
            if ".lora_B." in name:
                wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float32) + n).view_as(tensor)
                tensor.copy_(0.02 * wave)
    policy.refresh()
    try:
        yield
    finally:
        policy.put([before[n] for n in policy.trained] if before else [])
