"""Which way a model takes on this machine's processor, chosen by measuring.

A processor that names a fast kind of number need not be fast at it with the operations at hand, so nothing is concluded from
its flags: `choose` times the few ways there are on the model itself, a second in all for a small one. What it finds is kept in
the user's cache directory, by machine and shape, and in the run's store, so that a resumed run goes the same way.
"""

from __future__ import annotations

import copy
import json
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sharpen.core import Batch, FatalDiagnosis, NotFinite
from sharpen.hashing import digest
from sharpen.models import cores, logprobs
from sharpen.models.engine import Kept, generate, native, transformer
from sharpen.models.loading import broken, fast_bf16
from sharpen.terminal import places

PROMPT, DECODED = 32, 4  # tokens of a measured prompt, and decoded behind the first one that it is read for
SHARED = 32  # rows that have one prompt, where nobody says
EFFORT = 2 * 10**9  # parameters times tokens of a measured learning pass …
LEARNT = (64, 768)  # … which has at least and at most so many tokens
LONGER = 3  # times as many has a second pass of a model that is measured with the fewest
PASSES = (1536, 3072)  # tokens of a pass
TOGETHER = (generate.MAX_ROWS, 128)  # rows decoded together
SECONDS = 1.0  # after which nothing further is begun; each precision is tried once whatever it takes, and bfloat16 both ways
HOPELESS = 1.5  # times the best so far: a way that is slower at its first try gets no second
WORTH = 0.95  # of the usual way's time must another one take less to be chosen
PRODUCT = 512  # rows and columns of the matrices by which a precision is priced
HOUR = 3600.0  # seconds that a measurement on disturbed cores is good for
LARGEST = 4 * 10**8  # parameters: a larger model is not copied only to be measured, and its products decide


@dataclass(frozen=True)
class ComputePath:
    """How a model is run.

    precision     "fp32" or "bf16"
    compiled      with the functions in C, where they take the model (engine/native.py)
    threads       0: as many as torch has
    micro_tokens  tokens in a forward and backward pass; 0: as many as the device likes
    rows          rows decoded together, at most
    """

    precision: str = "fp32"
    compiled: bool = True
    threads: int = 0
    micro_tokens: int = 0
    rows: int = generate.MAX_ROWS

    def __str__(self) -> str:
        words = ["C kernels" if self.compiled else "torch", self.precision]
        if self.threads:
            words.append(f"{self.threads} thread" + "s" * (self.threads > 1))
        words += [f"passes of {self.micro_tokens:,}"] if self.micro_tokens not in (0, PASSES[0]) else []
        words += [f"{self.rows} rows"] if self.rows != TOGETHER[0] else []
        return ", ".join(words)


@dataclass(frozen=True)
class Work:
    """What a step consists of: `rows` answers of `tokens` tokens, `shared` of them to one prompt."""

    rows: int
    tokens: int
    shared: int = SHARED


@dataclass(frozen=True)
class Choice:
    """The path, the seconds of a step on it, and those of what else was tried, by its name. No seconds: not measured.

    foreign  share of the cores' time that others took meanwhile
    """

    path: ComputePath
    seconds: float = 0.0
    others: dict[str, float] = field(default_factory=dict)
    foreign: float = 0.0

    def __str__(self) -> str:
        if not self.seconds:
            return f"path: {self.path}: not measured, a model of this size is ruled by its products"
        # Ratios and no seconds: what a step will cost is known once the run's sizes are.
        slower = sorted(self.others.items(), key=lambda item: item[1])
        beside = ", ".join(f"{seconds / self.seconds:.2f} times the speed of {way}" for way, seconds in slower)
        told = f"path: {self.path}, measured" + (f": {beside}" if beside else "")
        return told + (f"; others took {self.foreign:.0%} of the cores meanwhile" if self.foreign > cores.DISTURBED else "")


