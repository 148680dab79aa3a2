"""Who stands behind the roles that a recipe names (`core.Role`): bound and checked before the first step.

a directory         a causal LM of its own
student             the same weights, under another prompt
start, accepted     the student as it was when the loop began, or at the last round that was kept
http://…#model      an OpenAI-compatible server (endpoint.py)
module:function     a script: a function of the messages that returns the answer; of a role that gives scores, a function of
                    messages and steps that returns a number for each step
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sharpen.core import Policy, Role, UserError, suggest
from sharpen.models.endpoint import EndpointPolicy
from sharpen.models.gguf import located
from sharpen.models.loading import holds_model
from sharpen.models.probe import probe
from sharpen.models.reward import Blank, RewardModel, ScriptedScorer
from sharpen.models.scripted import ScriptedPolicy

SNAPSHOTS = ("start", "accepted")
WAYS = "a model's directory, student, start, accepted, http://host:port/v1#model, or module:function"


def named(roles: Sequence[Role], given: Sequence[str]) -> tuple[Role, ...]:
    """A recipe's roles as `--role NAME=WHO` binds them. UserError for a name that the recipe does not have."""
    found = {role.name: role for role in roles}
    for text in given:
        name, equals, who = text.partition("=")
        if name not in found:
            has = f"It has: {', '.join(found)}." if found else "It has none."
            raise UserError(f"--role {text}: the recipe has no role {name!r}.{suggest(name, found)} {has}")
        if not equals or not who:
            raise UserError(f"--role {text}: say who it is, such as --role {name}=student. It may be {WAYS}.")
        found[name] = replace(found[name], bound=located(who))
    return tuple(found.values())


def check(role: Role) -> None:
    """Refuse what cannot be, before anything is loaded. UserError."""
    who, cure = role.bound, f"Bind it with --role {role.name}=…: {WAYS}."
    if not who:
        raise UserError(f"the recipe asks the role {role.name!r}, and nobody is bound to it. {cure}")
    remote, script = who.startswith(("http://", "https://")), ":" in who and not Path(who).exists()
    if role.objective and (remote or script or who == "student"):
        why = "the student learns already; take start for a copy of it" if who == "student" else "it has no weights here"
        raise UserError(f"the role {role.name!r} learns, and {who} cannot: {why}.")
    if remote and "#" not in who:
        raise UserError(f"--role {role.name}={who}: the model's name is missing. Write it behind a #: {who}#model.")
    if role.gives == "distributions" and who == "student":
        raise UserError(f"the role {role.name!r} is compared with the student, so it cannot be the student. {cure}")
    if role.gives == "scores" and not role.objective and who in ("student", *SNAPSHOTS):
        raise UserError(
            f"the role {role.name!r} scores answers, and {who} has no head that has learnt to. Bind it with --role "
            f"{role.name}=DIR, a reward model's directory, or =module:function."
        )
    if role.objective and role.gives == "scores" and not role.teach:
        raise UserError(f"the role {role.name!r} gives scores and learns, and nothing says what from: give it `teach`.")
    if role.gives != "words" and (remote or (script and role.gives != "scores")):
        raise UserError(
            f"the role {role.name!r} has to give {role.gives}, and {who} gives words only. Take a model's directory."
        )
    if not remote and not script and who not in ("student", *SNAPSHOTS) and not Path(who).is_dir():
        raise UserError(f"--role {role.name}={who}: there is no such directory.{suggest(who, ('student', *SNAPSHOTS))} {cure}")
    if Path(who).is_dir() and not holds_model(Path(who)):
        raise UserError(f"--role {role.name}={who}: this directory is no model: it holds no config.json. {cure}")


def reach(roles: Sequence[Role]) -> None:
    """Refuse who does not answer, before anything is measured: a server that is down, a script that is not there. UserError."""
    for role in roles:
        who = role.bound
        if who.startswith(("http://", "https://")):
            url, _, model = who.partition("#")
            EndpointPolicy(url, model, role.seconds).reach()
        elif ":" in who and not Path(who).exists():
            script(role.name, who)


