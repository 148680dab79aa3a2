"""Activation steering: traits of a simulated user as vectors, found, scaled, added up, and put into a model (TraitBasis).

Source: arXiv 2510.04491, method: the mean hidden state of a turn at a layer, P = mean over pairs of (strong - weak), and
h + alpha P at that layer. A constant that is added to what a layer gives is a bias of its last matrix (`down_proj`), so a
steered model is an ordinary one, that whoever runs models can run; `steered` puts the bias there and takes it away again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sharpen.core import Ask, UserError
from sharpen.models.policy import LocalPolicy

Pair = tuple[str, str]  # the same turn of a user's, with much of a trait and with little


def states(policy: LocalPolicy, texts: Sequence[str], layer: int) -> Tensor:
    """(n, D) the mean over its tokens of what `layer` gives, for each text. UserError where there is no such layer."""
    layers = blocks(policy)
    if not 0 <= layer < len(layers):
        raise UserError(f"layer {layer}: the model has layers 0 to {len(layers) - 1}.")
    found = []
    for text in texts:
        prompt = policy.prompt_tokens(Ask(({"role": "user", "content": text},)))
        ids = torch.tensor(prompt[None], dtype=torch.long, device=policy.model.device)
        with torch.no_grad():
            hidden = policy.model(ids, output_hidden_states=True).hidden_states
        found.append(hidden[layer + 1][0].float().mean(dim=0))
    return torch.stack(found)


def trait(policy: LocalPolicy, pairs: Sequence[Pair], layer: int) -> Tensor:
    """(D,) the vector of a trait: the mean over pairs of the difference. What both sides share cancels, already in one pair."""
    strong, weak = (states(policy, side, layer) for side in zip(*pairs, strict=True))
    return (strong - weak).mean(dim=0)


def together(vectors: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """sum of weight * vector over the traits that are named. UserError for one that is not known."""
    for name in weights:
        if name not in vectors:
            raise UserError(f"there is no trait {name!r}. There are: {', '.join(vectors)}.")
    return sum((weight * vectors[name] for name, weight in weights.items()), torch.zeros_like(next(iter(vectors.values()))))


@contextmanager
def steered(policy: LocalPolicy, layer: int, vector: Tensor) -> Iterator[None]:
    """Inside, the model answers with `vector` added to what `layer` gives; a zero vector changes no bit. Nothing learns inside.

    Raises UserError for a model whose layers end in no `mlp.down_proj`.
    """
    block = blocks(policy)[layer]
    last = getattr(getattr(block, "mlp", None), "down_proj", None)
    if not isinstance(last, nn.Linear):
        raise UserError("this model cannot be steered: its layers do not end in a matrix mlp.down_proj.")
    if not vector.any():
        yield
        return
    before = last.bias
    moved = vector.to(last.weight) if before is None else before.detach() + vector.to(before)
    last.bias = nn.Parameter(moved, requires_grad=False)
    policy.packed.forget()
    try:
        yield
    finally:
        last.bias = before
        policy.packed.forget()


def blocks(policy: LocalPolicy) -> Any:
    """The layers of the model."""
    inner = getattr(policy.model, "model", policy.model)
    if not hasattr(inner, "layers"):
        raise UserError("this model cannot be steered: it does not show its layers.")
    return inner.layers


def robustness(success: Mapping[str, float], plain: str = "none") -> dict[str, float]:
    """What each trait costs: success with it less success without, by trait."""
    return {name: value - success[plain] for name, value in success.items() if name != plain}


def write(policy: LocalPolicy, layer: int, vector: Tensor, directory: Path) -> None:
    """The steered model as a directory of its own: whoever plays a user, `--role user=DIR`. Others' programs read it, too.

    Raises UserError for a model whose configuration knows no biases of `mlp`: Llama's does.
    """
    if not hasattr(policy.model.config, "mlp_bias"):
        raise UserError("this model cannot be written with a trait: its configuration has no mlp_bias, as Llama's has.")
    config = copy.deepcopy(policy.model.config)
    config.mlp_bias = True
    made = type(policy.model)(config).to(policy.model.dtype)
    state = {name: value.detach().cpu() for name, value in policy.model.state_dict().items()}
    zeros = {name: torch.zeros_like(value) for name, value in made.state_dict().items() if name not in state}
    made.load_state_dict({**state, **zeros})
    with torch.no_grad():
        last = getattr(made, "model", made).layers[layer].mlp.down_proj
        last.bias += vector.to(last.bias)
    made.save_pretrained(directory)
    policy.tokenizer.save_pretrained(directory)
