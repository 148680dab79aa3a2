"""A value head: what reward is still to be expected, read off the hidden state before each token, for PPO.

1. A linear function of the normalised, detached hidden state: it learns from the model and never bends it. It begins at 0
   everywhere, so it needs no random numbers, and the first step's advantages are those of no critic.
2. Its loss is PPO's: half the squared error to the returns, at most as good as if it had moved no further than CLIP from what
   it said before the step. Its own AdamW, at RATE; saved and restored with the policy, bit for bit.
3. A model that transformer.py does not know shows its logits instead of its hidden states.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

RATE = 3e-3  # a head on frozen features bears more than the weights beneath it
CLIP = 0.2  # as the ratio's (arXiv 2005.12729 lists it among PPO's habits)


class ValueHead:
    """V(state) = weight · norm(state) + bias; `width` is that of the state."""

    def __init__(self, width: int, device: torch.device):
        self.weight = torch.zeros(width + 1, device=device, requires_grad=True)
        self.optimizer = torch.optim.AdamW([self.weight], lr=RATE, betas=(0.9, 0.98), weight_decay=0.0)

    def __call__(self, states: Tensor) -> Tensor:
        """(M,) values of states (M, D); no gradient reaches the states."""
        features = F.layer_norm(states.detach().float(), states.shape[-1:])
        return features @ self.weight[:-1] / states.shape[-1] ** 0.5 + self.weight[-1]

    def loss(self, found: Tensor, tokens: float, *arrays: np.ndarray) -> Tensor:
        """Sum over rows of the clipped squared error, over the batch's `tokens`. Arrays (R, T): values, returns, mask."""
        old, goal, on = (torch.as_tensor(a, dtype=found.dtype, device=found.device) for a in arrays)
        near = old + (found - old).clamp(-CLIP, CLIP)
        worse = torch.maximum((found - goal) ** 2, (near - goal) ** 2)
        return 0.5 * (worse * on).sum() / max(tokens, 1.0)

    def step(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()

    def state(self) -> dict[str, Tensor]:
        """Everything that `restore` needs."""
        return {"weight": self.weight.detach(), **self.optimizer.state.get(self.weight, {})}

    def restore(self, state: dict[str, Tensor]) -> None:
        with torch.no_grad():
            self.weight.copy_(state["weight"])
        self.optimizer.state[self.weight] = {name: t for name, t in state.items() if name != "weight"}
