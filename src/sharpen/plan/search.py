"""The cheapest plan: all of them where they are few, else simulated annealing (ReaLHF, arXiv 2406.14088, section 5.2)."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sharpen.hashing import derive
from sharpen.plan.cost import Cost, Plan, cost
from sharpen.plan.shapes import Device, Load, Shape

FEW = 64  # devices up to which every plan is looked at
TENSOR, MICRO = (1, 2, 4, 8), (2048, 4096, 8192, 16384, 32768)
MOVES, WARM, COLD = 4000, 0.5, 0.005  # of the annealing; temperatures in shares of a step's time


def plans(devices: int, lora: int | None, ahead: int | None, bits: int = 32) -> Iterator[Plan]:
    """All plans. `lora` and `ahead`: None leaves them open."""
    loras, aheads = ((0, 32) if lora is None else (lora,)), ((0, 1) if ahead is None else (ahead,))
    for tensor in (t for t in TENSOR if t <= devices):
        for rank in loras:
            for micro in MICRO:
                for recompute in (False, True):
                    parts: dict[str, Any] = dict(tensor=tensor, lora=rank, micro=micro, recompute=recompute, bits=bits)
                    if 0 in aheads:
                        yield Plan(devices - devices % tensor, devices, together=True, **parts)
                    for k in aheads:
                        for generate in range(tensor, devices, tensor):
                            yield Plan(generate, devices - generate, ahead=k, **parts)


def best(
    shape: Shape,
    device: Device,
    load: Load,
    devices: int,
    lora: int | None = None,
    ahead: int | None = None,
    seed: int = 0,
    bits: int = 32,
) -> tuple[Plan, Cost] | None:
    """The plan of the shortest step; None where none fits. Adapters only where whole weights do not fit, or where asked for."""
    if lora is None:
        whole = best(shape, device, load, devices, 0, ahead, seed, bits)
        return whole or best(shape, device, load, devices, 32, ahead, seed, bits)
    if devices <= FEW:
        found = ((plan, cost(plan, shape, device, load)) for plan in plans(devices, lora, ahead, bits))
        plan, price = min(found, key=lambda pair: pair[1].step, default=(None, None))
        return (plan, price) if plan and price and not price.why else None
    return annealed(shape, device, load, devices, lora, ahead, seed, bits=bits)


def annealed(
    shape: Shape,
    device: Device,
    load: Load,
    devices: int,
    lora: int,
    ahead: int | None,
    seed: int,
    moves: int = MOVES,
    bits: int = 32,
) -> tuple[Plan, Cost] | None:
    """The best that a walk has met which takes a worse step the more seldom, the worse it is and the later."""
    rng = random.Random(derive(seed, "plan", devices))
    tensor = 8 if devices >= 16 else 1
    here = Plan(devices // 2 - devices // 2 % 8, devices - devices // 2, tensor, lora=lora, ahead=ahead or 0, bits=bits)
    price = cost(here, shape, device, load)
    found = (here, price)
    for move in range(moves):
        heat = WARM * (COLD / WARM) ** (move / moves)
        other = neighbour(here, devices, ahead, rng)
        new = cost(other, shape, device, load)
        worse = (
            math.log(new.step / price.step)
            if price.step < math.inf and new.step < math.inf
            else (0.0 if new.step <= price.step else math.inf)
        )
        if worse <= 0 or rng.random() < math.exp(-worse / heat):
            here, price = other, new
        if price.step < found[1].step:
            found = here, price
    return None if found[1].why else found


def neighbour(plan: Plan, devices: int, ahead: int | None, rng: random.Random) -> Plan:
    """A plan that differs in one thing."""
    what = rng.choice(("split", "split", "tensor", "micro", "recompute", "together", "ahead"))
    if what == "micro":
        return replace(plan, micro=rng.choice(MICRO))
    if what == "recompute":
        return replace(plan, recompute=not plan.recompute)
    tensor = rng.choice([t for t in TENSOR if t <= devices]) if what == "tensor" else plan.tensor
    k = rng.choice((0, 1)) if what == "ahead" and ahead is None else (ahead if ahead is not None else plan.ahead)
    if what == "together" and not plan.together and (ahead or 0) == 0:
        return replace(plan, generate=devices - devices % tensor, learn=devices, together=True, ahead=0)
    if plan.together and what not in ("together", "split"):
        return replace(plan, generate=devices - devices % tensor, tensor=tensor)
    step = rng.choice((1, 2, 4, 8, 16, 32, 64)) * rng.choice((-1, 1)) * tensor
    generate = (devices // 2 if plan.together else plan.generate) + (step if what == "split" else 0)
    generate = min(max(generate - generate % tensor, tensor), devices - 1 - (devices - 1) % tensor)
    return replace(plan, generate=generate, learn=devices - generate, tensor=tensor, together=False, ahead=k)
