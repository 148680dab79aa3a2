"""A pass is as long as what it keeps fits the memory."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from sharpen.models import memory


def test_a_pass_is_as_long_as_its_activations_fit():
    def tokens(layers: int, dtype: torch.dtype, recompute: bool = False) -> int:
        config = SimpleNamespace(num_hidden_layers=layers, hidden_size=576, intermediate_size=1536)
        return memory.pass_tokens(SimpleNamespace(config=config, dtype=dtype, device=torch.device("cpu")), recompute)

    # 30 layers * (9 * 576 + 3.5 * 1536) numbers a token, of two bytes: 633,600 bytes; 2**29 of them are 847 tokens.
    assert tokens(30, torch.bfloat16) == 847
    assert tokens(30, torch.float32) == 423
    assert tokens(30, torch.float32, recompute=True) == 1536
    assert tokens(3, torch.float32) == 1536  # the embedded student's size is bounded by speed alone
    assert tokens(3000, torch.float32) == 256
    other = SimpleNamespace(config=SimpleNamespace(), dtype=torch.float32, device=torch.device("cpu"))
    assert memory.pass_tokens(other, False) == 1536
