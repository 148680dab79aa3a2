"""A reward model: a causal LM with a linear head that says a number after each step of an answer, and learns it.

1. The number is read off the state behind a step's last token; behind the last step comes the mark that ends a turn, so that
   an answer which was cut off can be told. The head begins at 0 everywhere: a fresh one prefers nothing, and needs no random
   numbers.
2. Text goes in, and its own chat template and tokenizer make tokens of it, so it need not share the student's. Each step is
   encoded by itself, so that it ends at a token.
3. Weights beneath and head learn together (Ouyang et al., arXiv 2203.02155, section 3.5; Lightman et al., arXiv 2305.20050),
   each with an optimizer, saved and restored bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from sharpen.core import Ask, Batch, Lesson, Message, NotFinite, Score, Scored, UserError
from sharpen.models import logprobs, memory, saving
from sharpen.models.engine import native
from sharpen.objectives import rewards

RATE = 3e-3  # of the head: it begins at nothing, on states that are normalised
FILE = "head.safetensors"
FOREIGN = ("score.weight", "v_head.weight", "reward_head.weight", "classifier.weight")  # what others call their head
LONGEST = 2**14  # tokens of a conversation that is scored; of a longer answer the middle is left out


class Scorer(Protocol):
    """Whatever stands behind a role that gives scores."""

    version: int

    def score(self, wanted: Sequence[Score]) -> list[Scored]:
        """A number after each step of each answer, in order."""


class Blank:
    """A reward model that is not there yet: it prefers nothing, as a fresh head does."""

    version = 0

    def score(self, wanted: Sequence[Score]) -> list[Scored]:
        return [Scored(np.zeros(len(event.steps), np.float32)) for event in wanted]


class ScriptedScorer:
    """A function (messages, steps) -> a number for each step: a user's own reward, or a test's."""

    def __init__(self, function: Callable[[Sequence[Message], Sequence[str]], Sequence[float]]):
        self.function, self.version = function, 0

    def score(self, wanted: Sequence[Score]) -> list[Scored]:
        found = []
        for event in wanted:
            values = np.asarray(self.function(event.messages, event.steps), dtype=np.float32).reshape(-1)
            if len(values) != len(event.steps):
                raise UserError(
                    f"the scripted reward gave {len(values)} numbers for {len(event.steps)} steps: one is for each."
                )
            found.append(Scored(values))
        return found


class RewardModel:
    """A reward model of a LocalPolicy, whose weights it learns with its own.

    directory  where a head may lie beside the model: one of ours, or `score.weight` and the like of one output. None, or
               where there is none: a fresh head
    """

    def __init__(self, policy: Any, directory: Path | None = None):
        self.policy = policy
        config = policy.model.config.get_text_config()
        found = head_of(directory, int(config.hidden_size)) if directory else None
        self.fresh = found is None
        weight = torch.zeros(int(config.hidden_size) + 1) if found is None else found
        self.head = weight.to(policy.model.device).requires_grad_(True)
        self.optimizer = torch.optim.AdamW([self.head], lr=RATE, betas=(0.9, 0.98), weight_decay=0.0)

    @property
    def version(self) -> int:
        return self.policy.version

    def score(self, wanted: Sequence[Score]) -> list[Scored]:
        """Equal events are scored once, and a result does not depend on its neighbours beyond rounding."""
        if not wanted:
            return []
        keys = [json.dumps([[dict(m) for m in event.messages], event.steps]) for event in wanted]
        firsts = {key: event for key, event in zip(reversed(keys), reversed(wanted), strict=True)}
        lessons = {
            key: Lesson(e.messages, e.steps, (float("nan"),) * len(e.steps), i) for i, (key, e) in enumerate(firsts.items())
        }
        batch, ends = self.rows([*lessons.values()])
        found = np.zeros(ends.shape, dtype=np.float32)

        def over(tokens: int) -> None:
            for part in self.passes(batch, tokens):
                found[part] = self.said(batch, ends, part).cpu().numpy()

        with torch.no_grad(), native.left_out(not self.policy.path.compiled):
            _, self.policy.micro_tokens = memory.halving(over, self.policy.micro_tokens, lambda: None)
        by_key = {key: found[i, : len(lesson.steps)] for i, (key, lesson) in enumerate(lessons.items())}
        return [Scored(by_key[key]) for key in keys]

    def learn(self, lessons: Sequence[Lesson], loss: rewards.Loss, lr: float) -> dict[str, float]:
        """One update: the mean over lessons of their loss, times their weight. Returns loss, grad_norm and lessons.

        Raises NotFinite, before any weight is touched, where a target, a loss or a gradient is not finite.
        """
        bad = [i for i, lesson in enumerate(lessons) if np.isinf(lesson.targets).any() or not np.isfinite(lesson.weight)]
        if bad:
            raise NotFinite("a target or weight of a lesson is not finite", bad)
        batch, ends = self.rows(lessons)
        self.policy.packed.forget()
        with native.left_out(not self.policy.path.compiled):
            work = partial(self.gradient, batch, ends, lessons, loss)
            value, self.policy.micro_tokens = memory.halving(work, self.policy.micro_tokens, self.forget)
        if self.head.grad is None or not np.isfinite(value) or not torch.isfinite(self.head.grad).all():
            self.forget()
            raise NotFinite(f"the loss of the reward model is {value}, or its gradient is not finite; no weight has changed")
        norm = self.policy.step(lr)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.fresh, self.policy.version = False, self.policy.version + 1
        return {"loss": value, "grad_norm": norm, "lessons": float(len(lessons))}

    def gradient(self, batch: Batch, ends: np.ndarray, lessons: Sequence[Lesson], loss: rewards.Loss, tokens: int) -> float:
        """Of the mean loss, left at the weights; returns the loss. What a group's lessons compare is in one pass."""
        device, total = self.policy.model.device, 0.0
        targets = np.full(ends.shape, np.nan, dtype=np.float32)
        for row, lesson in enumerate(lessons):
            targets[row, : len(lesson.targets)] = lesson.targets
        for part in self.passes(batch, tokens):
            told = targets[part], ends[part] >= 0, batch.group[part], batch.weight[part]
            taught = rewards.Taught(*(torch.as_tensor(array, device=device) for array in told))
            term = (loss(self.said(batch, ends, part, self.policy.recompute), taught) * taught.weight).sum() / len(lessons)
            term.backward()
            total += float(term.detach())
        return total

    def forget(self) -> None:
        memory.forget(self.policy)
        self.optimizer.zero_grad()

    def passes(self, batch: Batch, tokens: int) -> Any:
        gpu = self.policy.model.device.type == "cuda"
        return logprobs.passes(batch, np.arange(len(batch)), tokens, together=True, even=gpu)

    def said(self, batch: Batch, ends: np.ndarray, rows: np.ndarray, recompute: bool = False) -> Tensor:
        """(R, S) scores behind each step, 0 where a row has no more steps."""
        _, states = logprobs.before_trained(self.policy.model, batch, rows, recompute)
        # No product of matrices: its last bit depends on where in memory they lie, which a resumed run does not repeat.
        values = (states.float() * self.head[:-1]).sum(-1) / (len(self.head) - 1) ** 0.5 + self.head[-1]
        on = torch.as_tensor(ends[rows] >= 0, device=values.device)
        return torch.zeros(on.shape, device=values.device).masked_scatter(on, values)

    def rows(self, lessons: Sequence[Lesson]) -> tuple[Batch, np.ndarray]:
        """Conversations as a batch whose trained tokens are those behind each step's last one; and (B, S) the places of these
        last tokens, -1 where a row has no more steps."""
        found = [self.tokens(lesson.messages, lesson.steps) for lesson in lessons]
        width, most = max(len(t) for t, _ in found), max(len(e) for _, e in found)
        tokens, mask = np.full((len(found), width), self.policy.pad_id, np.int64), np.zeros((len(found), width), np.float32)
        ends = np.full((len(found), most), -1, np.int64)
        for row, (said, places) in enumerate(found):
            tokens[row, : len(said)] = said
            ends[row, : len(places)] = places
            mask[row, np.array(places) + 1] = 1.0
        lengths, group = np.array([len(said) for said, _ in found]), np.array([lesson.group for lesson in lessons])
        weight = np.array([lesson.weight for lesson in lessons], dtype=np.float32)
        return Batch(tokens, mask, np.zeros_like(mask), 0 * weight, group, weight, lengths), ends

    def tokens(self, messages: tuple[Message, ...], steps: Sequence[str]) -> tuple[list[int], list[int]]:
        """A conversation, ended by the mark of a turn and one token that stands for nothing; and the place of the last token of
        each step. A step without a token of its own ends where the one before it does, plus one: it borrows a pad."""
        prompt = self.policy.prompt_tokens(Ask(messages)).tolist()
        pieces = [self.policy.encode(step).tolist() or [self.policy.pad_id] for step in steps]
        longest = min(LONGEST, getattr(self.policy.model.config, "max_position_embeddings", None) or LONGEST) - 2
        room = max(longest - len(prompt), 2 * len(pieces))
        if sum(map(len, pieces)) > room:  # each step keeps its share of beginning and end
            share = max(room // len(pieces), 2)
            pieces = [p if len(p) <= share else [*p[: share // 2], *p[len(p) - share + share // 2 :]] for p in pieces]
            prompt = prompt[-max(longest - sum(map(len, pieces)), 1) :]
        places, said = [], list(prompt)
        for piece in pieces:
            said += piece
            places.append(len(said) - 1)
        places[-1] += 1
        return [*said, self.policy.end_ids[0], self.policy.pad_id], places

    def save(self, directory: str) -> None:
        self.policy.save(directory)
        state = {"weight": self.head.detach().contiguous(), **self.optimizer.state.get(self.head, {})}
        save_file(state, Path(directory) / FILE)

    def load(self, directory: str) -> None:
        self.policy.load(directory)
        state = saving.read(Path(directory) / FILE, str(self.policy.model.device))
        with torch.no_grad():
            self.head.copy_(state["weight"])
        self.optimizer.state.clear()
        if rest := {name: t for name, t in state.items() if name != "weight"}:
            self.optimizer.state[self.head] = rest
        self.fresh = not rest


def head_of(directory: Path, width: int) -> Tensor | None:
    """(width + 1,) the head in a directory, ours or another's of one output, its bias last; None where there is none.

    Raises UserError where it does not fit, or says more than one number.
    """
    for file in sorted(directory.glob("*.safetensors")):
        if file.name in saving.BESIDE and file.name != FILE:
            continue
        with safe_open(file, "pt") as opened:
            names = set(opened.keys())
            name = "weight" if file.name == FILE else next((n for n in FOREIGN if n in names), None)
            if name is None or name not in names:
                continue
            weight = opened.get_tensor(name).float()
            if file.name != FILE:
                bias = name.replace(".weight", ".bias")
                rest = opened.get_tensor(bias).float().reshape(-1) if bias in names else torch.zeros(1)
                # Ours is divided by the root of the width, so that its rate suits every width.
                weight = torch.cat([weight.reshape(-1) * width**0.5, rest])
        if weight.numel() != width + 1:
            raise UserError(
                f"{file}: the head {name} has {weight.numel() - 1} numbers, and one that says a single number of this model's "
                f"states has {width}: it is a classifier of several classes, or of another model."
            )
        return weight
    return None
