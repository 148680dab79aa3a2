"""How the model of a run is asked, and how a model of a directory is: decided once, kept in the store and with every export."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharpen import models, rollouts, verify
from sharpen.core import GREEDY, Sampling, UserError, suggest
from sharpen.recipe import Recipe
from sharpen.recipes import catalog
from sharpen.rollouts import Asking, asking

if TYPE_CHECKING:
    from sharpen.loop.session import Run

AUTO = "auto"
LONGEST = 256  # tokens of an answer in `eval`, where nothing else is said


def of_recipe(recipe: Recipe, tokenizer: Any) -> Asking:
    """How a run asks: as its recipe says; else as the model's directory does; else a chat model is told what is read.

    An embedded student is told nothing: it has never read a sentence.
    """
    known = asking.read(Path(recipe.student)) if Path(recipe.student).is_dir() else None
    told = known or Asking(prompt_suffix=None, instructions=dict(verify.instructions_for(recipe.verify)))
    changes: dict[str, Any] = {"max_tokens": recipe.max_tokens, "sampling": recipe.sampling}
    changes |= {name: value for name in ("system", "prompt_suffix") if (value := getattr(recipe, name)) != AUTO}
    return dataclasses.replace(suited(told, tokenizer), **changes)


def of_directory(directory: Path, tokenizer: Any, settings: Iterable[str] = (), greedy: bool = True) -> Asking:
    """How a saved model is asked when it is measured or served: as its directory says, with `settings` KEY=VALUE.

    The settings are those of a run: system, prompt_suffix, max_tokens, temperature, top_k, top_p, min_p, stop. Raises UserError
    for any other, and for values that make no sense.
    """
    return suited(changed(trained(directory, greedy), settings), tokenizer)


def measured(
    directory: Path, settings: Iterable[str], samples: int, max_tokens: int | None, temperature: float | None
) -> Asking:
    """How a saved model is asked for so many answers to each task: one greedy, several as they were drawn in training.

    Raises UserError as `changed` does, and for several greedy answers, which are all the same.
    """
    given = {"max_tokens": max_tokens, "temperature": temperature}
    settings = [*settings, *(f"{name}={value}" for name, value in given.items() if value is not None)]
    found = changed(trained(directory, greedy=samples == 1), settings)
    if samples > 1 and found.sampling.temperature == 0:
        raise UserError("Greedy answers to a task are all the same: take --samples 1, or a --temperature above 0.")
    return dataclasses.replace(found, max_tokens=found.max_tokens or LONGEST)


def trained(directory: Path, greedy: bool = True) -> Asking:
    """What a directory says; where that is nothing, what a chat model without it is told. `greedy`: not as it was sampled."""
    found = asking.read(directory) or Asking(prompt_suffix=None, instructions=dict(verify.INSTRUCTIONS))
    sampling = dataclasses.replace(GREEDY, stop=found.sampling.stop) if greedy else found.sampling
    return dataclasses.replace(found, sampling=sampling)


def suited(found: Asking, tokenizer: Any) -> Asking:
    """The same, but that an embedded student is told nothing by default."""
    own = found.prompt_suffix is None and models.embedded.is_own(tokenizer)
    return dataclasses.replace(found, prompt_suffix="") if own else found


def changed(found: Asking, settings: Iterable[str]) -> Asking:
    """The same with settings KEY=VALUE. Raises UserError for one that is none."""
    drawn = [f.name for f in dataclasses.fields(Sampling)]
    known = ("system", "prompt_suffix", "max_tokens", *drawn)
    values: dict[str, Any] = {}
    for key, text in catalog.split(settings).items():
        if key not in known:
            raise UserError(f"{key}={text}: this is nothing about asking.{suggest(key, known)} There are: {', '.join(known)}.")
        if key in ("system", "prompt_suffix"):
            values |= {} if text == AUTO else {key: text}
        else:
            values[key] = catalog.typed(key, text, inspect.signature(Recipe).parameters[key])
    sampling = dataclasses.replace(found.sampling, **{key: values.pop(key) for key in drawn if key in values})
    if not 0 < sampling.top_p <= 1 or not 0 <= sampling.min_p <= 1 or sampling.temperature < 0 or sampling.top_k < 0:
        raise UserError("0 < top_p <= 1, 0 <= min_p <= 1, and temperature and top_k from 0 are needed.")
    if values.get("max_tokens", 1) < 1:
        raise UserError(f"max_tokens={values['max_tokens']}: this must be at least 1.")
    return dataclasses.replace(found, sampling=sampling, **values)


def write(this: Run, directory: Path) -> None:
    """Put beside a checkpoint how its model is asked, with the system message of the recipe's rollout."""
    system = getattr(rollouts.within(this.recipe.rollout), "keywords", {}).get("system", "")
    both = asking.after_system(({"role": "system", "content": system},) if system else (), this.asking.system)
    longest = max(stage.recipe.max_tokens for stage in this.stages)
    told = dataclasses.replace(
        this.asking, system=both[0]["content"] if both else "", max_tokens=longest, sampling=this.recipe.sampling
    )
    asking.write(told, directory)
