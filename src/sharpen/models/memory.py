"""What fits into memory: how many tokens a pass has, and where gradients go."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# On a processor a larger pass is no faster, and 8,192 tokens need twice the memory; a GPU is idle between small ones.
MOST = {"cpu": 1536, "cuda": 16384}
ACTIVATION_BYTES = 2**29  # on a processor: what a pass keeps for its backward pass …
LEAST = 256  # … unless it has no more tokens than this already


def pass_tokens(model: Any, recompute: bool) -> int:
    """Tokens of one forward and backward pass of this model where it is. `recompute` as in `transformer.hidden_states`.

    Of a model whose configuration does not say its sizes as Llama's does, nothing is known, and a pass is as long as any.
    """
    most = MOST["cuda" if model.device.type == "cuda" else "cpu"]
    sizes = [getattr(model.config, name, None) for name in ("num_hidden_layers", "hidden_size", "intermediate_size")]
    if model.device.type == "cuda" or not all(isinstance(n, int) for n in sizes):
        return most
    layers, hidden, inner = (int(n) for n in sizes if n is not None)
    # Of a layer: its input, both norms, queries, keys, values and what attention makes of them; gate, up, and their product.
    kept = hidden if recompute else 9 * hidden + 3.5 * inner
    return int(min(most, max(ACTIVATION_BYTES / (layers * kept * model.dtype.itemsize), LEAST)))


def collect(trained: Tensor, image: Tensor) -> None:
    """Add the gradient of a bfloat16 image to that of the float32 weights, as soon as it is there."""
    assert image.grad is not None
    gradient = image.grad.to(trained.device, torch.float32)
    trained.grad = gradient if trained.grad is None else trained.grad.add_(gradient)
    image.grad = None
