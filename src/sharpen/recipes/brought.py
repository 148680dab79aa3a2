"""What a model that is brought in a directory changes in a recipe, where nothing else is said."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sharpen.recipe import Method, Recipe, Stages

# For a model that is trained already: the embedded student's learning rate would wreck it, and its answers are longer.
TRAINED = {"warmup_steps": "0", "lr": "1e-5", "max_tokens": "512"}

PACKED = ("smollm2",)  # names of models that packages carry: models/gguf.py


def packed(model: str | None) -> bool:
    """Whether a model of the user's own is not in a directory yet."""
    return model is not None and not Path(model).is_dir() and (model in PACKED or Path(model).suffix == ".gguf")


def settings(model: Path) -> dict[str, str]:
    """Those of TRAINED, with the longest answer that the directory says (asking.json), where it says one."""
    from sharpen.rollouts import asking

    known = asking.read(model)
    return TRAINED | ({"max_tokens": str(known.max_tokens)} if known and known.max_tokens else {})


def ending(method: Method, model: Path) -> Method:
    """The same, with the strings that end an answer as the directory says, in every recipe that names none."""
    from sharpen.rollouts import asking

    known = asking.read(model) if model.is_dir() else None
    if known is None or not known.sampling.stop:
        return method
    stop = known.sampling.stop
    if isinstance(method, Stages):
        stages = [dataclasses.replace(stage, recipe=stopping(stage.recipe, stop)) for stage in method.stages]
        return dataclasses.replace(method, stages=tuple(stages))
    return stopping(method, stop)


def stopping(recipe: Recipe, stop: tuple[str, ...]) -> Recipe:
    return recipe if recipe.stop else dataclasses.replace(recipe, stop=stop)
