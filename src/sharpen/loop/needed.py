"""What a run needs of others, looked for before anything is measured: engines, programs, a judge, environments, kin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sharpen import environments, models
from sharpen.core import TaskSource
from sharpen.engines import meeting
from sharpen.loop import stages, worked
from sharpen.loop.session import Request
from sharpen.recipe import Method, first_objective, opening
from sharpen.store import refuse_taken
from sharpen.verify import code, judge_model, verify


def look(request: Request, recipe: Method, source: TaskSource, progress: Any, anew: bool) -> None:
    """Raises UserError for what is not there; what is odd about an environment that is not ours is told.

    anew  the run begins in a directory that holds none
    """
    if anew:
        refuse_taken(request.directory)
    meeting.there(request.engines)
    first = opening(recipe)
    code.require(source, first.isolation)
    if first.verify is verify:  # what each task names
        judge_model.require(source, verify)
    if first.warmup_steps:
        worked.shown(source, first, request.seed)
    for stage in stages.listed(recipe):
        if spec := getattr(stage.recipe.rollout, "keywords", {}).get("env"):
            environments.ready(spec)
            for said in environments.look_at(spec, source, request.seed):
                progress.say(said)


def kin(recipe: Method, policy: Any) -> None:
    """UserError where a role is to say how likely tokens are, and its directory's are not the student's."""
    for stage in stages.listed(recipe):
        asked = first_objective(stage.recipe).reference
        for role in stage.recipe.roles:
            # An adapter's tokenizer is its base's, which is found when it is loaded.
            if role.name == asked and Path(role.bound).is_dir() and not (Path(role.bound) / models.base.FILE).is_file():
                models.refuse_stranger(models.load_tokenizer(Path(role.bound)), policy.tokenizer, role.bound, role.name)
