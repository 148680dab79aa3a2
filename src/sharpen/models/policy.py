"""Policies: models that can be asked, scored, trained and saved (the `core.Policy` protocol).

LocalPolicy is any Hugging Face causal LM in this process, on the CPU or a GPU. scripted.py has one without a model, for tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.utils import logging as transformers_logging

from sharpen.core import Ask, Batch, FatalDiagnosis, NotFinite, Sampling, Tableau, Turn, UserError
from sharpen.hashing import digest
from sharpen.models import adapters, logprobs, memory, optimizer, saving, study, templates, turns
from sharpen.models.critic import ValueHead
from sharpen.models.engine import Kept, Prefixes, generate, native, train_products, transformer
from sharpen.models.loading import broken, end_ids, fast_bf16, load_model, refuse_stranger, where
from sharpen.models.paths import Choice, ComputePath
from sharpen.objectives import active, weigh
from sharpen.recipe import PRECISIONS

transformers_logging.disable_progress_bar()  # saving a checkpoint is no news

MAX_GRAD_NORM = 1.0


class LocalPolicy:
    """A causal LM with its tokenizer and AdamW state.

    What is trained, and the optimizer, are float32. With precision "bf16" the model itself, which generates and is run forward
    and backward, is a bfloat16 image of them. Tokens go in and out: a conversation is never re-tokenised.

    average    > 0: a running mean of the weights, mean ← average * mean + (1 - average) * weights after each update, is what
               `averaged` answers with and what a checkpoint holds as its model. It takes out the noise of a high learning
               rate as a decay of the rate would, at every step (Polyak & Juditsky 1992; Izmailov et al., arXiv 1803.05407)
    recompute  gradient checkpointing: less memory, a third more time for learning
    lora       > 0: train adapters of this rank instead of the weights (adapters.py)
    device     "cpu", "cuda", …; "auto": a GPU where there is one
    micro_tokens  tokens of a forward and backward pass, halved where a GPU has no room for them. 0: `memory.pass_tokens`
    offload    beside a bfloat16 model on a GPU: what is trained, and the optimizer, are in the processor's memory
    choice     how the model is run, as `paths.choose` found it; it says the precision where that is "auto"
    optimizer_bits  of AdamW's moments: 32, or 8 (optimizer.py)
    """

    changes = 0  # how often the weights have become others
    elsewhere: Any = None  # who generates in place of this process: generate(policy, requests, finish, tick)
    ranks: Any = None  # the processes that share the weights (ranks.py)
    lent: Any = None  # who still reads the weights to write them (snapshot.py): before they change, `take_back`
    referred = ""  # where the reference is from
    base: Any = None  # what adapters lie on (base.py), where that is known: then they are saved by themselves
    shares = False  # whether it answers beside a policy that learns, with the same frozen weights (picture.py)

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        precision: str = "auto",
        average: float = 0.0,
        recompute: bool = False,
        lora: int = 0,
        device: str = "auto",
        micro_tokens: int = 0,
        offload: bool = False,
        choice: Choice | None = None,
        optimizer_bits: int = 32,
    ):
        self.choice, self.path, self.packed = choice, choice.path if choice else ComputePath(), Kept()
        self.tokenizer, self.average, self.lora = tokenizer, average, lora
        self.recompute, self.optimizer_bits, self.version = recompute, optimizer_bits, 0
        self.prefixes: Prefixes | None = None
        self.reference: Any = None
        self.critic: ValueHead | None = None
        self.tick: Callable[[str, float], None] = unheard
        self.past: dict[str, Tensor] = {}
        self.unused = memory.Unused(places=2)
        device = where(device)
        if precision not in PRECISIONS:
            raise UserError(f"precision={precision}: there are {', '.join(PRECISIONS)}.")
        if precision == "auto":
            precision = self.path.precision if choice else "bf16" if fast_bf16(device) else "fp32"
        self.precision, bf16 = precision, precision == "bf16"
        self.model = adapters.inject(model.to(device), lora) if lora else model.to(device)
        named = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        if not named:
            raise UserError(
                f"nothing of this model is trained (lora={lora}): it has no weight that {'adapters fit' if lora else 'learns'}."
            )
        self.kept = memory.place(self.model, offload, bf16)
        self.trained: dict[str, Tensor] = dict(named)
        if bf16:
            self.trained = {n: p.detach().to(self.kept, copy=True) for n, p in named.items()}
            memory.halve(self.model)
            for name, image in named.items():
                image.register_post_accumulate_grad_hook(partial(memory.collect, self.trained[name]))
                if self.kept == "cpu":
                    train_products.gather(image, self.trained[name])
        self.micro_tokens = micro_tokens or self.path.micro_tokens or memory.pass_tokens(self.model, recompute)
        if transformer.supported(self.model):
            transformer.fuse(self.model)
        self.end_ids = end_ids(model, tokenizer)
        self.pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.end_ids[0]
        self.mean = [t.detach().clone() for t in self.trained.values()] if average else []
        self.learned: list[Tensor] = []  # the weights at the last `extrapolate`, before it moved them
        self.optimizer = optimizer.make(self.trained, self.model, optimizer_bits, fused=True)
        if not getattr(tokenizer, "chat_template", None):
            raise UserError(
                "the tokenizer has no chat template, so it is not known how the model marks turns. Put a chat_template.jinja "
                "beside its tokenizer.json (instruct models ship one; copy it from the model yours was trained from)"
            )
        self.render = lru_cache(maxsize=100_000)(self._render)
        self.encode = lru_cache(maxsize=100_000)(self._encode)
        self.stops = lru_cache(maxsize=8)(self._stops)

    def _render(self, messages: str, generation: bool, tools: str = "[]") -> str:
        return templates.render(self.tokenizer, json.loads(messages), generation, json.loads(tools))

    def _encode(self, text: str) -> np.ndarray:
        return np.array(self.tokenizer(text, add_special_tokens=False)["input_ids"], dtype=np.int32)

    def _stops(self, strings: tuple[str, ...]) -> generate.StopStrings:
        texts = self.tokenizer.batch_decode([[i] for i in range(self.model.config.get_text_config().vocab_size)])
        # A lone token may decode without its leading space, or to U+FFFD where it is part of a character.
        last = [any(s[-1] in t or s[-1].isspace() for s in strings) or not t or "\ufffd" in t for t in texts]
        found = torch.tensor(last, device=self.model.device)
        return generate.StopStrings(found, lambda tokens: any(s in self.text(tokens) for s in strings))

    def text(self, tokens: np.ndarray) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True)

    def prompt_tokens(self, ask: Ask) -> np.ndarray:
        """(P,) int32: the conversation up to where the model's turn begins."""
        return turns.prompt_tokens(self, ask)

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Inside, what is gone on from is run once: its keys and values are kept. No weight may change."""
        self.prefixes = Prefixes()
        try:
            yield
        finally:
            self.prefixes = None

    @cached_property
    def vocabulary(self) -> str:
        """What tells a vocabulary from another."""
        return digest(self.tokenizer.get_vocab())

    def respond(
        self,
        asks: Sequence[Ask],
        seeds: Sequence[int],
        max_tokens: int,
        sampling: Sampling,
        done: Callable[[int, Turn], Any] | None = None,
    ) -> list[Turn]:
        """Answer every ask, in order. Forced answers cost no generation.

        Raises FatalDiagnosis where a log-probability is not finite, as those of a model with NaN among its weights.
        """
        if any(ask.study for ask in asks):
            return study.respond(self, asks, seeds, max_tokens, sampling, done)
        prompts, drawn = [self.prompt_tokens(ask) for ask in asks], [turns.how(ask, sampling) for ask in asks]
        made_of: dict[int, Turn] = {}

        def finish(i: int, made: generate.Generation) -> bool:
            made_of[i] = turns.turn(self, asks[i], prompts[i], made, drawn[i], seeds[i])
            return done is not None and done(i, made_of[i]) is True

        generated = [i for i, ask in enumerate(asks) if ask.answer is None]
        for i, ask in enumerate(asks):
            if ask.answer is not None:
                finish(i, turns.forced(self, ask.answer))
        requests = []
        for i in generated:
            limit = max_tokens if (own := asks[i].max_tokens) is None else own
            used, hook = turns.used(asks[i]), turns.hooked(self, asks[i], prompts[i])
            on, begun = asks[i].goes_on, turns.begun(asks[i])
            requests.append(generate.Request(prompts[i], seeds[i], limit, drawn[i], used, hook, on, begun))
        asked = (self.model, requests, self.end_ids, self.pad_id, self.stops)
        if self.elsewhere:
            self.elsewhere.generate(
                self, requests, lambda j, made: finish(generated[j], made), lambda share: self.tick("answers", share)
            )
            return [made_of[i] for i in range(len(asks))]
        try:
            how_run: dict[str, Any] = dict(
                together=self.path.rows,
                kept=self.packed,
                prefixes=self.prefixes,
                tick=lambda share: self.tick("answers", share),
            )
            with native.left_out(not self.path.compiled):
                generate.generate(*asked, lambda j, made: finish(generated[j], made), **how_run)
        except NotFinite as error:
            raise FatalDiagnosis(f"not_finite: {error}, so no answer means anything. {broken(self.model)}") from error
        self.unused.give_back()
        return [made_of[i] for i in range(len(asks))]

    def logprobs(self, batch: Batch) -> np.ndarray:
        return self.look(batch)["logp"]

    def entropies(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        found = self.look(batch, entropy=True)
        return found["logp"], found["entropy"]

    def prepare(self, batch: Batch, tableau: Tableau) -> Batch:
        if not tableau.returns and not tableau.before:
            return batch
        found = self.look(batch, value=self.expected if tableau.returns else None)
        return replace(batch, values=found.get("value"), before=found["logp"] if tableau.before else None)

    def look(self, batch: Batch, **wanted: Any) -> dict[str, np.ndarray]:
        """What `logprobs.scores` finds at the trained tokens of every row, (B, T) float32 each, without gradient."""
        if self.ranks:
            self.ranks.gather()
        out: dict[str, np.ndarray] = {"logp": np.zeros(batch.tokens.shape, dtype=np.float32)}

        def over(tokens: int) -> None:
            found_in = np.flatnonzero(batch.mask.any(axis=1))
            found_in = self.ranks.mine(batch, found_in) if self.ranks else found_in
            for rows in logprobs.passes(batch, found_in, tokens, even=self.model.device.type == "cuda"):
                found = vars(logprobs.scores(self.model, batch, rows, **wanted))
                for name, values in ((n, v) for n, v in found.items() if v is not None):
                    array = out.setdefault(name, np.zeros(batch.tokens.shape, dtype=np.float32))
                    array[rows, : values.shape[1]] = values.cpu().numpy()

        with torch.no_grad(), native.left_out(not self.path.compiled):
            _, self.micro_tokens = memory.halving(over, self.micro_tokens, lambda: None)
        names = ["logp", *(name for name, asked in wanted.items() if asked)]
        return self.ranks.joined(out, names, batch.tokens.shape) if self.ranks else out

    def expected(self, states: Tensor) -> Tensor:
        """What the value head says of states (M, D); it is made when it is first asked."""
        if self.critic is None:
            self.critic = ValueHead(states.shape[-1], states.device)
        return self.critic(states)

    def update(self, batch: Batch, tableau: Tableau, lr: float) -> dict[str, float]:
        """One AdamW step on the whole batch, accumulated over passes. Rows without advantage cost nothing.

        Raises NotFinite, before any weight is touched, where rewards, log-probabilities or gradients are not finite.
        """
        measured = self.accumulate(batch, tableau)
        learnt = measured["rows_trained"] > 0
        if learnt and tableau.stir:
            self.take_back()
            with torch.no_grad():
                tableau.stir(self.trained)
            self.optimizer.zero_grad()
            self.refresh()
            self.accumulate(batch, tableau)
        if learnt and tableau.hold:
            with torch.no_grad():
                tableau.hold(self.trained, self.past)
        norm = self.step(lr) if learnt else 0.0
        if learnt and tableau.returns and self.critic is not None:
            self.critic.step()
        self.unused.give_back()
        self.version += 1
        return {"loss": measured["loss"], "grad_norm": norm, **measured}

    def direction(self, batch: Batch, tableau: Tableau) -> list[Tensor]:
        self.accumulate(batch, tableau)
        found = [torch.zeros_like(p) if p.grad is None else -p.grad for p in self.trained.values()]
        self.optimizer.zero_grad()
        return found

    def accumulate(self, batch: Batch, tableau: Tableau) -> dict[str, float]:
        """Gradients of the loss, left at the weights; returns `update`'s measurements but the gradient's norm."""
        work = partial(self.over_passes, batch, tableau)
        self.packed.forget()  # what comes of this changes the weights, and their room is needed
        with native.left_out(not self.path.compiled):
            measured, self.micro_tokens = memory.halving(work, self.micro_tokens, partial(memory.forget, self))
        return measured

    def over_passes(self, batch: Batch, tableau: Tableau, tokens: int) -> dict[str, float]:
        """`accumulate` in passes of so many tokens."""
        rows = np.flatnonzero(active(tableau, batch))
        if tableau.reference and self.reference is None:
            raise ValueError(f"the objective compares with a reference model ({tableau.reference}) and none was given: `refer`")
        beside, value = self.reference if tableau.reference else None, self.expected if tableau.returns else None
        returns = tableau.returns(batch) if tableau.returns else None
        done, trained = 0, float(batch.mask[rows].sum())
        made: list[tuple[Tensor, Tensor, np.ndarray]] = []  # read when all passes are under way: a GPU waits for nobody
        own = self.ranks.mine(batch, rows) if self.ranks else rows

        def forward(part: np.ndarray) -> Tensor:
            found = logprobs.scores(self.model, batch, part, self.recompute, beside, tableau.penalty, tableau.entropy, value)
            logp = found.logp
            given, factors = weigh(tableau, batch, logp.detach(), part, found.reference, found.entropy)
            term = -(given * logp).sum()
            if found.penalty is not None:
                term = term + (factors * found.penalty).sum()
            made.append((term.detach(), logp.detach(), part))
            if found.value is not None and returns is not None and self.critic is not None:
                old = np.zeros_like(batch.mask) if batch.values is None else batch.values
                arrays = (a[part, : logp.shape[1]] for a in (old, returns, batch.mask))
                term = term + self.critic.loss(found.value, trained, *arrays)
            return term

        for part in logprobs.passes(batch, own, tokens, tableau.together, self.model.device.type == "cuda"):
            self.tick("learnt", done / max(len(own), 1))
            done += len(part)
            (self.ranks.run(partial(forward, part)) if self.ranks else forward(part)).backward()
        if self.ranks:
            self.ranks.reduce(self)
        measured = logprobs.against_sampling(made, batch, self.version, self.ranks.summed if self.ranks else list)
        return dict(**measured, rows_trained=float(len(rows)), tokens_trained=trained)

    def refer(self, directory: str, role: str = "reference") -> None:
        """Take a saved model as the frozen reference, in that role. UserError where its vocabulary is another."""
        if directory == self.referred:
            return
        model, tokenizer = load_model(Path(directory))
        refuse_stranger(tokenizer, self.tokenizer, directory, role)
        dtype = next(iter(self.model.parameters())).dtype
        self.reference = model.to(device=self.model.device, dtype=dtype).requires_grad_(False)
        self.referred = directory

    def step(self, lr: float) -> float:
        """Clip, step, average; returns the norm of the gradient."""
        clip = self.ranks.clip if self.ranks else memory.clipped
        norm = clip(self.trained, MAX_GRAD_NORM)
        if not np.isfinite(norm):
            self.optimizer.zero_grad()
            raise NotFinite(f"the gradient is not finite (norm {norm}); the step is refused and no weight has changed")
        self.take_back()
        for settings in self.optimizer.param_groups:
            settings["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad()
        for mean, weights in zip(self.mean, self.trained.values()):
            mean.lerp_(weights.detach(), 1 - self.average)
        self.refresh()
        return norm

    def extrapolate(self, alpha: float) -> None:
        """weights ← weights + alpha * (weights - those here at the last call); the first call notes. APO, arXiv 2410.06293.

        The optimizer's state stays. What was noted is saved and loaded with the policy.
        """
        now = [t.detach().clone() for t in self.trained.values()]
        self.put([new + alpha * (new - old) for new, old in zip(now, self.learned or now, strict=True)])
        self.learned = now

    def take_back(self) -> None:
        """Before weights or the optimizer's state change: a checkpoint that is being written of them is whole then."""
        if self.lent:
            self.lent.back()
            self.lent = None

    def refresh(self) -> None:
        """Make a bfloat16 model the image of the trained weights again; a float32 model holds them itself."""
        self.changes += 1
        self.packed.forget()
        if self.ranks:
            self.ranks.scatter()
        images = {n: p for n, p in self.model.named_parameters() if n in self.trained and self.trained[n] is not p}
        if images:
            with torch.no_grad():
                torch._foreach_copy_([*images.values()], [self.trained[n] for n in images])

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the policy answers with the running mean of its weights, where it keeps one."""
        latest = [t.detach().clone() for t in self.trained.values()] if self.mean else []
        self.put(self.mean)
        try:
            yield
        finally:
            self.put(latest)

    def put(self, values: Sequence[Tensor]) -> None:
        """Overwrite the trained weights, where there are any values."""
        self.take_back()
        with torch.no_grad():
            for value, weights in zip(values, self.trained.values()):
                weights.copy_(value)
        self.refresh()

    save = saving.save
    load = saving.load


def unheard(what: str, share: float) -> None:
    """Nobody is told."""
