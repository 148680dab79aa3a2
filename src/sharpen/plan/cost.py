"""What a step costs under a plan: memory by part, seconds for generation, learning and publishing.

1. Decoding reads all weights once a step and each row's keys and values; its rows share that until memory or arithmetic is
   full.
2. Learning is 6 FLOP a parameter and token (4 for adapters, whose weights beneath need no gradient), 2 more where a reference
   is
   compared with, and a third more where activations are computed again.
3. Weights and gradients go over the links once a step (models/ranks.py gathers them whole), not once a pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from sharpen.plan.shapes import Device, Load, Shape

SPARE = 0.9  # of a device's memory may be planned for
PASS = 2048  # tokens of the smallest learning pass
CHUNK = 2**25 * 4.0 * 3  # bytes of logits that a pass holds at once
MOMENTS = {32: 8.0, 8: 2 + 2 * 4 / 256}  # bytes of the optimizer's two for a weight; in 8 bits each block has a scale
POINTS = 24  # lengths at which decoding is looked at


@dataclass(frozen=True)
class Plan:
    """Which devices do what.

    generate   devices that generate; `learn` those that learn; `together`: the same devices do both, in turn
    tensor     devices that share one engine
    lora       rank of the adapters; 0: whole weights
    ahead      steps of rollouts that are generated before they are learnt from
    recompute  activations are computed again in the backward pass
    micro      tokens of a pass
    bits       of the optimizer's moments; embeddings have 32 always (models/optimizer.py)
    """

    generate: int
    learn: int
    tensor: int = 1
    together: bool = False
    lora: int = 0
    ahead: int = 0
    recompute: bool = True
    micro: int = 8192
    bits: int = 32

    @property
    def engines(self) -> int:
        return max(self.generate // self.tensor, 0)


@dataclass(frozen=True)
class Cost:
    """Seconds of one step by part, bytes of the fullest device by part; `why` it cannot be, where it cannot."""

    seconds: dict[str, float]
    memory: dict[str, float]
    step: float
    why: str = ""


def cost(plan: Plan, shape: Shape, device: Device, load: Load) -> Cost:
    weights = 2.0 * shape.parameters
    learner = learning_memory(plan, shape, load.reference)
    engine = {"engine weights": weights / plan.tensor}
    room = SPARE * device.memory - engine["engine weights"] - (sum(learner.values()) if plan.together else 0.0)
    per_row = shape.token_bytes / plan.tensor * (load.prompt + load.most)
    rows = int(room // per_row) if room > 0 else 0
    memory = {**learner, **(engine if plan.together else {})}
    most = max(sum(memory.values()), sum(engine.values()))
    why = ""
    if plan.engines < 1 or plan.learn < 1:
        why = "too few devices"
    elif sum(learner.values()) > SPARE * device.memory:
        why = f"learning needs {sum(learner.values()) / 1e9:.0f} GB a device"
    elif rows < 1:
        why = "the engine's memory does not hold one row"
    if why:
        return Cost({}, {**memory, "most": most}, float("inf"), why)
    own = -(-load.rows // plan.engines)
    seconds = {
        "generate": generation(plan, shape, device, load, own, min(rows, own)),
        "learn": learning(plan, shape, device, load),
        "publish": publishing(plan, shape, device),
    }
    memory["keys and values"] = min(rows, own) * per_row if plan.together else 0.0
    memory["most"] = max(sum(memory.values()), engine["engine weights"] + min(rows, own) * per_row)
    if plan.ahead and not plan.together:  # the learner writes weights, the engines read them
        step = max(seconds["generate"], seconds["learn"]) + seconds["publish"] / 2
    else:
        step = sum(seconds.values())
    return Cost(seconds, memory, step)


def beat(plan: Plan, shape: Shape, device: Device, rows: float, tokens: float) -> float:
    """Seconds of one decoding step of an engine with so many rows, whose contexts have so many tokens in all."""
    reads = (2.0 * shape.parameters + shape.token_bytes * tokens) / plan.tensor / (device.bandwidth * device.reads)
    works = 2.0 * shape.parameters * rows / plan.tensor / (device.flops * device.learns * device.decode)
    talks = 0.0
    if plan.tensor > 1:  # two all-reduces a layer
        link = device.link if plan.tensor <= device.node else device.network
        talks = 2 * shape.layers * (1e-5 + 2 * rows * shape.width * 2 / link)
    return max(reads, works) + talks + device.beat


def alive(load: Load) -> list[tuple[float, float]]:
    """(tokens written, share of the rows still writing): lengths from the shortest to the longest, with the load's mean."""
    m = load.most / max(load.mean, 1)  # share(x) = (1 - x)^(m - 1) has this mean
    return [((i + 0.5) / POINTS * load.most, (1 - (i + 0.5) / POINTS) ** max(m - 1.0, 0.0)) for i in range(POINTS)]


