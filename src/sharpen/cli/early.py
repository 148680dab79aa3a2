"""Mistakes of a command line that are told before torch is loaded, which takes seconds.

Whatever is not found here is found later, in the same words: nothing is refused that would have been possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def known(recipe: str | None, settings: Sequence[str], budget: str | None, model: str | None, tasks: str | None) -> None:
    """UserError for a recipe that there is not, for settings that it does not take, and for a file of tasks or a model that is
    not there. A model that is still packed counts as one that is trained, whatever its directory will say.

    recipe  None: that of `sharpen run` alone, which a model in no known place leaves open
    """
    from sharpen.recipes import brought, catalog

    trained = model is not None and (brought.packed(model) or Path(model).is_dir())
    if recipe is None and model is not None and not trained:
        return
    if brought.packed(model):
        given = catalog.split(settings)
        settings = [*settings, *(f"{key}={value}" for key, value in brought.TRAINED.items() if key not in given)]
    catalog.build(recipe or ("frontier" if trained else "quickstart"), settings, model, tasks, budget, tried=False)
    there(tasks)


SHARED = {"budget", "seed", "student", "tasks"}


def compared(recipes: Sequence[str], settings: Sequence[str], budget: str | None, model: str | None, tasks: str | None) -> None:
    """`known` of each contender; its own settings go before those for all."""
    from sharpen.terminal import places

    for text in recipes:
        recipe, *own = places.contender(text)
        own = [setting for setting in own if not setting.startswith("as_control=")]
        keys = {setting.partition("=")[0].strip() for setting in own}
        if keys & SHARED:
            continue  # which is refused for another reason
        common = [setting for setting in settings if setting.partition("=")[0].strip() not in keys]
        known(recipe, [*common, *own], budget, model, tasks)


def budget(text: str) -> None:
    """UserError for a budget that is none."""
    from sharpen.guard import parse_budget

    parse_budget(text)


def model(*named: Path | str | None) -> None:
    """UserError where a model is named that cannot be there."""
    from sharpen.core import UserError
    from sharpen.recipes import brought

    for each in named:
        if each is None or Path(each).is_dir() or brought.packed(str(each)):
            continue
        raise UserError(f"{each} is not a model: there is no such directory. Name a directory written by save_pretrained.")


def there(tasks: str | None) -> None:
    """UserError for a file of tasks that is not there."""
    from sharpen.tasks import files_of, read_file

    for path in map(Path, files_of(tasks) if tasks and tasks.strip(", ") else ()):
        if not path.exists():
            read_file(path)  # says so
