"""A plan tried out on drawn lengths, engine by engine and step by step: what the formula of cost.py leaves to the mean."""

from __future__ import annotations

import heapq
from dataclasses import replace

import numpy as np

from sharpen.hashing import derive
from sharpen.plan.cost import SPARE, Plan, beat, cost, learning, learning_memory, publishing
from sharpen.plan.shapes import Device, Load, Shape

LOOK = 16  # tokens between two looks at who is done


def lengths(load: Load, steps: int, seed: int) -> np.ndarray:
    """(steps, rows) tokens of answers: shares of the longest, Beta(1, m - 1) as in `cost.alive`."""
    rng = np.random.default_rng(derive(seed, "lengths"))
    m = load.most / max(load.mean, 1)
    shares = rng.beta(1.0, max(m - 1.0, 1e-6), size=(steps, load.rows))
    return np.maximum((shares * load.most).astype(int), 1)


def engine(plan: Plan, shape: Shape, device: Device, load: Load, rows: np.ndarray, at_once: int) -> float:
    """Seconds until an engine has written answers of these lengths, a new row taking the place of each that ends."""
    waiting, going, clock, written = list(rows[::-1]), list[tuple[int, int]](), 0.0, 0
    while waiting or going:
        while waiting and len(going) < at_once:
            heapq.heappush(going, (written + int(waiting.pop()), written))
        ahead = max(min(going[0][0] - written, LOOK * 8), 1)
        context = sum(written + ahead / 2 - began for _, began in going) + load.prompt * len(going)
        clock += ahead * beat(plan, shape, device, len(going), context)
        written += ahead
        while going and going[0][0] <= written:
            heapq.heappop(going)
    prompts = len(rows) * load.prompt / load.samples
    return clock + 2.0 * shape.parameters * prompts / plan.tensor / (device.flops * device.learns)


def simulated(plan: Plan, shape: Shape, device: Device, load: Load, steps: int = 4, seed: int = 0) -> float:
    """Mean seconds of a step, once the pipeline is full. ValueError for a plan that does not fit."""
    price = cost(plan, shape, device, load)
    if price.why:
        raise ValueError(price.why)
    drawn = lengths(load, steps, seed)
    own = -(-load.rows // plan.engines)
    room = held(plan, shape, device, load)
    generated = []
    for step in range(steps):
        dealt = [drawn[step, e :: plan.engines] for e in range(min(plan.engines, load.rows))]
        generated.append(max(engine(plan, shape, device, load, rows, min(room, own)) for rows in dealt))
    learnt = [learning(plan, shape, device, replace(load, mean=int(d.mean()))) for d in drawn]
    publish, clock, free = publishing(plan, shape, device), 0.0, 0.0
    if not plan.ahead or plan.together:
        return float(np.mean(generated) + np.mean(learnt) + publish)
    ends: list[float] = []
    for step in range(steps):  # engines begin step t once the weights of step t - ahead are published
        ready = ends[step - plan.ahead - 1] if step > plan.ahead else 0.0
        free = max(free, ready) + publish / 2 + generated[step]
        clock = max(clock, free) + learnt[step] + publish / 2
        ends.append(clock)
    return (ends[-1] - ends[0]) / (steps - 1)


def held(plan: Plan, shape: Shape, device: Device, load: Load) -> int:
    """Rows that an engine holds at once."""
    learner = learning_memory(plan, shape, load.reference) if plan.together else {}
    taken = 2.0 * shape.parameters / plan.tensor + sum(learner.values())
    return max(int((SPARE * device.memory - taken) // (shape.token_bytes / plan.tensor * (load.prompt + load.most))), 1)
