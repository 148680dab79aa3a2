"""The weighted mean of saved policies, as a directory that `Policy.load` takes."""

from __future__ import annotations

import functools
import operator
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from sharpen.core import UserError
from sharpen.models import adapters


def mix(parts: Mapping[Path, float], out: Path, fresh: bool, merge: Callable[..., dict[str, Tensor]] | None = None) -> None:
    """Write the mean of checkpoints of one run, weighted by shares that add up to 1, into the new directory `out`.

    Of one checkpoint, or with a share of 1, its weights go on bit for bit. All else is that of the last one named. The sum is
    taken in float32, in the order given.

    fresh  without the optimizer's moments and the value head
    merge  (list of {name: tensor}, shares) -> {name: tensor}, in the place of the mean

    Raises UserError where adapters would be averaged: the mean of two products is not the product of two means.
    """
    chosen = {path: share for path, share in parts.items() if share or merge}
    last = list(chosen)[-1]
    shutil.copytree(last, out)
    state = load_file(out / "optimizer.safetensors")
    if len(chosen) > 1:
        if (last / adapters.WEIGHTS).is_file():
            raise UserError("The mean of adapters is not the adapter of the mean: hand over the last or the best weights.")
        for file in sorted(out.glob("model*.safetensors")):
            tensors = [load_file(path / file.name) for path in chosen]
            if merge:
                save_file(merge(tensors, list(chosen.values())), file, {"format": "pt"})
                continue
            parts_of = {n: [share * t[n] for share, t in zip(chosen.values(), tensors, strict=True)] for n in tensors[0]}
            mean = {n: functools.reduce(operator.add, scaled) for n, scaled in parts_of.items()}
            save_file(mean, file, {"format": "pt"})
    state = {key: t for key, t in state.items() if goes_on(key.partition(":")[0], len(chosen) == 1, fresh)}
    save_file(state, out / "optimizer.safetensors")
    if fresh:
        (out / "critic.safetensors").unlink(missing_ok=True)


def goes_on(kind: str, one: bool, fresh: bool) -> bool:
    """Whether an entry of optimizer.safetensors (`LocalPolicy.save`) is still right: a mean of weights is its own latest
    weights, and what `extrapolate` goes on from belongs to a stage that is over."""
    return one if kind in ("latest", "mean") else kind != "learned" and not fresh
