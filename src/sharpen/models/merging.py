"""Models of one architecture into one, by their weights.

A set of weights is {name: tensor}; a task vector is what training added to the base, tau = weights - base.

    linear            sum of share * weights
    task_arithmetic   base + scale * sum of tau                                    arXiv 2212.04089, section 2
    ties              base + scale * (trimmed tau, their elected sign, mean of those that agree)    arXiv 2306.01708, algorithm
    1
    dare              base + scale * sum of tau, of which a random part is dropped and the rest made larger    arXiv 2311.03099
    neon              base + scale * (base - weights): away from a model that learnt from its own samples    arXiv 2510.03597

All of them work on float32 and leave what is no floating-point number as the first has it. Raises UserError where the weights
do not fit each other.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from sharpen.core import UserError, suggest
from sharpen.hashing import derive
from sharpen.models import saving
from sharpen.models.loading import load_model

Weights = Mapping[str, Tensor]


def fitting(models: Sequence[Weights], names: Sequence[str] = ()) -> None:
    """Raise UserError where models differ in the names or shapes of their tensors; `names` is what they are called."""
    called = names or [f"model {i + 1}" for i in range(len(models))]
    first = models[0]
    for name, other in zip(called[1:], models[1:], strict=True):
        if odd := sorted(first.keys() ^ other.keys()):
            raise UserError(
                f"{called[0]} and {name} are not of one architecture: only one of them has {odd[0]}. Merge models that were "
                "trained from the same one."
            )
        if differs := next((n for n in first if first[n].shape != other[n].shape), None):
            shapes = " and ".join(" x ".join(map(str, one[differs].shape)) for one in (first, other))
            raise UserError(
                f"{called[0]} and {name} are of different shapes: {differs} is {shapes}. Merge models that were trained from "
                "the same one, with the same vocabulary."
            )


def linear(models: Sequence[Weights], shares: Sequence[float]) -> dict[str, Tensor]:
    """The weighted sum; shares that add up to 1 make a mean. A share may be negative: what is moved away from."""
    fitting(models)
    return each(models[0], lambda n: sum_of([share * m[n].float() for share, m in zip(shares, models, strict=True)]))


def task_arithmetic(base: Weights, models: Sequence[Weights], scale: float = 1.0) -> dict[str, Tensor]:
    """One model and scale 1 is that model; -1 unlearns it."""
    fitting([base, *models])
    return each(base, lambda n: base[n].float() + scale * sum_of([m[n].float() - base[n].float() for m in models]))


def ties(base: Weights, models: Sequence[Weights], density: float = 0.2, scale: float = 1.0) -> dict[str, Tensor]:
    """Of each task vector the share `density` of largest magnitude is kept; at every place the sign with the larger sum wins,
    and those that agree with it are averaged. density 1 of one model is that model."""
    fitting([base, *models])
    taus = [trimmed({n: m[n].float() - base[n].float() for n in floating(base)}, density) for m in models]

    def merged(n: str) -> Tensor:
        stacked = torch.stack([tau[n] for tau in taus])
        agree = (stacked.sign() == stacked.sum(0).sign()) & (stacked != 0)
        return base[n].float() + scale * (stacked * agree).sum(0) / agree.sum(0).clamp(min=1)

    return each(base, merged)


def trimmed(tau: Weights, density: float) -> dict[str, Tensor]:
    """A task vector with all but its `density` largest entries at 0, of all its tensors together; of equal ones all stay."""
    if not 0 < density <= 1:
        raise UserError(f"density={density}: this is a share of the changed weights, above 0 and at most 1.")
    sizes = torch.cat([t.abs().flatten() for t in tau.values()])
    kept = max(round(density * len(sizes)), 1)
    least = sizes.kthvalue(len(sizes) - kept + 1).values
    return {n: torch.where(t.abs() >= least, t, 0.0) for n, t in tau.items()}


def dare(
    base: Weights, models: Sequence[Weights], density: float = 0.2, scale: float = 1.0, seed: int = 0
) -> dict[str, Tensor]:
    """Each entry of a task vector stays with probability `density`, divided by it: the same in the mean. density 1: all
    stays.
    """
    fitting([base, *models])
    if not 0 < density <= 1:
        raise UserError(f"density={density}: this is a share of the changed weights, above 0 and at most 1.")

    def merged(n: str) -> Tensor:
        parts = []
        for i, m in enumerate(models):
            random = torch.Generator().manual_seed(derive(seed, "dare", i, n) % 2**63)
            stays = torch.rand(base[n].shape, generator=random) < density
            parts.append((m[n].float() - base[n].float()) * stays / density)
        return base[n].float() + scale * sum_of(parts)

    return each(base, merged)


def sparser(models: Sequence[Weights], shares: Sequence[float], density: float = 0.2) -> dict[str, Tensor]:
    """A `Stage.merge`: the first weights, and of each other's task vector, times its share, the entries that changed most
    (`trimmed`).
    """
    return from_first(models, shares, lambda tau, i: trimmed(tau, density))


def thinned(models: Sequence[Weights], shares: Sequence[float], density: float = 0.2) -> dict[str, Tensor]:
    """A `Stage.merge`: the same with a random part of them, divided by its size (`dare`). What is drawn follows from the
    weights.
    """
    if not 0 < density <= 1:
        raise UserError(f"density={density}: this is a share of the changed weights, above 0 and at most 1.")

    def part(tau: Weights, i: int) -> Weights:
        found = {}
        for n, t in tau.items():
            random = torch.Generator().manual_seed(derive(i, "thinned", n, repr(float(t.abs().sum()))) % 2**63)
            found[n] = t * (torch.rand(t.shape, generator=random) < density) / density
        return found

    return from_first(models, shares, part)


def from_first(
    models: Sequence[Weights], shares: Sequence[float], part: Callable[[Weights, int], Weights]
) -> dict[str, Tensor]:
    fitting(models)
    base = models[0]
    taus = [part({n: m[n].float() - base[n].float() for n in floating(base)}, i) for i, m in enumerate(models[1:])]
    return each(base, lambda n: base[n].float() + sum_of([s * tau[n] for s, tau in zip(shares[1:], taus, strict=True)]))


def neon(base: Weights, models: Sequence[Weights], scale: float = 1.0) -> dict[str, Tensor]:
    """(1 + scale) base - scale * the model that was trained on the base's own samples; scale 0: the base."""
    fitting([base, *models])
    if len(models) != 1:
        raise UserError(f"neon goes away from one model, and was given {len(models)}.")
    return each(base, lambda n: base[n].float() + scale * (base[n].float() - models[0][n].float()))