def choose(model: Any, work: Work, micro_tokens: int = 0) -> Choice:
    """The fastest path of a float32 model on the processor, measured, or remembered where it was measured before.

    A user who has set OMP_NUM_THREADS has chosen the threads himself; else there are no more than the process may use.

    micro_tokens  the size of a pass, where that is settled already

    Raises FatalDiagnosis where the model's numbers are not finite.
    """
    before = torch.get_num_threads()
    most, kinds = cores.usable(before), ["fp32", "bf16"] if fast_bf16() else ["fp32"]
    usual = ComputePath("fp32", native.library() is not None, most, micro_tokens)
    if sum(p.numel() for p in model.parameters()) > LARGEST:
        return Choice(replace(usual, precision=kinds[-1]))
    settled = "OMP_NUM_THREADS" in os.environ
    key = digest([_machine(), str(model.config), asdict(work), micro_tokens, most, settled])
    if known := _remembered(key):
        return known
    watch, timer = cores.Watch(), _Timer(model, work)
    try:
        ways = [replace(usual, precision=kind) for kind in kinds]
        ways += [replace(way, compiled=False) for way in reversed(ways) if way.compiled]  # the likelier first
        best = timer.best(ways, always=2 * len(kinds) - 1)
        if most > 1 and not settled:
            best = timer.best([best, replace(best, threads=1)])
        if not micro_tokens and work.rows * work.tokens > PASSES[0]:
            best = timer.best([best, *(replace(best, micro_tokens=n) for n in PASSES[1:])])
        if work.rows > TOGETHER[-1]:
            best = timer.best([best, *(replace(best, rows=n) for n in TOGETHER[1:])])
    except NotFinite as error:
        raise FatalDiagnosis(f"not_finite: {error}, so no answer means anything. {broken(model)}") from error
    finally:
        torch.set_num_threads(before)
    others = {str(path): seconds for path, seconds in timer.found.items() if path != best}
    made = Choice(best, timer.found[best], others, watch.foreign() or 0.0)
    _remember(key, made)
    return made


