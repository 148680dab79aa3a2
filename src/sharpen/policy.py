"""Policies: models that can be asked, scored, trained and saved (the `core.Policy` protocol).

LocalPolicy     any Hugging Face causal LM in this process
ScriptedPolicy  answers from a function: for tests of rollouts, verifiers and loops without a model
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F
from transformers.utils import logging as transformers_logging

from sharpen import engine, objective, transformer
from sharpen.core import Ask, Batch, Message, Sample, Tableau, Turn, UserError

transformers_logging.disable_progress_bar()  # saving a checkpoint is no news

MICRO_TOKENS = 8192  # padded tokens in one forward and backward pass
MICRO_LOGITS = 2**26  # logits held at once
PADDING = 1.1  # padded tokens per real one that a pass may hold …
ENOUGH = 512  # … once it has tokens enough to keep the processor busy
MAX_GRAD_NORM = 1.0


class LocalPolicy:
    """A causal LM with its tokenizer and AdamW state.

    Weights and optimizer are float32. With precision "bf16" generation runs on a bfloat16 copy and training under autocast.
    Tokens go in and out: a conversation is never re-tokenised.

    average  > 0: a running mean of the weights, mean ← average * mean + (1 - average) * weights after each update, is what
             `averaged` answers with and what a checkpoint holds as its model. It takes out the noise of a high learning
             rate as a decay of the rate would, at every step (Polyak & Juditsky 1992; Izmailov et al., arXiv 1803.05407)
    """

    def __init__(self, model: Any, tokenizer: Any, precision: str = "auto", average: float = 0.0):
        self.model, self.tokenizer, self.average = model, tokenizer, average
        self.version = 0
        self.bf16 = precision == "bf16" or (precision == "auto" and fast_bf16())
        self.actor = copy.deepcopy(model).to(torch.bfloat16) if self.bf16 else model
        self.end_ids = end_ids(model, tokenizer)
        self.pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.end_ids[0]
        parameters = [p for p in model.parameters() if p.requires_grad]
        self.mean = [p.detach().clone() for p in parameters] if average else []
        self.optimizer = torch.optim.AdamW(parameters, lr=0.0, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
        if not getattr(tokenizer, "chat_template", None):
            raise UserError(
                "the tokenizer has no chat template, so it is not known how the model marks turns. Put a chat_template.jinja "
                "beside its tokenizer.json (instruct models ship one; copy it from the model yours was trained from)"
            )
        self.render = lru_cache(maxsize=100_000)(self._render)
        self.encode = lru_cache(maxsize=100_000)(self._encode)

    def _render(self, messages: str, generation: bool) -> str:
        return self.tokenizer.apply_chat_template(json.loads(messages), add_generation_prompt=generation, tokenize=False)

    def _encode(self, text: str) -> np.ndarray:
        return np.array(self.tokenizer(text, add_special_tokens=False)["input_ids"], dtype=np.int32)

    def prompt_tokens(self, ask: Ask) -> np.ndarray:
        """(P,) int32: the conversation up to where the model's turn begins."""
        messages = json.dumps([dict(m) for m in ask.messages])
        if ask.after is None:
            return self.encode(self.render(messages, True))
        # What the template writes between an assistant's words and the next turn, found on a conversation that holds a
        # mark; the real conversation's tokens stay as they were sampled.
        opening = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "@@"}]
        text = self.render(json.dumps([*opening, *json.loads(messages)]), True).split("@@", 1)[1]
        for end in self.end_ids:
            mark = self.tokenizer.decode([end])
            if text.startswith(mark) and int(ask.after.tokens[-1]) == end:
                text = text[len(mark) :]
        return np.concatenate([ask.after.tokens, self.encode(text)])

    def respond(self, asks: Sequence[Ask], seeds: Sequence[int], max_tokens: int, temperature: float) -> list[Turn]:
        """Answer every ask, in order. Forced answers cost no generation."""
        prompts = [self.prompt_tokens(ask) for ask in asks]
        requests = [
            engine.Request(
                prompt,
                seed,
                max_tokens if ask.max_tokens is None else ask.max_tokens,
                temperature if ask.temperature is None else ask.temperature,
            )
            for ask, prompt, seed in zip(asks, prompts, seeds, strict=True)
            if ask.answer is None
        ]
        generations = iter(engine.generate(self.actor, requests, self.end_ids, self.pad_id))
        made = [next(generations) if ask.answer is None else self.force(ask.answer) for ask in asks]
        texts = self.tokenizer.batch_decode([g.tokens for g in made], skip_special_tokens=True)
        return [self.turn(*row) for row in zip(asks, prompts, made, texts, strict=True)]

    def force(self, answer: str) -> engine.Generation:
        tokens = np.append(self.encode(answer), np.int32(self.end_ids[0]))
        return engine.Generation(tokens.astype(np.int32), np.zeros(len(tokens), dtype=np.float32), True)

    def turn(self, ask: Ask, prompt: np.ndarray, made: engine.Generation, text: str) -> Turn:
        sampled, logprobs = np.zeros(len(prompt), dtype=bool), np.zeros(len(prompt), dtype=np.float32)
        if ask.after is not None:
            sampled[: len(ask.after.tokens)] = ask.after.sampled
            logprobs[: len(ask.after.tokens)] = ask.after.logprobs
        return Turn(
            text=text,
            tokens=np.concatenate([prompt, made.tokens]),
            sampled=np.concatenate([sampled, np.ones(len(made.tokens), dtype=bool)]),
            logprobs=np.concatenate([logprobs, made.logprobs]),
            stop="forced" if ask.answer is not None else "end" if made.ended else "length",
            version=self.version,
        )

    def logprobs(self, batch: Batch) -> np.ndarray:
        out = np.zeros(batch.tokens.shape, dtype=np.float32)
        with torch.no_grad():
            for rows, width in micro_batches(batch, np.arange(len(batch)), self.model.config.vocab_size):
                out[rows, :width] = self.forward(batch, rows, width).numpy()
        return out

    def forward(self, batch: Batch, rows: np.ndarray, width: int) -> Tensor:
        """(rows, width) log-probabilities of the trained tokens, 0 elsewhere; logits only where they are needed."""
        tokens = torch.from_numpy(batch.tokens[rows, :width])
        mask = torch.from_numpy(batch.mask[rows, :width]) > 0
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            if transformer.supported(self.model):
                hidden = transformer.hidden_states(self.model, tokens)[:, :-1][mask[:, 1:]]
                logits = self.model.lm_head(hidden)
            else:
                attention = torch.arange(width)[None] < torch.from_numpy(batch.lengths[rows])[:, None]
                logits = self.model(input_ids=tokens, attention_mask=attention.long()).logits[:, :-1][mask[:, 1:]]
        chosen = tokens[:, 1:][mask[:, 1:]]
        logp = -F.cross_entropy(logits.float() / batch.temperature, chosen, reduction="none")
        return torch.zeros(tokens.shape).masked_scatter(mask, logp)

    def update(self, batch: Batch, tableau: Tableau, lr: float) -> dict[str, float]:
        """One AdamW step on the whole batch, accumulated over micro-batches. Rows without advantage cost nothing.

        Raises ValueError, before any weight is touched, where rewards, log-probabilities or gradients are not finite.
        """
        advantage = tableau.advantage(batch)
        rows = np.flatnonzero((advantage != 0) & (batch.mask.sum(1) > 0))
        loss, gap, seen = 0.0, 0.0, 0
        for part, width in micro_batches(batch, rows, self.model.config.vocab_size):
            logp = self.forward(batch, part, width)
            coefficients = objective.coefficients(tableau, batch, logp.detach(), part)
            term = -(coefficients * logp).sum()
            term.backward()
            loss += float(term.detach())
            sampling = torch.from_numpy(batch.sampling[part, :width])
            drawn = sampling != 0  # forced answers have no sampling log-probability
            gap += float((logp.detach() - sampling).abs()[drawn].sum())
            seen += int(drawn.sum())
        norm = 0.0
        if len(rows):
            norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRAD_NORM))
            if not np.isfinite(norm):
                self.optimizer.zero_grad()
                raise ValueError(f"the gradient is not finite (norm {norm}); the step is refused and no weight has changed")
            for settings in self.optimizer.param_groups:
                settings["lr"] = lr
            self.optimizer.step()
            self.optimizer.zero_grad()
            for mean, (_, weights) in zip(self.mean, self.named()):
                mean.lerp_(weights.detach(), 1 - self.average)
        self.version += 1
        self.refresh()
        trained = float(batch.mask[rows].sum())
        mismatch = gap / seen if seen else 0.0
        return dict(loss=loss, grad_norm=norm, mismatch=mismatch, rows_trained=float(len(rows)), tokens_trained=trained)

    def refresh(self) -> None:
        """Copy the weights to the generating copy, where there is one."""
        if self.actor is not self.model:
            with torch.no_grad():
                for target, origin in zip(self.actor.parameters(), self.model.parameters(), strict=True):
                    target.copy_(origin)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the policy answers with the running mean of its weights, where it keeps one."""
        latest = [p.detach().clone() for _, p in self.named()] if self.mean else []
        self.put(self.mean)
        try:
            yield
        finally:
            self.put(latest)

    def put(self, values: Sequence[Tensor]) -> None:
        """Overwrite the trained weights, where there are any values."""
        with torch.no_grad():
            for value, (_, weights) in zip(values, self.named()):
                weights.copy_(value)
        self.refresh()

    def save(self, directory: str) -> None:
        """A directory that transformers loads, with optimizer.safetensors and policy.json beside the model."""
        path = Path(directory)
        with self.averaged():
            self.model.save_pretrained(path)
        self.tokenizer.save_pretrained(path)
        state = {f"{key}:{name}": t for name, p in self.named() for key, t in self.optimizer.state.get(p, {}).items()}
        if self.mean:
            state |= {f"latest:{name}": p.detach() for name, p in self.named()}
        save_file({k: t.contiguous() for k, t in state.items()}, path / "optimizer.safetensors")
        (path / "policy.json").write_text(json.dumps({"version": self.version}))

    def load(self, directory: str) -> None:
        """Restore what `save` wrote, bit for bit."""
        path = Path(directory)
        saved = type(self.model).from_pretrained(path, dtype=torch.float32, local_files_only=True)
        self.model.load_state_dict(saved.state_dict())
        self.mean = [p.detach().clone() for _, p in self.named()] if self.average else []
        self.optimizer.state.clear()
        parameters = dict(self.named())
        for key, tensor in load_file(path / "optimizer.safetensors").items():
            field, name = key.split(":", 1)
            if field == "latest":
                parameters[name].data.copy_(tensor)
            else:
                self.optimizer.state[parameters[name]][field] = tensor
        self.version = json.loads((path / "policy.json").read_text())["version"]
        self.refresh()

    def named(self) -> Iterator[tuple[str, Any]]:
        return ((n, p) for n, p in self.model.named_parameters() if p.requires_grad)


class ScriptedPolicy:
    """A policy whose answers come from `reply(messages) -> text`; it never learns, and counts its updates.

    Tokens are the bytes of the conversation, so lengths and masks are real.
    """

    def __init__(self, reply: Callable[[Sequence[Message]], str]):
        self.reply, self.version = reply, 0

    def respond(self, asks: Sequence[Ask], seeds: Sequence[int], max_tokens: int, temperature: float) -> list[Turn]:
        turns = []
        for ask in asks:
            before = ask.after.tokens if ask.after is not None else np.zeros(0, dtype=np.int32)
            prompt = np.concatenate([before, as_bytes("".join(f"<{m['role']}>{m['content']}" for m in ask.messages))])
            text = ask.answer if ask.answer is not None else self.reply(ask.messages)
            limit = max_tokens if ask.max_tokens is None else ask.max_tokens
            words = as_bytes(text)[:limit]
            sampled = np.concatenate([np.zeros(len(prompt), dtype=bool), np.ones(len(words), dtype=bool)])
            if ask.after is not None:
                sampled[: len(before)] = ask.after.sampled
            stop = "forced" if ask.answer is not None else "length" if len(words) == limit else "end"
            tokens = np.concatenate([prompt, words])
            turns.append(Turn(text, tokens, sampled, np.where(sampled, -0.1, 0).astype(np.float32), stop, self.version))
        return turns

    def averaged(self) -> AbstractContextManager[None]:
        return nullcontext()

    def logprobs(self, batch: Batch) -> np.ndarray:
        return np.where(batch.mask > 0, -0.1, 0).astype(np.float32)

    def update(self, batch: Batch, tableau: Tableau, lr: float) -> Mapping[str, float]:
        self.version += 1
        return dict(
            loss=0.0, grad_norm=0.0, mismatch=0.0, rows_trained=float(len(batch)), tokens_trained=float(batch.mask.sum())
        )

    def save(self, directory: str) -> None:
        (Path(directory) / "policy.json").write_text(json.dumps({"version": self.version}))

    def load(self, directory: str) -> None:
        self.version = json.loads((Path(directory) / "policy.json").read_text())["version"]


def load_model(path: Path) -> tuple[Any, Any]:
    """(model, tokenizer) of a local Hugging Face directory, float32. Raises UserError where it is not one that loads.

    Nothing is downloaded, and no code of the directory is run.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not (path / "config.json").is_file():
        raise UserError(f"{path} is not a model: it holds no config.json. Name a directory written by save_pretrained.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"{path} does not load as a causal language model: {error}") from error
    return model.eval(), tokenizer


def as_bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32)


