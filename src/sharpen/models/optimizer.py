"""AdamW (arXiv 1711.05101), its moments in 32 bits or, block by block, in 8.

Eight bits are those of Dettmers et al., 8-bit Optimizers via Block-wise Quantization (arXiv 2110.02861): a block of numbers is
divided by its largest magnitude, and each becomes the nearest of 256 values, more of them near zero (dynamic tree
quantisation, section 2.2; the first moment's have a sign, the second's have none). Updates are computed in 32 bits, and only
what is kept between them is rounded. As there, embeddings stay exact (section 2.3), and so does what is small. Unlike there:

1. A block is at most BLOCK numbers of one row, so a shard of rows is whole blocks, whoever holds it (ranks.py).
2. A second moment is never rounded to nothing, but up to the least value: an update divides by its root.
3. The nearest value is looked up by a number's float16 image, which takes a thirtieth of a search. It can miss the nearest by
   2^-11 of the number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sharpen.core import UserError
from sharpen.recipe import checked_bits

BLOCK = 256
LEAST = 4096  # numbers of a tensor whose moments are quantised
TOGETHER = {"cpu": 2**17, "cuda": 2**24}  # numbers that are worked on at once: what a cache holds, what a launch is worth
CODES = ("exp_avg_8bit", "exp_avg_scale", "exp_avg_sq_8bit", "exp_avg_sq_scale")
STATE = ("step", "exp_avg", "exp_avg_sq", *CODES)  # what is kept of a tensor, under one kind of moments or the other
TINY = 1e-38  # a block of nothing but zeros is divided by this


def make(trained: Mapping[str, Tensor], model: nn.Module, bits: int, **how: Any) -> Any:
    """The optimizer of what is trained of a model. UserError for a number of bits that there is not.

    how  of torch's own: fused, foreach
    """
    checked_bits(bits)
    settings: dict[str, Any] = dict(lr=0.0, betas=(0.9, 0.98), weight_decay=0.0, **how)
    if bits == 32:
        return torch.optim.AdamW(trained.values(), **settings)
    exact, found = embeddings(model), trained.items()
    coarse = [p for n, p in found if n not in exact and p.ndim > 1 and p.numel() >= LEAST and p.is_contiguous()]
    chosen = set(map(id, coarse))
    return EightBit(torch.optim.AdamW([{"params": [p for _, p in found if id(p) not in chosen]}], **settings), coarse)


def embeddings(model: nn.Module) -> Collection[str]:
    """Names of the weights that are tables of vectors for tokens; a head that is tied to one is one."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    return {name for name, p in model.named_parameters() if id(p) in tables}


def refuse_other(optimizer: Any, place: Any) -> None:
    """UserError where what was loaded from a place are moments of another number of bits than the optimizer's own."""
    coarse = set(map(id, getattr(optimizer, "coarse", ())))
    if other := [state for p, state in optimizer.state.items() if state and (CODES[0] in state) != (id(p) in coarse)]:
        there, here = (8, 32) if CODES[0] in other[0] else (32, 8)
        raise UserError(
            f"{place}: the optimizer there has moments of {there} bits, and this run's have {here}. Set optimizer_bits={there}."
        )


class EightBit:
    """AdamW of which the moments of the tensors in `coarse` are quantised. Of the others they are `exact`'s, and so are all
    settings. What torch's optimizers have, it has: `state`, `param_groups`, `step`, `zero_grad`."""

    def __init__(self, exact: torch.optim.Optimizer, coarse: list[Tensor]):
        self.exact, self.coarse = exact, coarse
        self.state, self.param_groups = exact.state, exact.param_groups

    def zero_grad(self) -> None:
        self.exact.zero_grad()
        for weights in self.coarse:
            weights.grad = None

    @torch.no_grad()
    def step(self) -> None:
        self.exact.step()
        for weights in self.coarse:
            if weights.grad is not None:
                state = self.state[weights]
                if not state:
                    state.update(fresh(weights))
                state["step"] += 1
                advance(weights, weights.grad, state, self.param_groups[0])


