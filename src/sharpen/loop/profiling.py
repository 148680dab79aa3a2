"""`sharpen profile`: where the seconds of a recipe's steps go, operation by operation, and what each could cost.

The steps are those of a run in a directory of their own, with a short warm-up and one task an arm to measure. torch tells of
its operations, native.py of the functions in C. An operation cannot be faster than the arithmetic in it, nor than its numbers
come from memory; both speeds are measured here and now. A function in C of which neither is known has no floor.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sharpen.core import UserError, plural
from sharpen.loop.loop import start
from sharpen.loop.session import Request
from sharpen.models.engine import native
from sharpen.store import Store
from sharpen.terminal import Quiet

WARM_UP = 60  # steps of an embedded student's warm-up: without any it solves nothing, and there is nothing to learn from
SMALL = ("validation=1", "test=1")
SIZE = 1024  # of the square product that the arithmetic is measured with
COPIED = 2**26  # bytes that memory is measured with
TRIES = 5


@dataclass(frozen=True)
class Operation:
    """name, what it works on, how often, seconds in all, and the seconds that it would take at the machine's own speed; None
    where that is not known."""

    name: str
    shapes: str
    calls: int
    seconds: float
    floor: float | None


@dataclass(frozen=True)
class Profile:
    """Steps, their seconds, which include what Python does, and the operations, the dearest first.

    gflops, gbytes  what the machine does in a second, measured for numbers of this precision
    memory          what the run says of it, "" for a small model
    """

    steps: int
    seconds: float
    operations: Sequence[Operation]
    precision: str
    gflops: float
    gbytes: float
    memory: str = ""


class _Steps(Quiet):
    """A progress that profiles the first so many steps of the loop."""

    def __init__(self, wanted: int) -> None:
        activities = [torch.profiler.ProfilerActivity.CPU]
        self.torch = torch.profiler.profile(activities=activities, record_shapes=True, with_flops=True)
        self.native: dict[str, native.Calls] = {}
        self.wanted, self.steps, self.seconds, self.memory = wanted, 0, 0.0, ""
        self._open: ExitStack | None = None

    def phase(self, name: str, total: int | None = None, done: int = 0) -> None:
        if not name.startswith(("evaluate", "warm-up")) and self._open is None and not self.seconds:
            self._open, self._began = ExitStack(), time.perf_counter()
            self._open.enter_context(native.observed(self.native))
            self._open.enter_context(self.torch)

    def say(self, text: str) -> None:
        self.memory = text if text.startswith("memory: ") else self.memory

    def advance(self, n: int = 1, **numbers: float | None) -> None:
        if self._open is None:
            return
        self.steps += n
        if self.steps == self.wanted:
            self.seconds = time.perf_counter() - self._began
            self._open.close()
            self._open = None


def profile(request: Request, steps: int) -> Profile:
    """What so many steps of the recipe consist of. Raises UserError where it makes fewer."""
    seen = _Steps(steps)
    with tempfile.TemporaryDirectory(prefix="sharpen-profile-") as folder:
        given = {setting.partition("=")[0].strip() for setting in request.settings}
        usual = (*SMALL, f"round_steps={steps}", *(() if request.model else (f"warmup_steps={WARM_UP}",)))
        settings = (*request.settings, *(s for s in usual if s.partition("=")[0] not in given))
        directory = Path(folder) / "run"
        start(
            replace(request, settings=settings, budget=f"{steps}steps", directory=directory),
            seen,
            pause=lambda: seen.seconds > 0,
        )
        with Store.open(directory, write=False) as store:
            precision = (store.meta()["path"] or {"path": {}})["path"].get("precision", "fp32")
    if not seen.seconds:
        raise UserError(f"{request.recipe} made {seen.steps} of {plural(steps, 'step')}: take fewer --steps.")
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    flops, bandwidth = arithmetic(kind), memory()
    found = [*_of_torch(seen.torch, kind, flops, bandwidth)]
    for name, calls in seen.native.items():
        floor = calls.flops / flops if calls.flops else calls.numbers * kind.itemsize / bandwidth if calls.numbers else None
        found.append(Operation(f"C {name}", "", calls.calls, calls.seconds, floor))
    dearest = tuple(sorted(found, key=lambda o: -o.seconds))
    return Profile(steps, seen.seconds, dearest, precision, flops / 1e9, bandwidth / 1e9, seen.memory)


def _of_torch(profiled: Any, kind: torch.dtype, flops: float, bandwidth: float) -> Iterator[Operation]:
    for event in profiled.key_averages(group_by_input_shape=True):
        if event.self_cpu_time_total <= 0:
            continue
        shapes = [tuple(shape) for shape in event.input_shapes or () if shape]
        moved = sum(math.prod(shape) for shape in shapes) * kind.itemsize * event.count
        floor = event.flops / flops if event.flops else moved / bandwidth if event.key.startswith("aten::") else None
        text = " ".join("x".join(map(str, shape)) for shape in shapes[:2])
        yield Operation(event.key.removeprefix("aten::"), text, event.count, event.self_cpu_time_total / 1e6, floor)


def arithmetic(kind: torch.dtype) -> float:
    """Operations a second of a square product."""
    a, b = torch.randn(SIZE, SIZE).to(kind), torch.randn(SIZE, SIZE).to(kind)
    return 2 * SIZE**3 / _fastest(lambda: a @ b)


def memory() -> float:
    """Bytes a second, read or written, of a copy that no cache holds."""
    source = torch.zeros(COPIED, dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * COPIED / _fastest(lambda: target.copy_(source))


def _fastest(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(TRIES):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)
