"""A run whose student is answered for by engines elsewhere (`--engines`), and how far it may run ahead of its learner."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sharpen import models
from sharpen.core import UserError
from sharpen.engines import Served, meeting, nccl, transport
from sharpen.loop.ahead import NUMBERS, WORKED, Ahead, Shares
from sharpen.loop.request import Request, recalled
from sharpen.loop.session import Run, build_policy, build_recipe
from sharpen.recipe import Recipe, opening
from sharpen.rollouts import RoleJudges
from sharpen.store import Store


def meet(request: Request, policy: Any, progress: Any) -> Served | None:
    """The engines that a request names, looked at; None where it names none. UserError where one cannot be used."""
    if not request.engines:
        return None
    place = meeting.directory(request.directory, request.publish)
    whole = nccl.transport() if request.publish == nccl.NAME else transport.WHOLE
    served = Served(request.engines, place, keep=2 + request.ahead, say=progress.say, whole=whole)
    try:
        served.meet(policy)
    except BaseException:
        served.close()
        raise
    return served


def ahead_of(this: Run) -> Run:
    """The run with what is on its way, where it was asked to be ahead of its learner. UserError where it cannot be."""
    k = int(this.store.meta().get("request", {}).get("ahead", 0))
    if not k:
        return this
    learners = models.roles.learners(this.recipe.roles)
    if isinstance(this.judges, RoleJudges) or learners or "student" in {role.bound for role in this.recipe.roles}:
        raise UserError(
            "--ahead is for recipes that ask nobody but the student for his answers: here a role is asked, too, and it would "
            "answer with weights that are just being changed. Leave --ahead out."
        )
    if any(stage.recipe.early for stage in this.stages):
        raise UserError(
            "--ahead is for recipes that know beforehand how many rollouts a task gets: with early > 0 that follows from the "
            "first ones. Leave --ahead out, or take --set early=0."
        )
    numbers = this.store.meta().get(NUMBERS, {})
    if this.state.attempts:
        this.state.attempts.numbers.update(numbers)
    meta, shares = this.store.meta(), None
    if not getattr(this.policy, "elsewhere", None):
        found = meta.get("shares", "")
        shares = Shares(**found) if isinstance(found, dict) else None
        why = f" ({found})" if found else ""
        how = f"this process generates while it learns, {shares}"
        how = how if shares else f"this process generates and learns in turn{why}, which saves no time"
        this.progress.say(f"ahead by {k}: {how}")
    return replace(this, ahead=Ahead(k, this.store.directory / "ahead", shares, meta.get(WORKED, 0.0)))


@contextmanager
def closing(this: Run) -> Iterator[None]:
    """Inside, rollouts may be on their way."""
    try:
        yield
    finally:
        if this.ahead:
            this.ahead.close()


@contextmanager
def generating(policy: Any, served: Served | None) -> Iterator[None]:
    """Inside, the engines answer in the policy's place, and the other processes of the job make its calls."""
    policy.elsewhere = served
    try:
        yield
    finally:
        policy.elsewhere = None
        if served:
            served.close()
        if isinstance(policy, models.Sharded):
            policy.end()


def rank() -> int:
    """This process's number in the job that torchrun has started; 0 where it has not."""
    return int(os.environ.get("RANK", "0") or 0)


def whole(request: Request, recipe: Recipe) -> Recipe:
    """The recipe as this process builds its student: in float32 where that is to be shared out, for FSDP casts by itself."""
    return replace(recipe, precision="fp32") if request.shard else recipe


def half(recipe: Recipe) -> bool:
    """Whether passes of a shared student are in bfloat16."""
    device = models.where(recipe.device)
    return recipe.precision == "bf16" or (recipe.precision == "auto" and device != "cpu" and models.fast_bf16(device))


def shared(request: Request, recipe: Recipe, policy: Any) -> Any:
    """The student, shared out among the job's processes where the request says so."""
    if not request.shard:
        return policy
    return models.Sharded(policy, models.joined(models.where(recipe.device)), half(recipe))


def attend(request: Request) -> None:
    """What a process of the job does that is not the first: build the same student, and make the first one's calls."""
    recipe = opening(build_recipe(request))
    policy = build_policy(whole(request, recipe), recipe.tasks(), request.seed)
    models.attend(policy, models.joined(models.where(recipe.device)), half(recipe))


def attend_resumed(directory: Path, trusted: bool = False) -> None:
    """The same, of a run that goes on."""
    from sharpen.loop import trust

    with Store.open(directory) as store:
        meta = store.meta()
    trust.require(directory, trust.acts(meta["request"]), meta.get(trust.KEY, ""), trust.sealed(meta), trusted)
    attend(recalled(meta["request"]))


def sharded(directory: Path) -> bool:
    """Whether a run is one of several processes."""
    with Store.open(directory) as store:
        return bool(store.meta()["request"].get("shard"))