def fresh(weights: Tensor) -> dict[str, Tensor]:
    """The state of a tensor (…, C) before its first update: codes (…, C) uint8, and a scale for each block, (…, blocks)."""
    blocks = weights.detach()[..., : -(-weights.shape[-1] // BLOCK)]
    whole = partial(torch.zeros_like, memory_format=torch.contiguous_format)
    kept = [whole(t, dtype=kind).detach() for t, kind in ((weights, torch.uint8), (blocks, torch.float32)) * 2]
    return {"step": torch.tensor(0.0), **dict(zip(CODES, kept, strict=True))}


def advance(weights: Tensor, gradient: Tensor, state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> None:
    """One update of a tensor, or of this rank's shard of it, a few rows at a time."""
    (first, second), step = settings["betas"], float(state["step"])
    columns, device = weights.shape[-1], weights.device
    own = [local(t) for t in (weights, gradient, *(state[name] for name in CODES))]
    rows = [t.reshape(-1, columns) if i == 1 else t.view(-1, t.shape[-1]) for i, t in enumerate(own)]
    for parts in zip(*(t.split(max(TOGETHER[device.type] // columns, 1)) for t in rows), strict=True):
        w, g, codes, scales, codes_2, scales_2 = parts
        m = unpacked(codes, scales, True).lerp_(g, 1 - first)
        v = unpacked(codes_2, scales_2, False).mul_(second).addcmul_(g, g, value=1 - second)
        pack(m, codes, scales, True)
        pack(v, codes_2, scales_2, False)
        root = v.sqrt_().div_((1 - second**step) ** 0.5).add_(settings["eps"])
        w.addcdiv_(m, root, value=-settings["lr"] / (1 - first**step))


def local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def pack(values: Tensor, codes: Tensor, scales: Tensor, signed: bool) -> None:
    """Write numbers (R, C) as codes (R, C) and scales (R, blocks)."""
    blocks = in_blocks(values, scales.shape[1])
    scales.copy_(blocks.abs().amax(-1))
    image = (blocks / scales.clamp_min(TINY).unsqueeze(-1)).half().view(torch.int16).int().add_(2**15)
    _, nearest = tables(signed, codes.device)
    codes.copy_(nearest.index_select(0, image.flatten()).view(blocks.shape).flatten(1)[:, : codes.shape[1]])


def unpacked(codes: Tensor, scales: Tensor, signed: bool) -> Tensor:
    """(R, C) float32: what `pack` wrote."""
    values, _ = tables(signed, codes.device)
    found = values.index_select(0, codes.flatten().int()).view(codes.shape)
    blocks = in_blocks(found, scales.shape[1]).mul_(scales.unsqueeze(-1))
    return blocks.flatten(1)[:, : codes.shape[1]]


def in_blocks(rows: Tensor, number: int) -> Tensor:
    """(R, C) as (R, number, length), with zeros behind where a row is no whole number of blocks."""
    length = -(-rows.shape[1] // number)
    return F.pad(rows, (0, number * length - rows.shape[1])).view(len(rows), number, length)


@lru_cache(maxsize=4)
def tables(signed: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """(256,) the values that a code may stand for, and (65536,) the code nearest to each float16, in the order of its bits."""
    values = tree(signed)
    every = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.float16).float().nan_to_num(0.0)
    nearest = torch.bucketize(every, (values[1:] + values[:-1]) / 2).clamp_(min=0 if signed else 1)
    return values.to(device), nearest.to(torch.uint8).to(device)


def tree(signed: bool) -> Tensor:
    """(256,) ascending: 0, 1, and in the i-th of seven decades up to 1 the middles of 2^i equal parts, of both signs; without a
    sign of twice as many."""
    made = [0.0, 1.0]
    for i in range(7):
        ends = np.linspace(0.1, 1.0, 2 ** (i if signed else i + 1) + 1)
        middles = (ends[1:] + ends[:-1]) / 2 * 10.0 ** (i - 6)
        made += [*middles, *(-middles if signed else ())]
    return torch.tensor(sorted(made), dtype=torch.float32)
