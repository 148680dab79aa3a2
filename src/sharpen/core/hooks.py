"""What changes the distribution that the tokens of a turn are drawn from: a function that is called at every token.

    def colder(step: Step) -> Tensor:                       # (B, V) logits, or log-probabilities
        return 2.0 * step.logits

    yield Ask(task.prompt, hook=Hook(colder))

1. It sees all rows that are drawn with it at once, and treats each by itself, so that no answer depends on its company.
2. Temperature and cuts come after it, and a token's log-probability is the one under the distribution that was really drawn
   from: the denominator of a likelihood ratio, and no measure of the model itself.
3. Without a hook, nothing of this is made or called.

Dimensions: B rows, V vocabulary, D width, T tokens written so far. Arrays are torch tensors; this file needs none itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sharpen.core.tasks import Message


@dataclass(frozen=True)
class Beside:
    """Another model, or the same one after other messages, that reads along: what the turn has written, behind its own prompt.

    messages  its conversation up to where the turn begins; (): that of the turn itself
    role      whose model it is; "": the student's. It has the student's vocabulary, and is in this process
    speaker   who stands behind the role: whoever drives rollouts fills it in
    """

    messages: tuple[Message, ...] = ()
    role: str = ""
    speaker: Any = None


@dataclass(frozen=True)
class Hook:
    """How the next token is drawn.

    change   (Step) -> (B, V): logits in place of the model's own. A named function, or a functools.partial of one
    beside   who reads along; their logits are `Step.beside`, in this order
    hidden   whether `change` reads hidden states, which not every way to run a model gives for nothing
    """

    change: Callable[[Step], Any]
    beside: tuple[Beside, ...] = ()
    hidden: bool = False


@dataclass
class Step:
    """One token of B rows, before it is drawn. What lies in it is read, never written to; `notes` are the hook's own.

    logits  (B, V) float32, the model's own; the next step writes over them
    beside  (B, V) float32 each, of those who read along
    hidden  (B, D) last hidden states, where the hook asks for them
    head    (N, D) -> (N, V) float32: the model's way from hidden states to logits
    tokens  (B, T) int64, what each row has written since it was asked
    spell   text -> its token ids, by the model's tokenizer
    notes   tensors (B, …) that the hook keeps from token to token, by name; a row that ends takes its part along
    """

    logits: Any
    beside: tuple[Any, ...]
    tokens: Any
    hidden: Any = None
    head: Callable[[Any], Any] | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    spell: Callable[[str], Any] | None = None

    @property
    def number(self) -> int:
        """How many tokens each row has written."""
        return int(self.tokens.shape[1])