class _Timer:
    """Times the paths of one model; each twice, in turn."""

    def __init__(self, model: Any, work: Work):
        self.work, self.images, self.found = work, {"fp32": model}, dict[ComputePath, float]()
        self.parts: dict[ComputePath, tuple[float, float, float]] = {}
        self.began = time.perf_counter()
        self.kept = {kind: Kept() for kind in ("fp32", "bf16")}
        learnt = EFFORT // sum(p.numel() for p in model.parameters())
        self.learnt = min(max(learnt, LEARNT[0]), LEARNT[1])
        if transformer.supported(model):
            transformer.fuse(model)

    def best(self, paths: list[ComputePath], always: int = 0) -> ComputePath:
        """The fastest of these; the first, where no other is clearly faster. The first `always` are tried whatever it takes."""
        for repeat in range(2):
            for i, path in enumerate(paths):
                fastest = min(self.found.values(), default=float("inf"))
                if (repeat or i >= always) and time.perf_counter() - self.began > SECONDS:
                    break
                if not repeat or path not in self.found or self.found[path] < HOPELESS * fastest:
                    self.found[path] = self.seconds(path)
        tried = [path for path in paths if path in self.found]
        fastest_path = min(tried, key=self.found.__getitem__)
        return fastest_path if self.found[fastest_path] < WORTH * self.found[tried[0]] else tried[0]

    def seconds(self, path: ComputePath) -> float:
        """Seconds of a step, put together from a few tokens of its rows and one pass; of each part the faster try counts."""
        found = self.step(path)
        first, more, learn = map(min, found, self.parts.get(path, found))
        self.parts[path] = first, more, learn
        rows = min(self.work.rows, path.rows)
        return generation(first, more, self.work.tokens) * self.work.rows / rows + learn

    def step(self, path: ComputePath) -> tuple[float, float, float]:
        """Seconds of one token of all rows, of DECODED more, and of what learning from a step takes."""
        fp32 = self.images["fp32"]
        if path.precision not in self.images:
            self.images[path.precision] = copy.deepcopy(fp32).to(torch.bfloat16)
            if transformer.supported(fp32):
                transformer.fuse(self.images[path.precision])
        model, work = self.images[path.precision], self.work
        torch.set_num_threads(path.threads)
        rows = min(work.rows, path.rows)
        shape = -(-rows // work.shared), PROMPT
        prompts = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape) % model.config.vocab_size
        learnt = self.learnt if path.micro_tokens <= PASSES[0] else self.learnt * path.micro_tokens // PASSES[0]
        kept = self.kept[path.precision] if path.compiled else None

        def decode(tokens: int) -> float:
            requests = [generate.Request(prompts[i // work.shared], i, tokens) for i in range(rows)]
            if kept:
                kept.forget()  # a run's weights are other ones at every step
            return _seconds(lambda: generate.generate(model, requests, [-1], 0, together=path.rows, kept=kept))

        with native.left_out(not path.compiled):
            return decode(1), decode(1 + DECODED), self.learning(model, learnt, path.micro_tokens or PASSES[0])

    def learning(self, model: Any, tokens: int, most: int) -> float:
        """Seconds that learning from a step takes, in passes of at most `most` tokens, by one of so many.

        A large model is measured in passes of few tokens, and what a pass costs by itself, such as weights that are packed for
        it, would count far too often: two lengths tell it from what a token costs.
        """
        work, seconds = self.work, _seconds(lambda: _learn(model, tokens))
        whole = work.rows * work.tokens + -(-work.rows // work.shared) * PROMPT  # a prompt is run once for all its answers
        if tokens > LEARNT[0] or whole <= tokens:
            return seconds * whole / tokens
        longer = LONGER * tokens
        each = max(_seconds(lambda: _learn(model, longer)) - seconds, 0.0) / (longer - tokens)
        return each * whole + max(seconds - each * tokens, 0.0) * math.ceil(whole / most)


def generation(first: float, more: float, tokens: int) -> float:
    """Seconds of answers of so many tokens, from those of one token and of DECODED more: what is paid once, reading prompts and
    packing weights, is told from what each token costs.

    0.5 s for one token and 0.9 s for five: 0.1 s a token, so 0.5 + 47 * 0.1 s for 48. Where others' work has made the shorter
    one the longer, a token costs a quarter of its even share.
    """
    return first + max((more - first) / DECODED, more / (4 * (1 + DECODED))) * (tokens - 1)


def _learn(model: Any, tokens: int) -> None:
    """The gradient of rows of PROMPT and PROMPT tokens, so many in all; it is thrown away."""
    shape = (max(tokens // (2 * PROMPT), 1), 2 * PROMPT)
    ids = (np.arange(shape[0] * shape[1]) % model.config.vocab_size).reshape(shape)
    mask = np.broadcast_to(np.arange(shape[1]) >= PROMPT, shape).astype(np.float32)
    one = np.ones(shape[0], dtype=np.float32)
    batch = Batch(ids, mask, -mask, one, np.arange(shape[0]), one, np.full(shape[0], shape[1]))
    logprobs.logprobs(model, batch, np.arange(shape[0])).sum().backward()
    model.zero_grad(set_to_none=True)


def price(device: str) -> float:
    """How many times as long as in float32 a product of matrices takes in bfloat16, measured."""
    found = {}
    for kind in (torch.float32, torch.bfloat16):
        one = torch.ones(PRODUCT, PRODUCT, device=device, dtype=kind)
        found[kind] = min(_seconds(lambda one=one: float((one @ one)[0, 0])) for _ in range(3))  # type: ignore[misc]
    return found[torch.bfloat16] / found[torch.float32]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _machine() -> list[str]:
    """What the speed depends on beside the model."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    about = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return [platform.machine(), platform.node(), *about, torch.__version__, str(native.library() and native.signature())]


def _place(key: str) -> Path:
    return places.cache_directory() / f"path-{key}.json"


def _remembered(key: str) -> Choice | None:
    """What was measured before; on disturbed cores within the hour. None where there is nothing that can be read."""
    try:
        found = recalled(json.loads(_place(key).read_text(encoding="utf-8")))
        age = time.time() - _place(key).stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found and (found.foreign <= cores.DISTURBED or age < HOUR) else None


def recalled(told: Any) -> Choice | None:
    """A choice that was written as JSON. Raises KeyError and TypeError where it is none."""
    if told is None:
        return None
    return Choice(ComputePath(**told["path"]), float(told["seconds"]), dict(told["others"]), float(told["foreign"]))


def _remember(key: str, made: Choice) -> None:
    try:
        aside = _place(key).with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(asdict(made)), encoding="utf-8")
        aside.rename(_place(key))
    except OSError:  # no home, no room, no permission: it is measured again
        return
