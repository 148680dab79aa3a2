"""The one Protocol: what a policy can do, whatever runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from sharpen.core.events import Ask
from sharpen.core.learning import Batch, Tableau
from sharpen.core.rollouts import Sampling, Turn


class Speaker(Protocol):
    """A model that can be asked for words: all that a role has to be."""

    version: int

    def respond(
        self,
        asks: Sequence[Ask],
        seeds: Sequence[int],
        max_tokens: int,
        sampling: Sampling,
        done: Callable[[int, Turn], Any] | None = None,
    ) -> list[Turn]:
        """Answer every ask; ask i samples with seeds[i] alone, whatever it is batched with.

        done  is called with the number of an ask and its turn as soon as there is one, in any order; True where the next ask
              will go on from that turn, which may then be remembered
        """


class Policy(Speaker, Protocol):
    """A model that can also be scored, trained and saved; `models` has those that ship."""

    pad_id: int  # a token that stands for nothing
    # Told between two tokens of a batch and between two passes what share is done, of "answers" or "learnt", 0 to 1. What it
    # raises ends the work in hand, before any weight is touched.
    tick: Callable[[str, float], None]
    past: dict[str, Any]  # what a tableau keeps of earlier stages (`Tableau.keep`), by name

    def text(self, tokens: np.ndarray) -> str:
        """The words that tokens stand for, without marks."""

    def logprobs(self, batch: Batch) -> np.ndarray:
        """(B, T) float32 log-probabilities of each token given those before it; 0 where the mask is 0."""

    def entropies(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """`logprobs`, and (B, T) float32 entropies in nats of the distribution that each token was drawn from."""

    def prepare(self, batch: Batch, tableau: Tableau) -> Batch:
        """The batch with `values` and `before`, where the tableau wants them: before the first update of a step."""

    def update(self, batch: Batch, tableau: Tableau, lr: float) -> Mapping[str, float]:
        """One optimizer step. Returns measurements: loss, grad_norm, mismatch, rows_trained, tokens_trained.

        Raises NotFinite, before any weight is touched, where rewards, log-probabilities or gradients are not finite.
        """

    def direction(self, batch: Batch, tableau: Tableau) -> list[Any]:
        """Where `update` would go: the gradient of what the tableau raises, a tensor for each that is trained. No step."""

    def refer(self, directory: str, role: str = "reference") -> None:
        """Take the model in this directory, such as one that `save` wrote, as the reference that tableaux name. `role` is what
        it is called where it cannot be that."""

    def extrapolate(self, alpha: float) -> None:
        """Go on by alpha times the way that the weights have come since the last call, less the going on. First call: stay."""

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the policy answers with the weights that `save` would keep, such as a running mean of them."""

    def save(self, directory: str) -> None:
        """Write weights and optimizer so that `load` restores them bit for bit."""

    def load(self, directory: str) -> None: ...
