"""How a run uses the processor: which way its student takes there, with how many threads, and whether others want the cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sharpen import models
from sharpen.core import Policy
from sharpen.loop.ahead import Shares
from sharpen.loop.request import Request
from sharpen.loop.session import Run
from sharpen.models import cores, fast_bf16, memory, paths, where
from sharpen.models.engine import native
from sharpen.recipe import Recipe
from sharpen.store import Store

NEIGHBOURS, NEIGHBOURS_S = 0.25, 5.0  # share of the cores' time that others take, over so many seconds, before a word is said


def choose(recipe: Recipe, model: Any) -> paths.Choice | None:
    """How the student is to be run, by measuring; None on a GPU, and where a precision was asked for."""
    if recipe.precision != "auto" or where(recipe.device) != "cpu":
        return None
    work = paths.Work(recipe.prompts * recipe.samples, recipe.max_tokens, recipe.samples)
    return paths.choose(model, work, recipe.micro_tokens)


def chosen_before(origin: Path) -> paths.Choice | None:
    """The path of the run that another one begins as a copy of: they are the same up to there, bit for bit."""
    with Store.open(origin, write=False) as store:
        return paths.recalled(store.meta()["path"])


def usable() -> int:
    """Threads of a run for which none were chosen."""
    return cores.usable(torch.get_num_threads())


def described(request: Request, policy: Any) -> dict[str, Any]:
    """What the store keeps of how a run uses the processor, for all who take it up."""
    shares = shared(policy, request.ahead) if request.ahead and not request.engines else ""
    return {
        "threads": policy.path.threads or usable(),
        "path": asdict(policy.choice) if policy.choice else None,
        "shares": shares if isinstance(shares, str) else asdict(shares),
    }


def shared(policy: Any, k: int) -> Shares | str:
    """How threads are shared out between generating and learning in a run that is `k` steps ahead of its learner: half for
    each, but no more than the chosen path has use for. Where they cannot be, why not."""
    cores = usable()
    if cores < 2:
        return "there is one thread"
    if why := models.picture.refused(policy, k + 1):
        return why
    most = policy.path.threads or cores
    return Shares(min(cores // 2, most), min(cores - cores // 2, most))


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Inside, torch has so many: the order of additions, and so the last bit, depends on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def say_path(policy: Policy, progress: Any) -> None:
    """Tell the user which way was chosen, on what evidence; what a precision costs that he asked for and the hardware only
    emulates; and why there are no functions in C, where those would be taken."""
    policy = getattr(policy, "policy", policy)  # of several processes, this one's
    model, choice = getattr(policy, "model", None), getattr(policy, "choice", None)
    if choice:
        progress.say(str(choice))
    elif model is not None and model.dtype == torch.bfloat16 and not fast_bf16(device := str(model.device)):
        progress.say(
            f"bfloat16 is emulated by this {'GPU' if device.startswith('cuda') else 'processor'}: a product of matrices takes "
            f"{paths.price(device):.1f} times as long as in float32. With --set precision=auto the faster one is taken."
        )
    if model is not None and model.device.type == "cpu" and (why := native.missing()):
        progress.say(f"no C kernels, for {why}: torch's own operations do the same, slower. With gcc or clang there are some.")


def say_memory(this: Run) -> None:
    """Tell the user what a model that is brought takes, once a step has shown it."""
    if said := memory.told(getattr(this.policy, "policy", this.policy)):
        this.progress.say(said)


def say_neighbours(this: Run) -> None:
    """Tell the user once where others take the cores: a run that is slow for that has nothing wrong with it."""
    foreign = this.watch.foreign(NEIGHBOURS_S)
    if foreign is not None and foreign > NEIGHBOURS and "neighbours" not in this.reported:
        this.reported.add("neighbours")
        this.progress.say(
            f"something else is using the cores: {foreign:.0%} of their time in the last {NEIGHBOURS_S:.0f} s. The run goes on "
            "with its threads, slower; results are the same."
        )
