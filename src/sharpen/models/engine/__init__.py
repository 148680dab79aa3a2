"""Generation and training passes, C included.

generate.py answers many prompts at once (cache.py, sampling.py; generic.py: any causal LM; hooked.py: with a hook),
transformer.py is the forward pass of the Llama family on packed rows (packing.py). native.py compiles decode_step.c and
train_step.c where there is a compiler; decode_step.py, train_step.py and train_products.py call them. On a GPU captured.py
decodes (decode_ops.py in torch, decode_kernels.py in Triton) and train_fused.py trains (train_kernels.py).

May import: terminal.
"""

from sharpen.models.engine import (
    captured,
    generate,
    generic,
    hooked,
    native,
    sampling,
    train_fused,
    train_products,
    transformer,
)
from sharpen.models.engine.decode_step import Kept
from sharpen.models.engine.packing import common_beginnings, pack, put
from sharpen.models.engine.prefixes import Prefixes

__all__ = [
    "Kept",
    "Prefixes",
    "captured",
    "common_beginnings",
    "generate",
    "generic",
    "hooked",
    "native",
    "pack",
    "put",
    "sampling",
    "train_fused",
    "train_products",
    "transformer",
]
