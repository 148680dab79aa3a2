"""What fits into memory: how many tokens a pass has, where gradients go, and what is done where a GPU's memory ends."""

from __future__ import annotations

import ctypes
import math
import os
import resource
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from sharpen.core import UserError
from sharpen.models.engine import captured, transformer

CPU_TOKENS = 1536  # on a processor a larger pass is no faster, and 8,192 tokens need twice the memory
GPU_TOKENS = 32768
ACTIVATION_BYTES = {"cpu": 2**29, "cuda": 8 * 10**9}  # what a pass keeps for its backward pass …
HALF_BYTES = 3 * 2**28  # on a processor in bfloat16, where every pass reads and writes all gradients
LEAST = 256  # … unless it has no more tokens than this already
TOLD = 2**28  # bytes of weights and optimizer from which it is worth a word what they are
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt
# What the processor's allocator may keep beyond what a step needs, before it is given back.
IDLE_BYTES, IDLE_SHARE = 5 * 2**25, 0.02

T = TypeVar("T")


def pass_tokens(model: Any, recompute: bool) -> int:
    """Tokens of one forward and backward pass of this model where it is. `recompute` as in `transformer.hidden_states`.

    Of a model whose configuration does not say its sizes as Llama's does, nothing is known, and a pass is as long as any.
    """
    gpu = model.device.type == "cuda"
    most, room = (GPU_TOKENS, ACTIVATION_BYTES["cuda"]) if gpu else (CPU_TOKENS, ACTIVATION_BYTES["cpu"])
    room = HALF_BYTES if not gpu and model.dtype == torch.bfloat16 else room
    sizes = [getattr(model.config, name, None) for name in ("num_hidden_layers", "hidden_size", "intermediate_size")]
    if not all(isinstance(n, int) for n in sizes):
        return CPU_TOKENS if not gpu else 4096
    layers, width, inner = (int(n) for n in sizes if n is not None)
    kept: float = width
    if gpu and not recompute:  # of a layer, as in train_fused.py
        heads = model.config.num_attention_heads
        groups = getattr(model.config, "num_key_value_heads", None) or heads
        kept = 4 * width + (2 * heads + 2 * groups) * (getattr(model.config, "head_dim", None) or width // heads) + 2 * inner
    elif (
        not recompute
    ):  # its input, both norms, queries, keys, values and what attention makes of them; gate, up, their product
        kept = 9 * width + 3.5 * inner
    return int(min(most, max(room / (layers * kept * model.dtype.itemsize), LEAST)))


def halving(work: Callable[[int], T], tokens: int, again: Callable[[], object]) -> tuple[T, int]:
    """(work(tokens), tokens), and where a GPU's memory does not hold it, the same with half as many, and half of these, …

    again  takes back what a work that failed has left behind
    Raises UserError where a pass of LEAST tokens does not fit.
    """
    while True:
        try:
            return work(tokens), tokens
        except torch.OutOfMemoryError as error:
            again()
            if tokens <= LEAST:
                raise UserError(
                    f"the GPU's memory does not hold a pass of {tokens} tokens beside the weights and the optimizer: take a "
                    "smaller model, or --set lora=16, optimizer_bits=8, recompute=true or offload=true"
                ) from error
        captured.release()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        tokens = max(tokens // 2, LEAST)
        warnings.warn(f"out of GPU memory: passes have {tokens} tokens from here on, to the same gradient", stacklevel=2)


def place(model: Any, offload: bool, bf16: bool) -> str:
    """The device of what is trained. Raises UserError where `offload` would do nothing."""
    if offload and not (bf16 and model.device.type == "cuda"):
        raise UserError("offload=true moves float32 weights off a GPU that trains in bfloat16, and here are none: leave it out")
    return "cpu" if offload else str(model.device)


def halve(model: Any) -> None:
    """Make a model bfloat16, but for what its architecture needs in float32: a router's biases, frequencies of positions."""
    strict = tuple(getattr(model, "_keep_in_fp32_modules_strict", None) or ())
    exact = strict if transformer.supported(model) else (*strict, "inv_freq")
    kept = [
        (n, t.detach().clone()) for n, t in (*model.named_parameters(), *model.named_buffers()) if any(e in n for e in exact)
    ]
    model.to(torch.bfloat16)
    for name, tensor in kept:
        owner, _, own = name.rpartition(".")
        getattr(model.get_submodule(owner), own).data = tensor


def collect(trained: Tensor, image: Tensor) -> None:
    """Add the gradient of a bfloat16 image to that of the float32 weights, as soon as it is there."""
    if image.grad is None:  # it has been summed there already (train_products.py)
        return
    gradient = image.grad.to(trained.device)
    trained.grad = gradient.float() if trained.grad is None else trained.grad.add_(gradient)
    image.grad = None


def clipped(trained: Mapping[str, Tensor], most: float) -> float:
    """Scale gradients whose norm is larger than `most`; returns that norm."""
    return float(torch.nn.utils.clip_grad_norm_(trained.values(), most))


def forget(policy: Any) -> None:
    """Drop the gradients that passes have left at a LocalPolicy."""
    policy.optimizer.zero_grad()
    policy.model.zero_grad()
    if policy.critic is not None:
        policy.critic.optimizer.zero_grad()


def held(policy: Any) -> dict[str, int]:
    """Bytes that a LocalPolicy holds, by what they are for. Gradients are there while a step learns, the rest all the time."""
    trained = [*policy.trained.values()]
    own = set(map(id, trained))
    parts: dict[str, Iterable[Tensor]] = {
        "trained weights": trained,
        "their gradients": trained,
        "the optimizer's moments": [t for kept in policy.optimizer.state.values() for t in kept.values()],
        f"weights that run in {policy.precision}": [p for p in policy.model.parameters() if id(p) not in own],
        "the running mean": policy.mean,
        "the last round's weights": policy.learned,
        "the reference": policy.reference.parameters() if policy.reference is not None else (),
    }
    found = {name: sum(t.nbytes for t in tensors) for name, tensors in parts.items()}
    return {name: size for name, size in found.items() if size}


def told(policy: Any) -> str:
    """What of a process's memory is a policy's, in words; "" where that is little, before the first update, in
    shards, or where the model is elsewhere."""
    if not getattr(policy, "trained", None) or policy.ranks or not policy.optimizer.state:
        return ""
    parts = held(policy)
    if sum(parts.values()) < TOLD:
        return ""
    gpu = policy.model.device.type == "cuda"
    most = torch.cuda.max_memory_allocated() if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    each = ", ".join(f"{size / 1e9:.2f} {name}" for name, size in parts.items())
    return (
        f"memory: {most / 1e9:.2f} GB at most so far{' on the GPU' if gpu else ''}. Of them {each}; the rest is activations, "
        "caches of keys and values, and libraries"
    )


class Unused:
    """What the processor's allocator keeps unused at the places that a program comes by again and again.

    Passes of ever other sizes leave holes that no later one fits, so that a process of 3 GB grows to 5 in forty steps. What is
    given back has to be mapped and cleared again when it is needed, though: where every step needs it, as the next pass needs
    what this one has left, that is a tenth of a small model's time. So blocks of any size are kept (`hold`), what one whole
    step needs is noted first, and only what has come on top of it is given back.

    more    bytes beyond that, and `share` of it, from which they are given back
    places  by which one step comes, each of which may need more than the others
    """

    def __init__(self, more: int = IDLE_BYTES, share: float = IDLE_SHARE, places: int = 1) -> None:
        self.more, self.share, self.places = more, share, places
        self.needed = self.noted = 0  # bytes in memory without holes, the most of so many places
        hold()

    def give_back(self) -> None:
        """Called when the program comes by. Nothing where the allocator is not glibc's."""
        if (libc := _glibc()) is None:
            return
        now = resident()
        if self.noted < self.places:
            self.needed, self.noted = max(self.needed, now), self.noted + 1
        elif now > (1 + self.share) * self.needed + self.more:
            libc.malloc_trim(0)
            self.needed = self.noted = 0


def available(root: Path = Path("/")) -> float:
    """Bytes that this process may still take: what the machine has free, and what its control group leaves beside what the
    process has; infinity where nobody tells."""
    found = [math.inf]
    info = root / "proc/meminfo"
    for line in info.read_text(encoding="utf-8").splitlines() if info.exists() else ():
        if line.startswith("MemAvailable:"):
            found.append(1024.0 * int(line.split()[1]))
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = root / "sys/fs/cgroup" / name
        word = limit.read_text(encoding="utf-8").strip() if limit.is_file() else ""
        if word.isdecimal():
            found.append(max(float(word) - resident(), 0.0))
    return min(found)


def resident() -> int:
    """Bytes of this process that are in memory and stand in no file."""
    _, held, of_files, *_ = Path("/proc/self/statm").read_text().split()
    return (int(held) - int(of_files)) * os.sysconf("SC_PAGE_SIZE")


@lru_cache(maxsize=1)
def hold() -> None:
    """From now on glibc keeps what this process frees, blocks of more than its 32 MiB too, until `malloc_trim`.

    It gives each of them back at once otherwise, and a gradient of an embedding (113 MB of SmolLM2) is mapped and cleared page
    by page in every step: 100,000 to 200,000 page faults, a tenth of the time that learning takes on one core.
    """
    if (libc := _glibc()) is not None:
        libc.mallopt(MMAP_THRESHOLD, 2**30)
        libc.mallopt(TRIM_THRESHOLD, -1)


@lru_cache(maxsize=1)
def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None
