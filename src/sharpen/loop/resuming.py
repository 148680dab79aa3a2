"""What is looked at before a run goes on: whose it is, and whether all that it was made of is still the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sharpen.core import TaskSource, UserError
from sharpen.engines import meeting
from sharpen.loop import afar, inputs, trust
from sharpen.loop.request import Request, recalled
from sharpen.loop.session import build_policy, build_recipe
from sharpen.models import LocalPolicy, paths
from sharpen.recipe import Method, opening
from sharpen.store import Store
from sharpen.verify import code

SHOWN = 8  # changes that a message lists
LASTING = ("student", "lora", "average")  # what is saved depends on these, so they cannot change beneath a run


def description(request: Request, method: Method, policy: LocalPolicy) -> dict[str, Any]:
    """Of a run's meta, what `taken_up` compares later."""
    template = getattr(policy.tokenizer, "chat_template", None)
    return {
        "recipe_text": str(method),
        "versions": inputs.versions(),
        "made_of": inputs.made_of(request, method, template if isinstance(template, str) else repr(template)),
    }


def taken_up(
    store: Store, progress: Any, accept: bool, trusted: bool, instead: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Request, Method, TaskSource, LocalPolicy]:
    """A run as it was asked for, built again: request, method, tasks and student.

    accept   go on although inputs have changed, and record it
    trusted  run the code that the directory names, wherever that is from
    instead  fields of the request that are others this time, which change no result

    Raises UserError where the directory is not trusted and names what can act, before any of it is run; and, naming each, where
    inputs have changed, or the recipe cannot be what it was.
    """
    meta, directory = store.meta(), store.directory
    asked, then = meta["request"], meta["made_of"]
    trust.require(directory, trust.acts(asked), meta.get(trust.KEY, ""), trust.sealed(meta), trusted)
    refuse(store, changed_files(then), accept)
    request = replace(recalled(asked), **instead)
    meeting.there(request.engines)
    method = build_recipe(request)
    lasting(directory, meta["recipe_text"], str(method))
    first = opening(method)
    source = first.tasks()
    code.require(source, first.isolation)
    built = build_policy(afar.whole(request, first), source, request.seed, choose=lambda _: paths.recalled(meta["path"]))
    policy = afar.shared(request, first, built)
    now = description(request, method, policy)
    changes = inputs.changed(then, now["made_of"])
    if str(method) != meta["recipe_text"]:
        changes.append(f"the recipe {request.recipe} is not what it was: {differences(meta['recipe_text'], str(method))}")
    other, told = inputs.other_versions(meta["versions"], now["versions"])
    refuse(store, [*changes, *other], accept)
    for said in told:
        progress.say(f"{said}: results may differ in their last bits from here on")
    if told:
        store.add_meta(f"session{store.session}.versions", now["versions"])
    if changes or other:
        last = store.last_commit()
        noted = {"step": last.step if last else 0, "changes": [*changes, *other]}
        store.add_meta("changes", [*meta.get("changes", []), noted])
        progress.say(f"goes on with what has changed, and that is recorded: {shown([*changes, *other])}")
    if changes or other or trusted:
        for key, value in now.items():
            store.add_meta(key, value)
        store.add_meta(trust.KEY, trust.seal(trust.sealed({**meta, **now})))
    return request, method, source, policy


def changed_files(then: Mapping[str, str]) -> list[str]:
    """Which of these files are gone or changed. Nothing is imported or built for it."""
    paths = {key: Path(key.partition(": ")[2]) for key in then if ": " in key}
    there = inputs.known_digests([path for path in paths.values() if path.is_file()])
    now = {key: there[path] for key, path in paths.items() if path in there}
    return inputs.changed({key: then[key] for key in paths}, now)


def refuse(store: Store, changes: Sequence[str], accept: bool) -> None:
    """UserError that names the changes, unless they are accepted."""
    if changes and not accept:
        raise UserError(
            f"{store.directory} cannot go on as if it never stopped, for not all is what it was when it began:\n"
            f"{shown(changes)}\nRestore that; or go on with it as it is, which the run records: sharpen resume "
            f"{store.directory} --accept-changes; or begin a new run."
        )


def lasting(directory: Path, then: str, now: str) -> None:
    """Refuse another shape of what is saved, accepted or not. UserError."""
    old, new = settings(then), settings(now)
    for name in LASTING:
        if old.get(name) != new.get(name):
            raise UserError(
                f"{directory} was made with {name} {old.get(name)}, and its recipe now has {new.get(name)}: its checkpoints "
                "do not fit that. Restore the recipe, or begin a new run."
            )


def settings(text: str) -> dict[str, str]:
    """A recipe's text, as `print` shows it, by name."""
    pairs = (line.partition(" ") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs if name}


def differences(then: str, now: str) -> str:
    old, new = settings(then), settings(now)
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    return "; ".join(f"{name} was {old.get(name)}, and is {new.get(name)}" for name in names)


def shown(changes: Sequence[str]) -> str:
    more = f"\n  and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return "\n".join(f"  {change}" for change in changes[:SHOWN]) + more
