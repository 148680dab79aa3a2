"""Weights held near what earlier stages taught, in proportion to what these need: elastic weight consolidation and posteriors.

    base()        any objective: every function here adds a `keep` and a `hold` to its tableau (`core.Tableau`)
    keep          (Passage) -> {"what:name of a weight": tensor}, asked as each stage begins; before the first there is nothing
    hold          (weights, past) -> None, in place: g is the gradient of the loss, theta the weights

    ewc           g + strength * F (theta - anchor)                                  F: Fisher information, diagonal
    online_ewc    the same, F decayed, the anchor always the latest weights
    mixture       g - strength * grad log sum of preference * N(theta; mean, variance), a weight

Where nothing was kept yet, hold changes nothing: the first stage learns as `base` does. gradients.py has what changes gradients
without pulling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sharpen.core import Batch, Passage, Tableau, UserError
from sharpen.hashing import derive
from sharpen.objectives.policy_gradient import sft

if TYPE_CHECKING:
    from torch import Tensor

    Weights = Mapping[str, Tensor]

Base = Callable[[], Tableau]

FEWEST = 16  # samples of a Fisher estimate, of which each entry is a mean of squares


def together(batch: Batch) -> np.ndarray:
    return np.ones(len(batch))


def per_row(batch: Batch) -> np.ndarray:
    return np.ones(len(batch))


def whole_likelihood() -> Tableau:
    """The log-probability of whole answers: every token counts 1, whatever the reward."""
    return replace(sft(), advantage=together, normaliser=per_row)


def learning(weights: Weights) -> Iterator[tuple[str, Tensor, Tensor]]:
    """(name, weight, gradient) of those that have a gradient."""
    return ((n, w, w.grad) for n, w in weights.items() if w.grad is not None)


# ------------------------------------------------------------------------------------------------------------------- Fisher


def fisher(passage: Passage, samples: int) -> dict[str, Tensor]:
    """The diagonal of the Fisher information, by weight: the mean over answers of the squared gradient of an answer's
    log-probability, at the weights of now.

    Of answers that the student gave it is the Fisher information of its own distribution; of worked solutions the empirical
    one. UserError where there are fewer than FEWEST.
    """
    import torch

    rows = [batch.take(np.array([i])) for batch in passage.batches for i in range(len(batch))][-samples:]
    if len(rows) < FEWEST:
        raise UserError(
            f"A Fisher estimate of {len(rows)} answers would be noise, and {FEWEST} are the fewest. The stage before learnt "
            "from no more: give it more steps or more prompts, or a larger `samples`."
        )
    names = list(passage.policy.trained)
    total = [torch.zeros_like(t) for t in passage.policy.trained.values()]
    for row in rows:
        for sum_, found in zip(total, passage.policy.direction(row, whole_likelihood()), strict=True):
            sum_ += found.detach() ** 2
    return {name: t / len(rows) for name, t in zip(names, total, strict=True)}


def enough(samples: int) -> int:
    """FEWEST. UserError where `samples` is below it: every estimate would be refused."""
    if samples < FEWEST:
        raise UserError(f"samples={samples}: a Fisher estimate needs {FEWEST} answers at least. Take {FEWEST} or more.")
    return FEWEST


def ewc(base: Base, strength: float = 100.0, samples: int = 128) -> Tableau:
    """Elastic weight consolidation (arXiv 1612.00796, equation 3): the sum over earlier stages of strength / 2 * F (theta -
    theta*)^2.

    A sum of such terms is one of them, up to a constant: F is their sum, the anchor the mean of theta* weighted by F. So memory
    does not grow with the stages. strength 0: `base`.
    """
    if not strength:
        return base()
    return replace(
        base(), least=enough(samples), keep=partial(anchored, samples=samples), hold=partial(pulled, strength=strength)
    )


def online_ewc(base: Base, strength: float = 100.0, decay: float = 0.9, samples: int = 128) -> Tableau:
    """Online EWC (arXiv 1805.06370, section 4): F <- decay * F + that of the last stage; the anchor is where that ended."""
    if not strength:
        return base()
    keep = partial(anchored, samples=samples, decay=decay)
    return replace(base(), least=enough(samples), keep=keep, hold=partial(pulled, strength=strength))


def anchored(passage: Passage, samples: int, decay: float | None = None) -> dict[str, Tensor]:
    """What `pulled` reads of every weight: "fisher" and "anchor"."""
    import torch

    if not passage.stage:
        return {}
    found: dict[str, Tensor] = {}
    for name, new in fisher(passage, samples).items():
        here = passage.policy.trained[name].detach().clone()
        old = passage.past.get(f"fisher:{name}", torch.zeros_like(new)).to(new.device)
        if decay is None:
            total, before = old + new, passage.past.get(f"anchor:{name}", here).to(new.device)
            here = torch.where(total > 0, (old * before + new * here) / total.clamp(min=1e-30), here)
        else:
            total = decay * old + new
        found |= {f"fisher:{name}": total, f"anchor:{name}": here}
    return found


def pulled(weights: Weights, past: Weights, strength: float) -> None:
    for name, weight, gradient in learning(weights):
        if (key := f"fisher:{name}") in past:
            gradient += strength * past[key] * (weight.detach() - past[f"anchor:{name}"])


# --------------------------------------------------------------------------------------------------- posteriors (IBCL)


def mixture(
    base: Base,
    strength: float = 0.01,
    preference: tuple[float, ...] = (),
    distance: float = 1e-4,
    samples: int = 128,
    prior: float = 100.0,
) -> Tableau:
    """A prior that is the preference-weighted mixture of the Gaussian posteriors of earlier stages (IBCL, arXiv 2305.14782).

    A stage's posterior has the weights it ended with as mean and 1 / (n F + prior) as variance, n answers. One that lies within
    `distance` of a posterior that is there, |mean difference| / d + |deviation difference| / d, is not added: the other is used
    again, so that their number grows more slowly than the stages. Each weight has the mixture of its own. strength 0: `base`.
    """
    if not strength:
        return base()
    if any(p < 0 for p in preference) or preference and not sum(preference):
        raise UserError(f"preference={preference}: these are shares of the stages, from 0, and one at least above it.")
    keep = partial(posteriors, distance=distance, samples=samples, prior=prior)
    hold = partial(towards_mixture, strength=strength, preference=preference)
    return replace(base(), least=enough(samples), keep=keep, hold=hold)


def posteriors(passage: Passage, distance: float, samples: int, prior: float) -> dict[str, Tensor]:
    """Of every weight "mean0", "variance0", "mean1", …; and "stage:", for each stage the number of its posterior."""
    import torch

    found = {name: t for name, t in passage.past.items()}
    if not passage.stage:
        return found
    owner = found.get("stage:", torch.zeros(0, dtype=torch.int64)).tolist()
    known = max(owner, default=-1) + 1
    count = min(sum(map(len, passage.batches)), samples)
    variance = {n: 1 / (count * f + prior) for n, f in fisher(passage, samples).items()}
    mean = {n: passage.policy.trained[n].detach().clone() for n in variance}
    far = [apart(mean, variance, part(found, f"mean{k}"), part(found, f"variance{k}")) for k in range(known)]
    if far and min(far) <= distance:
        owner.append(int(np.argmin(far)))
    else:
        owner.append(known)
        found |= {f"mean{known}:{n}": t for n, t in mean.items()} | {f"variance{known}:{n}": t for n, t in variance.items()}
    return found | {"stage:": torch.tensor(owner)}


def part(past: Weights, kind: str) -> dict[str, Tensor]:
    """What of the past is of one kind, by name of the weight."""
    return {key.partition(":")[2]: t for key, t in past.items() if key.partition(":")[0] == kind}


def apart(mean: Weights, variance: Weights, other: Weights, others: Weights) -> float:
    """IBCL's distance of two posteriors: Euclidean distances of means and of deviations, over the number of weights d."""
    d = sum(t.numel() for t in mean.values())
    means = math.sqrt(sum(float(((mean[n] - other[n].to(mean[n].device)) ** 2).sum()) for n in mean))
    deviations = math.sqrt(sum(float(((variance[n].sqrt() - others[n].to(mean[n].device).sqrt()) ** 2).sum()) for n in mean))
    return (means + deviations) / d