def generation(plan: Plan, shape: Shape, device: Device, load: Load, rows: int, at_once: int) -> float:
    """Seconds until an engine's rows are all written, `at_once` of them side by side; the prompts' own passes included."""
    prompts = rows * load.prompt / load.samples  # a group's goes to one engine, which runs it once
    prefill = 2.0 * shape.parameters * prompts / plan.tensor / (device.flops * device.learns)
    if at_once < rows:  # a row that ends makes room for the next: full until the last ones
        full = rows * load.mean / at_once
        last = (
            sum(beat(plan, shape, device, at_once * s, at_once * s * (load.prompt + t)) for t, s in alive(load))
            * load.most
            / POINTS
        )
        steady = max(full - load.mean, 0.0) * beat(plan, shape, device, at_once, at_once * (load.prompt + load.mean))
        return prefill + steady + last
    step = load.most / POINTS
    return prefill + sum(beat(plan, shape, device, rows * s, rows * s * (load.prompt + t)) for t, s in alive(load)) * step


def learning(plan: Plan, shape: Shape, device: Device, load: Load) -> float:
    tokens = load.rows * (load.prompt / load.samples + load.mean)  # a group's prompt is run once
    work = (4.0 if plan.lora else 6.0) * (4 / 3 if plan.recompute else 1.0) + (2.0 if load.reference else 0.0)
    work += 2.0 if plan.ahead else 0.0  # the policy before the step is looked at
    passes = tokens / plan.learn / plan.micro
    uneven = 1.0 + 0.5 / max(passes, 1.0) * (plan.learn > 1)  # all wait for the one with the longest
    sent = 2.0 * shape.parameters + (0.0 if plan.lora else 4.0 * shape.parameters)
    link = device.link if plan.learn <= device.node else device.network * device.node
    talk = sent / link * (plan.learn - 1) / plan.learn
    return work * shape.parameters * tokens / plan.learn / (device.flops * device.learns) * uneven + talk + device.fixed


def learning_memory(plan: Plan, shape: Shape, reference: bool = False) -> dict[str, float]:
    """Bytes of one learning device by part."""
    n = shape.parameters
    adapters = plan.lora * 2.0 * 7 * shape.layers * shape.width if plan.lora else 0.0
    trained = adapters or n
    exact = 0.0 if plan.lora else float(shape.vocabulary * shape.width)
    optimizer = 4 * trained + MOMENTS[32] * exact + MOMENTS[plan.bits] * (trained - exact)
    kept = shape.layers * shape.width * 2.0 * (2.0 if plan.recompute else 34.0)  # arXiv 2205.05198, section 4.1
    return {
        "weights": 2.0 * n,
        "master and optimizer": optimizer / plan.learn,
        **({"reference": 2.0 * n} if reference else {}),  # every process has all of it
        "gradients": 4.0 * trained,
        "activations": plan.micro * kept + min(CHUNK, plan.micro * shape.vocabulary * 12.0),
    }


def publishing(plan: Plan, shape: Shape, device: Device) -> float:
    """Written once in 32 bits, read by every engine side by side; on the same devices they change hands over the links."""
    if plan.together and not plan.lora:
        return 2.0 * shape.parameters / device.link + 4.0 * shape.parameters / device.disk
    size = plan.lora * 2.0 * 7 * shape.layers * shape.width * 4 if plan.lora else 4.0 * shape.parameters
    return 2 * size / device.disk + 0.2
