"""What is learnt from: samples as arrays, and an objective as exchangeable parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from sharpen.core.rollouts import PLAIN, Sampling
from sharpen.core.tasks import Message


@dataclass(frozen=True)
class Batch:
    """Samples as arrays, rows padded on the right.

    tokens     (B, T) int64
    mask       (B, T) float32, 1 where a token is trained; column 0 is never trained
    sampling   (B, T) float32, log-probabilities at sampling time, 0 where untrained
    reward     (B,) float32
    group      (B,) int64, rows of one group share a number
    weight     (B,) float32
    lengths    (B,) int64, tokens in each row
    drawn      how the tokens were drawn; the trainer takes its log-probabilities under the same distribution

    Where there is something to say, else None:
    version    (B,) int64, version of the policy that wrote each row; None: the one that is trained
    forced     (B,) bool, rows that were put into the policy's mouth, such as worked solutions; None: no row
    inputs     (B, T) int64, what the model reads instead of `tokens`; these stay what it has to predict
    values     (B, T) float32, what the value head expected before each trained token, before the step
    before     (B, T) float32, log-probabilities under the policy before the step
    turn       (B, T) int64, number of the student's turn that each trained token belongs to, -1 elsewhere
    credit     (B, T) float32, what that turn is worth by itself
    sample     (B,) int64, rows with the same number are conversations of one rollout, which has one reward
    """

    tokens: np.ndarray
    mask: np.ndarray
    sampling: np.ndarray
    reward: np.ndarray
    group: np.ndarray
    weight: np.ndarray
    lengths: np.ndarray
    drawn: Sampling = PLAIN
    version: np.ndarray | None = None
    forced: np.ndarray | None = None
    inputs: np.ndarray | None = None
    values: np.ndarray | None = None
    before: np.ndarray | None = None
    turn: np.ndarray | None = None
    credit: np.ndarray | None = None
    sample: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.reward)

    def take(self, rows: np.ndarray) -> Batch:
        """These rows (numbers, or a bool for each) as a batch of their own."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{name: a[rows] if isinstance(a, np.ndarray) else a for name, a in arrays.items()})


@dataclass(frozen=True)
class Lesson:
    """What a reward model is taught of one answer: what each of its steps should have scored.

    messages  what was asked
    steps     the answer in pieces, which joined are the whole of it
    targets   one for each step, in the terms of the loss: 1 right and 0 wrong, a share, a rank; NaN: this step teaches nothing
    group     answers of one group are compared with each other, where the loss compares
    weight    of this lesson in the loss
    """

    messages: tuple[Message, ...]
    steps: tuple[str, ...]
    targets: tuple[float, ...]
    group: int = 0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.steps or len(self.steps) != len(self.targets):
            raise ValueError(f"a lesson has a target for each step, and this one {len(self.targets)} for {len(self.steps)}")


@dataclass(frozen=True)
class Passage:
    """From one stage of a run to the next: what there is to keep of the stages so far.

    policy   with the weights that the new stage begins with
    stage    number of the stage that begins; 0 is the first, before which there was nothing
    batches  what the stage before it learnt from last, in small batches; empty before the first
    past     what was kept until now
    seed     for what is drawn at random
    """

    policy: Any
    stage: int
    batches: Sequence[Batch]
    past: Mapping[str, Any]
    seed: int


@dataclass(frozen=True)
class Tableau:
    """A training objective as exchangeable parts; objectives/tableau.py computes with them.

    The trainer minimises -(c.detach() * logp).sum() plus the penalty, with coefficients
    c[b, t] = (advantage * clip * ratio + extra)[b, t] * normaliser[b] * weight[b] * mask[b, t].

    advantage   Batch -> (B,) float array, or (B, T) where tokens differ
    normaliser  Batch -> (B,) float array: 1 / tokens, 1 / (rows * tokens in the row), …
    ratio       (tableau.Rows) -> (R, T): likelihood ratio to the behaviour policy; all ones makes REINFORCE and SFT
    clip        (tableau.Rows, ratio) -> (R, T): 0 where the trust region stops the gradient, else 1
    extra       (tableau.Rows) -> (R, T): added to advantage * clip * ratio, such as the gradient of a KL estimate. It acts on
                silent groups too
    penalty     (logits (M, V), logits of the reference (M, V) or None, tokens (M,)) -> (M,): a differentiable term for each
                trained token that no coefficient of its log-probability can express; added to the loss
    penalty_weight  (tableau.Rows) -> (R, T): factor of each token's penalty; None: 1
    reference   whose log-probabilities (and logits, for the penalty) are the reference: "" none, "start" the student when the
                loop began, "accepted" the last round that was kept, else the name of a role
    entropy     whether ratio, clip or extra read the entropy of the next-token distributions
    together    whether they compare the rows of a group, which then go through one pass
    before      whether they read the log-probabilities of the policy before the step (`Rows.before`)
    returns     Batch -> (B, T) float array, what a value head learns to expect before each token, and then the batch has
                `values`, which the advantage may read; None: there is no value head
    keep        (Passage) -> {name: tensor}: what is kept of the stages so far, asked as each stage begins. It is `past` to hold
    least       answers that the stage before must have learnt from, for `keep` to say anything of it; where they can be counted
                beforehand, a run with fewer is refused
    hold        (weights, past) -> None: changes the weights' gradients (`.grad`) in place, before they are clipped
    stir        (weights) -> None: moves the weights along their gradients, in place; then gradients are taken again, and the
                step goes on from where the weights are now
    """

    advantage: Callable[[Batch], np.ndarray]
    normaliser: Callable[[Batch], np.ndarray]
    ratio: Callable[[Any], Any]
    clip: Callable[[Any, Any], Any]
    extra: Callable[[Any], Any] | None = None
    penalty: Callable[[Any, Any, Any], Any] | None = None
    penalty_weight: Callable[[Any], Any] | None = None
    reference: str = ""
    entropy: bool = False
    together: bool = False
    before: bool = False
    returns: Callable[[Batch], np.ndarray] | None = None
    keep: Callable[[Passage], Mapping[str, Any]] | None = None
    least: int = 0
    hold: Callable[[Mapping[str, Any], Mapping[str, Any]], None] | None = None
    stir: Callable[[Mapping[str, Any]], None] | None = None