def each(like: Weights, made: Callable[[str], Tensor]) -> dict[str, Tensor]:
    return {n: made(n) if t.is_floating_point() else t.clone() for n, t in like.items()}


def floating(weights: Weights) -> list[str]:
    return [n for n, t in weights.items() if t.is_floating_point()]


def sum_of(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return total


WAYS: Mapping[str, Callable[..., dict[str, Tensor]]] = {
    "linear": linear,
    "task_arithmetic": task_arithmetic,
    "ties": ties,
    "dare": dare,
    "neon": neon,
}
# What each reads beside the models, of what a merge can be given; posterior (cli/merging.py) has no base and one run.
READS: Mapping[str, tuple[str, ...]] = {
    "linear": ("share",),
    "task_arithmetic": ("base", "scale"),
    "ties": ("base", "scale", "density"),
    "dare": ("base", "scale", "density", "seed"),
    "neon": ("base", "scale"),
    "posterior": ("share", "seed"),
}


def read_by(how: str) -> tuple[str, ...]:
    """What a way of merging reads, by name. UserError where there is no such way."""
    if how not in READS:
        raise UserError(f"--how {how}: there is no such way.{suggest(how, READS)} There are: {', '.join(READS)}.")
    return READS[how]


def unread(how: str) -> dict[str, str]:
    """What a way of merging does not read: {name: who reads it, in words}. UserError where there is no such way."""
    names = sorted({name for reads in READS.values() for name in reads} - set(read_by(how)))
    return {name: " and ".join(way for way, reads in READS.items() if name in reads) for name in names}


def merge_models(
    out: Path,
    models: Sequence[Path],
    how: str,
    base: Path | None,
    shares: Sequence[float],
    scale: float,
    density: float,
    seed: int,
) -> Path:
    """Merge directories with models into the new directory `out`, with the tokenizer of the first. All are in memory at once.

    how is one of WAYS. UserError where they do not fit each other, something is missing, or `out` holds something.
    """
    reads = read_by(how)
    empty(out)
    if "base" in reads and base is None:
        raise UserError(f"{how} starts from what the models were trained from. Name it: --base DIR")
    if how == "linear" and len(models) < 2:
        raise UserError("linear is a mean of two models or more, and this is one. Name another.")
    if shares and len(shares) != len(models):
        raise UserError(f"{len(shares)} shares for {len(models)} models: give each one, in their order.")
    if shares and abs(sum(shares) - 1) > 1e-6:
        raise UserError(f"The shares {', '.join(f'{s:g}' for s in shares)} add up to {sum(shares):g}, and must to 1.")
    listed = [*([base] if base else []), *models]
    loaded = [load_model(path) for path in listed]
    states = [saving.weights(model, {}) for model, _ in loaded]
    fitting(states, [str(path) for path in listed])
    if odd := next((p for p, (_, t) in zip(listed, loaded, strict=True) if t.get_vocab() != loaded[0][1].get_vocab()), None):
        raise UserError(f"{odd} has another vocabulary than {listed[0]}: their tokens mean different things. Merge kin.")
    given = {"density": density, "seed": seed, "scale": scale}
    way = partial(WAYS[how], **{name: value for name, value in given.items() if name in reads})
    made = way(states, list(shares) or [1 / len(models)] * len(models)) if base is None else way(states[0], states[1:])
    write(out, loaded[0][0], loaded[0][1], made, listed[0])
    return out


def empty(out: Path) -> None:
    """UserError where something is there already."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not empty, and nothing there is overwritten. Name a new directory.")


def write(out: Path, model: object, tokenizer: object, made: dict[str, Tensor], like: Path) -> None:
    """The merged model as a directory that transformers loads; tied tensors stay one."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():  # type: ignore[attr-defined]
            tensor.copy_(made[name])
    out.mkdir(parents=True, exist_ok=True)
    saving.write_model(model, saving.weights(model, {}), out)
    tokenizer.save_pretrained(out)  # type: ignore[attr-defined]
    for extra in ("asking.json", "chat_template.jinja"):
        if (like / extra).is_file():
            shutil.copyfile(like / extra, out / extra)