def shares(owner: Sequence[int], preference: Sequence[float]) -> list[float]:
    """The share of each posterior: those of the stages that it stands for, which are equal where none are given."""
    wanted = [preference[i] if i < len(preference) else 0.0 for i in range(len(owner))] if preference else [1.0] * len(owner)
    wanted = wanted if sum(wanted) else [1.0] * len(owner)
    total = sum(wanted)
    return [sum(w for w, k in zip(wanted, owner, strict=True) if k == number) / total for number in range(max(owner) + 1)]


def towards_mixture(weights: Weights, past: Weights, strength: float, preference: tuple[float, ...]) -> None:
    import torch

    if "stage:" not in past or not len(past["stage:"]):
        return
    weighted = shares(past["stage:"].tolist(), preference)
    for name, weight, gradient in learning(weights):
        here = [(s, past[f"mean{k}:{name}"], past[f"variance{k}:{name}"]) for k, s in enumerate(weighted) if s > 0]
        logs = torch.stack([math.log(s) - 0.5 * v.log() - (weight.detach() - m) ** 2 / (2 * v) for s, m, v in here])
        for of, (_, mean, variance) in zip(logs.softmax(0), here, strict=True):
            gradient += strength * of * (weight.detach() - mean) / variance


def drawn(past: Weights, preference: Sequence[float], seed: int, spread: float = 1.0) -> dict[str, Tensor]:
    """A model of the mixture: a posterior drawn by its share, then weights drawn from it (with its deviation times `spread`).

    With all preference on one stage it is of that stage's posterior. Mean and variance over draws are the mixture's, not those
    of one Gaussian with mean parameters. UserError where no posterior is kept.
    """
    import torch

    if "stage:" not in past or not len(past["stage:"]):
        raise UserError(
            "No posterior is kept here: this is no run of ibcl over a stream, or it has not come to its second set."
        )
    weighted = shares(past["stage:"].tolist(), preference)
    number = int(np.random.default_rng(derive(seed, "posterior")).choice(len(weighted), p=weighted))
    found = {}
    for name, mean in part(past, f"mean{number}").items():
        random = torch.Generator().manual_seed(derive(seed, "posterior", name) % 2**63)
        deviation = past[f"variance{number}:{name}"].sqrt() * spread
        found[name] = mean + deviation * torch.randn(mean.shape, generator=random)
    return found
