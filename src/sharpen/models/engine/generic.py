"""Decoding with a model's own forward pass and transformers' cache: for every causal LM that transformer.py does not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache


class Cache:
    """The same interface as `cache.Cache`. Prompts are padded on the left."""

    def __init__(self, model: Any, prompts: Sequence[np.ndarray], rows: Sequence[int], pad_id: int):
        longest = max(len(p) for p in prompts)
        tokens = np.full((len(prompts), longest), pad_id, dtype=np.int64)
        for i, p in enumerate(prompts):
            tokens[i, longest - len(p) :] = p
        self.inner = DynamicCache(config=model.config)
        self.padding = torch.tensor([longest - len(p) for p in prompts], device=model.device)
        self.used = 0
        logits = self._forward(model, torch.from_numpy(tokens).to(model.device))
        of_row = torch.tensor(rows, device=model.device)
        self.keep(of_row)
        self.logits = logits[of_row]

    def _forward(self, model: Any, tokens: Tensor) -> Tensor:
        end = self.used + tokens.shape[1]
        columns = torch.arange(end, device=tokens.device)
        out = model(
            input_ids=tokens,
            attention_mask=(columns[None] >= self.padding[:, None]).long(),
            position_ids=(columns[None, self.used :] - self.padding[:, None]).clamp(min=0),
            past_key_values=self.inner,
            use_cache=True,
            logits_to_keep=1,
        )
        self.used = end
        return out.logits[:, -1].float()

    def extend(self, model: Any, tokens: Tensor) -> Tensor:
        return self._forward(model, tokens[:, None])

    def keep(self, rows: Tensor) -> None:
        self.inner.batch_select_indices(rows)
        self.padding = self.padding[rows]
