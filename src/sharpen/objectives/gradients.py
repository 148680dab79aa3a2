"""Gradients that leave earlier stages alone: projected, masked, of some layers or ranks only; and weights that unlearn first.

    base()        any objective: every function here adds to its tableau what `core.Tableau` calls keep, hold and stir

    project           g without its part in the input spaces of earlier stages, unless both go the same way
    away_from         g without its part against a gradient of earlier tasks
    masked            g at the weights of this stage's mask, 0 elsewhere
    last_layers       g of the last layers, 0 elsewhere
    implicit_experts  of adapters, g at a stage's ranks of B, 0 elsewhere
    refreshed         g at weights that were moved up their gradient before

A gradient of 0 leaves a weight as it is, bit for bit, where the optimizer began with the stage (`Stage.optimizer`: "fresh").
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sharpen.core import Passage, Tableau, UserError
from sharpen.hashing import derive
from sharpen.objectives.consolidation import Base, learning
from sharpen.objectives.policy_gradient import sft

if TYPE_CHECKING:
    from torch import Tensor

    from sharpen.objectives.consolidation import Weights

# ------------------------------------------------------------------------------------------------------------- projections


def away_from(weights: Weights, past: Weights, reference: Sequence[Tensor] | None = None) -> None:
    """A-GEM (arXiv 1812.00420, equation 11): where g goes against the gradient of earlier tasks, it loses its part along it.

    reference  that gradient, in the order of the weights; after it <g, reference> is 0, or what it was where it was not below
    """
    if reference is None:
        return
    pairs = [(w.grad, r) for w, r in zip(weights.values(), reference, strict=True) if w.grad is not None]
    along = sum(float((g * r).sum()) for g, r in pairs)
    size = sum(float((r * r).sum()) for _, r in pairs)
    if along < 0 and size > 0:
        for gradient, r in pairs:
            gradient -= along / size * r


def project(base: Base, energy: float = 0.95, near: float = 0.5, along: float = 0.0, back: bool = True) -> Tableau:
    """Gradient projection memory (arXiv 2103.09762) with CUBER's backward transfer (arXiv 2211.00789, sections 3 and 4).

    Of each weight matrix the input space of a stage is kept: directions that hold the share `energy` of its gradients' squares
    (a matrix's gradient lies in the span of its inputs). A later gradient loses its part in the space of an earlier stage, so
    that what the matrix does to those inputs stays; unless, with `back`, that stage is positively related: the part is at
    least `near` of the gradient, and the cosine with that stage's last gradient at least `along`. Other weights learn on.
    energy 0: `base`.
    """
    if not energy:
        return base()
    if not 0 < energy <= 1:
        raise UserError(f"energy={energy}: this is a share of squared gradients, from 0 to 1.")
    hold = partial(outside, near=near, along=along, back=back)
    return replace(base(), keep=partial(spaces, energy=energy), hold=hold)


def spaces(passage: Passage, energy: float) -> dict[str, Tensor]:
    """Of the stage that is over, "space<k>", (inputs, directions), and "gradient<k>" of every matrix; and of those before."""
    import torch
    from torch import Tensor

    found = dict(passage.past)
    if not passage.stage or not passage.batches:
        return found
    names, squares = list(passage.policy.trained), dict[str, Tensor]()
    total = dict[str, Tensor]()
    for batch in passage.batches:
        for name, step in zip(names, passage.policy.direction(batch, sft()), strict=True):
            if step.ndim == 2:
                gradient = -step.detach().float()
                squares[name] = squares.get(name, 0) + gradient.T @ gradient
                total[name] = total.get(name, 0) + gradient
    for name, matrix in squares.items():
        values, vectors = torch.linalg.eigh(matrix.double())
        reached = values.flip(0).clamp(min=0).cumsum(0)
        if float(reached[-1]) <= 0:
            continue
        count = int((reached < energy * reached[-1] * (1 - 1e-6)).sum()) + 1
        key = f"{passage.stage - 1}:{name}"
        found |= {f"space{key}": vectors.flip(1)[:, :count].float().contiguous(), f"gradient{key}": total[name]}
    return found


def outside(weights: Weights, past: Weights, near: float, along: float, back: bool) -> None:
    import torch

    stages = sorted({int(found[1]) for key in past if (found := re.match(r"space(\d+):", key))})
    for name, _, gradient in learning(weights):
        excluded = []
        for k in stages:
            space = past.get(f"space{k}:{name}")
            if space is not None and not (back and related(gradient, space, past[f"gradient{k}:{name}"], near, along)):
                excluded.append(space)
        if excluded:
            basis = excluded[0] if len(excluded) == 1 else torch.linalg.qr(torch.cat(excluded, dim=1)).Q
            gradient -= (gradient @ basis) @ basis.T


def related(gradient: Tensor, space: Tensor, old: Tensor, near: float, along: float) -> bool:
    """CUBER's sufficient projection and positive correlation: an earlier task gains where this gradient is followed."""
    size, other = float(gradient.norm()), float(old.norm())
    if not size or not other:
        return False
    inside = float((gradient @ space).norm())
    return inside >= near * size and float((gradient * old).sum()) >= along * size * other


# ------------------------------------------------------------------------------------------------------------------- masks


def masked(base: Base, density: float = 0.3, layers: str = "erk", keep: float = 1.0) -> Tableau:
    """A sparse mask of weights for each stage (arXiv 2308.14831): it learns at these alone, and later ones leave them be.

    density  share of all weights in a stage's mask. They are drawn at random among those that no stage owns; where fewer are
             left, all of them
    layers   how it is spread: "uniform", or "erk", more where a matrix is small (arXiv 1911.11134)
    keep     share of a mask that its stage owns in the end: those that changed most; the others are free again
    density 1 of the first stage leaves nothing to later ones. 0: `base`.
    """
    if not density:
        return base()
    if layers not in ("uniform", "erk") or not 0 < density <= 1 or not 0 <= keep <= 1:
        raise UserError(f"density={density}, keep={keep} are shares from 0 to 1, and layers={layers!r} is uniform or erk.")
    return replace(base(), keep=partial(masks, density=density, layers=layers, share=keep), hold=at_mask)


def densities(shapes: Mapping[str, Sequence[int]], density: float, layers: str) -> dict[str, float]:
    """The share of each tensor that a mask takes, so that the share of all is `density`.

    erk: proportional to (sum of the sides) / (product of the sides), at most 1, the rest spread over the others.
    """
    sizes = {n: math.prod(s) for n, s in shapes.items()}
    if layers == "uniform":
        return {n: density for n in sizes}
    raw = {n: sum(s) / math.prod(s) for n, s in shapes.items()}
    full: set[str] = set()
    while True:
        left = density * sum(sizes.values()) - sum(sizes[n] for n in full)
        rest = sum(raw[n] * sizes[n] for n in raw if n not in full)
        scale = left / rest if rest else 0.0
        new = {n for n in raw if n not in full and scale * raw[n] > 1}
        if not new:
            return {n: 1.0 if n in full else max(scale * raw[n], 0.0) for n in raw}
        full |= new


def masks(passage: Passage, density: float, layers: str, share: float) -> dict[str, Tensor]:
    """Of every weight, as a stage begins: "owned", "mask" (both bool) and "begun", the weight then."""
    import torch

    trained: Mapping[str, Tensor] = passage.policy.trained
    wanted = densities({n: tuple(t.shape) for n, t in trained.items()}, density, layers)
    found: dict[str, Tensor] = {}
    for name, weight in trained.items():
        owned = passage.past.get(f"owned:{name}", torch.zeros(weight.shape, dtype=torch.bool)).cpu()
        if (mask := passage.past.get(f"mask:{name}")) is not None:
            changed = (weight.detach().cpu() - passage.past[f"begun:{name}"].cpu()).abs()
            owned = owned | most(changed, mask.cpu(), share)
        random = torch.Generator().manual_seed(derive(passage.seed, "mask", name) % 2**63)
        order = torch.where(owned, -1.0, torch.rand(weight.shape, generator=random))
        count = min(round(wanted[name] * weight.numel()), int((~owned).sum()))
        chosen = torch.zeros(weight.numel(), dtype=torch.bool)
        chosen[order.flatten().topk(count).indices] = True
        found |= {f"owned:{name}": owned, f"mask:{name}": chosen.view(weight.shape), f"begun:{name}": weight.detach().clone()}
    return found


def most(changed: Tensor, mask: Tensor, share: float) -> Tensor:
    """Of the masked places the share that changed most."""
    import torch

    count = round(share * int(mask.sum()))
    kept = torch.zeros(mask.numel(), dtype=torch.bool)
    kept[torch.where(mask, changed, -1.0).flatten().topk(count).indices] = True
    return kept.view(mask.shape)


def at_mask(weights: Weights, past: Weights) -> None:
    for name, _, gradient in learning(weights):
        if (mask := past.get(f"mask:{name}")) is not None:
            gradient *= mask


def last_layers(base: Base, share: float = 0.5, *, stage: int) -> Tableau:
    """After the first stage only the last `share` of the layers learns, and the last norm: a frozen encoder under a sub-network
    that adapts (FSCIL's incremental sub-net tuning). 0: nothing learns; 1: `base`."""
    if not 0 <= share <= 1:
        raise UserError(f"share={share}: this is a share of the layers, from 0 to 1.")
    return base() if share == 1 or stage == 0 else replace(base(), hold=partial(only_last, share=share))


def only_last(weights: Weights, past: Weights, share: float) -> None:
    layer = {n: int(found[1]) if (found := re.search(r"\.layers\.(\d+)\.", n)) else None for n in weights}
    depth = max((number for number in layer.values() if number is not None), default=-1) + 1
    first = round((1 - share) * depth)
    for name, _, gradient in learning(weights):
        number = layer[name]
        learns = number >= first if number is not None else share > 0 and gradient.ndim == 1
        if not learns:
            gradient.zero_()


# ---------------------------------------------------------------------------------------------------------------- adapters


def implicit_experts(base: Base, active: int = 8, density: float = 0.25, *, stage: int) -> Tableau:
    """FlyLoRA (arXiv 2510.08396) of adapters B A: A is a frozen sparse random projection, only B learns, and a stage learns at
    `active` ranks of it.

    density  share of the entries of each row of A that are not 0; these are normal with deviation 1 / rank
    Stages take ranks in turn, so those of neighbouring ones do not meet until all are used. active 0: `base`.
    """
    if not active:
        return base()
    if not 0 < density <= 1:
        raise UserError(f"density={density}: this is a share of a row's entries, above 0 and at most 1.")
    return replace(base(), keep=partial(projections, density=density), hold=partial(at_ranks, active=active, stage=stage))


def projections(passage: Passage, density: float) -> dict[str, Tensor]:
    """What every A is from the first stage on, as "set:". UserError where the student has no adapters."""
    import torch

    if passage.past:
        return dict(passage.past)
    adapters = {n: t for n, t in passage.policy.trained.items() if ".lora_A." in n}
    if not adapters:
        raise UserError("FlyLoRA is made of adapters, and the student has none. Set lora=32, or another rank.")
    found = {}
    for name, weight in adapters.items():
        random = torch.Generator().manual_seed(derive(passage.seed, "projection", name) % 2**63)
        rank, width = weight.shape
        places = torch.rand(rank, width, generator=random).topk(max(round(density * width), 1), dim=1).indices
        values = torch.randn(places.shape, generator=random) / rank
        found[f"set:{name}"] = torch.zeros(rank, width).scatter_(1, places, values)
    return found


def at_ranks(weights: Weights, past: Weights, active: int, stage: int) -> None:
    import torch

    for name, weight, gradient in learning(weights):
        if ".lora_A." in name:
            gradient.zero_()
            weight.copy_(past[f"set:{name}"])
        elif ".lora_B." in name:
            rank = gradient.shape[1]
            own = torch.zeros(rank, dtype=torch.bool, device=gradient.device)
            own[[(stage * active + i) % rank for i in range(min(active, rank))]] = True
            gradient *= own


# ---------------------------------------------------------------------------------------------------------------- refresh


def refreshed(base: Callable[..., Tableau], delta: float = 1e-3, *, stage: int) -> Tableau:
    """Refresh learning (arXiv 2403.13249), over an objective that asks for the stage: before each step the weights unlearn, by
    `delta` of their size up their gradient, then they learn from there. To first order that takes delta * (learning rate) * H
    g off: it prefers flat places. 0: `base`.
    """
    made = base(stage=stage)
    return replace(made, stir=partial(unlearnt, delta=delta)) if delta else made


def unlearnt(weights: Weights, delta: float) -> None:
    for _, weight, gradient in learning(weights):
        size = float(gradient.norm())
        if size:
            weight += delta * float(weight.detach().norm()) / size * gradient