def end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Ids that end a turn. Raises UserError where neither the tokenizer nor the generation settings name one."""
    settings = getattr(model.generation_config, "eos_token_id", None)
    listed = [settings] if isinstance(settings, int) else list(settings or [])
    found = dict.fromkeys(i for i in [tokenizer.eos_token_id, *listed] if i is not None)
    if not found:
        raise UserError("the tokenizer names no end-of-turn token: set eos_token in its tokenizer_config.json")
    return list(found)


def fast_bf16() -> bool:
    """True where the processor multiplies bfloat16 matrices in hardware (AMX or AVX512-BF16)."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def make_batch(samples: Sequence[Sample], temperature: float = 1.0) -> Batch:
    """Samples as right-padded arrays. Unscorable samples are a ValueError: they carry no reward."""
    if any(s.verdict.reward is None for s in samples):
        raise ValueError("an unscorable sample reached the batch: the recipe's data function has to drop it")
    width = max((len(s.rollout.tokens) for s in samples), default=0)
    tokens = np.zeros((len(samples), width), dtype=np.int64)
    mask, sampling = np.zeros((len(samples), width), np.float32), np.zeros((len(samples), width), np.float32)
    for i, s in enumerate(samples):
        n = len(s.rollout.tokens)
        tokens[i, :n], mask[i, :n], sampling[i, :n] = s.rollout.tokens, s.rollout.sampled, s.rollout.logprobs
    mask[:, :1] = 0
    return Batch(
        tokens=tokens,
        mask=mask,
        sampling=sampling * mask,
        reward=np.array([s.verdict.reward for s in samples], dtype=np.float32),
        group=np.array([s.group for s in samples], dtype=np.int64),
        weight=np.array([s.weight for s in samples], dtype=np.float32),
        lengths=np.array([len(s.rollout.tokens) for s in samples], dtype=np.int64),
        temperature=temperature,
    )


def micro_batches(batch: Batch, rows: np.ndarray, vocabulary: int) -> Iterator[tuple[np.ndarray, int]]:
    """(row numbers, width) of passes that fit MICRO_TOKENS and MICRO_LOGITS: rows of like length together, so that little of
    a pass is padding."""
    order = rows[np.argsort(batch.lengths[rows], kind="stable")]
    lengths, trained = batch.lengths[order], batch.mask.sum(1)[order]
    start = 0
    while start < len(order):
        end, real, logits = start, 0, 0.0
        while end < len(order):
            real, logits = real + int(lengths[end]), logits + float(trained[end]) * vocabulary
            padded = (end - start + 1) * int(lengths[end])
            full = padded > MICRO_TOKENS or logits > MICRO_LOGITS
            wasteful = padded > PADDING * real and padded - lengths[end] >= ENOUGH
            if end > start and (full or wasteful):
                break
            end += 1
        yield order[start:end], int(lengths[end - 1])
        start = end