def bind(roles: Sequence[Role], student: Policy, like: Callable[[Path], Any]) -> dict[str, Any]:
    """The policy behind each role. A snapshot is the student itself until `take` puts another in its place.

    like  directory -> a policy of the run's precision and device. UserError for what cannot be loaded, reached or imported
    """
    found: dict[str, Any] = {}
    for role in roles:
        check(role)
        who = role.bound
        if role.gives == "distributions":
            continue
        if who == "student" or who in SNAPSHOTS:
            found[role.name] = Blank() if role.gives == "scores" else student
        elif who.startswith(("http://", "https://")):
            url, _, model = who.partition("#")
            server = EndpointPolicy(url, model, role.seconds, role.price)
            server.reach()
            found[role.name] = server
        elif Path(who).is_dir():
            found[role.name] = made(role, Path(who), like)
            probe(getattr(found[role.name], "policy", found[role.name]), who)
        else:
            function: Callable[..., Any] = script(role.name, who)
            found[role.name] = ScriptedScorer(function) if role.gives == "scores" else ScriptedPolicy(function)
    return found


def made(role: Role, path: Path, like: Callable[[Path], Any]) -> Any:
    """A role's model from a directory. UserError where it should score, has no head, and will not learn one."""
    if role.gives != "scores":
        return like(path)
    found = RewardModel(like(path), path)
    if found.fresh and not role.objective:
        raise UserError(
            f"--role {role.name}={path}: this model has no head that says one number (score.weight), so it scores nothing. "
            "Take a reward model's directory, or a recipe that teaches it."
        )
    return found


def begun(policy: Any, student: Policy) -> bool:
    """Whether a role has weights of its own by now."""
    return policy is not student and not isinstance(policy, Blank)


def script(name: str, who: str) -> Callable[..., str]:
    """The function that module:function names. It is the user's own code. UserError where there is none."""
    module, _, function = who.partition(":")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ImportError as error:
        raise UserError(f"--role {name}={who}: {module} cannot be imported: {error}.") from error
    if not callable(found):
        raise UserError(f"--role {name}={who}: {module} has no function {function!r}.")
    return found


def learners(roles: Sequence[Role]) -> list[Role]:
    return [role for role in roles if role.objective]


def save(roles: Sequence[Role], bound: Mapping[str, Any], checkpoint: Path, student: Policy) -> None:
    """Put each role that learns beside a checkpoint of the student's, once it has weights of its own."""
    for role in learners(roles):
        if begun(bound[role.name], student):
            path = checkpoint / "roles" / role.name
            path.mkdir(parents=True)
            bound[role.name].save(str(path))


def load(roles: Sequence[Role], bound: dict[str, Any], checkpoint: Path, student: Policy, like: Callable[[Path], Any]) -> None:
    """The roles that learn as they were at that checkpoint; one that had no weights of its own by then has none again."""
    for role in learners(roles):
        path = checkpoint / "roles" / role.name
        if path.is_dir():
            bound[role.name] = made(role, path, like)
            bound[role.name].load(str(path))
        elif role.bound in SNAPSHOTS:
            bound[role.name] = Blank() if role.gives == "scores" else student


def take(
    roles: Sequence[Role], bound: dict[str, Any], kind: str, model: Path, student: Policy, like: Callable[[Path], Any]
) -> None:
    """Put the model of that directory behind every role that is a snapshot of that kind; one that learns begins there once, and
    is compared with it where its objective compares."""
    for role in roles:
        if role.bound != kind or role.gives == "distributions":
            continue
        if not role.objective or not begun(bound[role.name], student):
            bound[role.name] = made(role, model, like)
        if role.objective and role.gives == "words" and role.objective().reference:
            bound[role.name].refer(str(model))
