"""Which recipes there are, and how a name and a few settings become a `Recipe`.

1. Recipes are found by reading files (`ast`), never by importing them: `src/sharpen/recipes/<family>/<name>.py`.
2. A file says what it claims in its docstring: first line the claim, then `Paper:`, `Parent:`, `Differs:`, and `Status:`
   once somebody has shown the claim or its opposite; `Tried:` says what was found where nothing was decided.
3. Only `build` imports a file. A path to a user's own .py works like a name; that code is the user's own.
4. A setting that would do nothing is an error.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import importlib.util
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sharpen import core, hashing
from sharpen.core import UserError, suggest
from sharpen.recipe import SLOTS, Method, Recipe, Stages, asked_for, opening
from sharpen.recipes import brought, staging, streams
from sharpen.recipes.validation import CALLS, validate

RECIPES = Path(__file__).parent
# Where the functions of a slot live.
ROOM_OF = {
    "tasks": "tasks",
    "curriculum": "curriculum",
    "rollout": "rollouts",
    "verify": "verify",
    "select": "data",
    "objective": "objectives",
    "guard": "guard",
    "control": "guard",
    "gate": "guard",
    "hand_over": "guard",
    "grow": "data",
}

TIERS = {"setting": (0, 30), "piece": (1, 60), "loop": (99, 120)}  # new functions, lines
STATUSES = ("claimed", "reproduced on a toy", "reproduced", "refuted here")

WARMUP = (
    "warmup_levels",
    "warmup_demos",
    "warmup_rows",
    "warmup_lr",
    "warmup_until",
)  # these do nothing where warmup_steps is 0
GROWTH = ("grow_limit", "grow_tries", "grow_low", "grow_high")  # and these where nothing grows


@dataclass(frozen=True)
class RecipeInfo:
    """What a recipe's file says, without running it.

    tier      "setting" (no new function, at most 30 lines), "piece" (one, 60), "loop" (any number, 120), or "oversize".
              Lines are those of the statements; the docstring and `check` are not counted
    parent    name of the recipe it derives from, or None
    status    "claimed"; "reproduced on a toy", a game, a bandit or a table in place of a model and its tasks; "reproduced" or
              "refuted here". All but the first come with `evidence`: COMMAND (FIGURES)
    tried     the same of an experiment that decided nothing, or ""
    check     what the file's `check` asserts, which the tests run
    """

    name: str
    family: str
    tier: str
    claim: str
    paper: str
    parent: str | None
    differs: str
    status: str
    evidence: str
    tried: str
    check: str
    path: Path


def recipes() -> list[RecipeInfo]:
    """Every recipe that ships, sorted by family and name."""
    return [read(path) for path in sorted(RECIPES.glob("*/*.py")) if path.stem != "__init__"]


def find(recipe: str) -> RecipeInfo:
    """The recipe of that name, or in that file when `recipe` ends in .py. UserError where there is none."""
    if recipe.endswith(".py"):
        return read(Path(recipe))
    known = {path.stem: path for path in RECIPES.glob("*/*.py") if path.stem != "__init__"}
    if recipe not in known:
        raise UserError(f"There is no recipe {recipe!r}.{suggest(recipe, known)} `sharpen list` shows them all.")
    return read(known[recipe])


def read(path: Path) -> RecipeInfo:
    """Read one recipe file. UserError where it cannot be read, is not Python, or has no function `recipe`."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as e:
        raise UserError(f"{path}: the recipe cannot be read: {e.strerror}.") from e
    except (SyntaxError, ValueError) as e:
        raise UserError(f"{path}: this is not Python: {e}.") from e
    if not any(isinstance(node, ast.FunctionDef) and node.name == "recipe" for node in tree.body):
        raise UserError(f"{path}: a recipe file defines a function `recipe`, and this one does not.")
    claim, fields = _docstring(ast.get_docstring(tree) or "")
    status, _, evidence = fields.get("Status", "claimed").partition(":")
    if status.strip() not in STATUSES:
        raise UserError(
            f"{path}: status {status.strip()!r} is none of {', '.join(STATUSES)} (as in `Status: reproduced: COMMAND`)."
        )
    parent = fields.get("Parent", "none").split(",")[0].strip(" .")
    return RecipeInfo(
        name=path.stem,
        family=path.parent.name,
        tier=_tier(tree),
        claim=claim,
        paper=fields.get("Paper", ""),
        parent=None if parent.lower() in ("", "-", "—", "none") else parent,
        differs=fields.get("Differs", ""),
        status=status.strip(),
        evidence=evidence.strip(),
        tried=fields.get("Tried", ""),
        check=_says(tree, "check"),
        path=path,
    )


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """The claim (first line) and the `Key: value` entries; indented lines continue an entry."""
    claim, _, rest = text.partition("\n")
    fields: dict[str, str] = {}
    key = ""
    for line in rest.splitlines():
        entry = re.match(r"([A-Z][a-z]+):\s*(.*)", line)
        if entry:
            key = entry[1]
            fields[key] = entry[2].strip()
        elif key and line.startswith((" ", "\t")):
            fields[key] = f"{fields[key]} {line.strip()}".strip()
        else:
            key = ""
    return claim.strip(), fields


def _says(tree: ast.Module, name: str) -> str:
    """The docstring of a function, in one line; "" where there is none."""
    found = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    return " ".join(next((ast.get_docstring(n) or "" for n in found), "").split())


def _tier(tree: ast.Module) -> str:
    body = tree.body[1:] if ast.get_docstring(tree) is not None else tree.body
    body = [n for n in body if not (isinstance(n, ast.FunctionDef) and n.name == "check")]
    lines = sum((n.end_lineno or n.lineno) - n.lineno + 1 for n in body)
    new = [n for n in body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and n.name != "recipe"]
    return next(
        (tier for tier, (functions, longest) in TIERS.items() if len(new) <= functions and lines <= longest), "oversize"
    )


def load(info: RecipeInfo) -> ModuleType:
    """Import a recipe's module. What its code raises is left as it is: the traceback is the author's."""
    if info.path.resolve().is_relative_to(RECIPES.resolve()):
        return importlib.import_module(f"sharpen.recipes.{info.family}.{info.name}")
    name = f"sharpen_user_{hashing.digest(str(info.path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, info.path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a function's module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def build(
    recipe: str,
    settings: Iterable[str] = (),
    model: str | None = None,
    tasks: str | None = None,
    budget: str | None = None,
    tried: bool = True,
) -> Method:
    """A recipe by name or path, with settings `key=value` applied in this order, whatever order they come in:

    1. an argument of the file's function `recipe`;
    2. a number of `Recipe`;
    3. a slot: the name of a public function of that slot's module (for `tasks` also a task SPEC);
    4. `slot.argument`: one argument of that slot's function.

    Where a recipe has stages, all but the first kind are those of every stage that has such a setting; with the stage's name or
    number before them, `dpo.lr` or `2.lr`, of that one alone, which goes before. `dpo.share` and the like are the stage's own.

    `model`, `tasks` and `budget` are the settings `student`, `tasks` and `budget`. A model in a directory is taken to be
    trained already, and gets the settings of brought.py where no others are given. `tried` false leaves out whether anything
    would be learnt, for which toy batches are tried and torch is loaded.

    Raises UserError for an unknown key, a value of the wrong type or that makes no sense, and a setting that would do nothing.
    """
    info = find(recipe)
    given = split(settings)
    for key, value in (("student", model), ("tasks", tasks), ("budget", budget)):
        if value is not None:
            if key in given:
                raise UserError(f"{key} is given twice, once as an option and once with --set. Leave one out.")
            given[key] = value
    if model is not None and Path(model).is_dir():
        given = {**brought.settings(Path(model)), **given}
    knobs = parameters(info)
    built = _apply(info, knobs, given)
    if model is not None:
        built = brought.ending(built, Path(model))
    if isinstance(built, Stages):
        staging.validate(built, tried)
    else:
        validate(built, tried)
    for key in [k for k in given if k in knobs]:
        if typed(key, given[key], knobs[key]) != knobs[key].default and _idle(key, info, knobs, given, built):
            raise UserError(f"{key}={given[key]} would do nothing: the recipe comes out the same without it.")
    if opening(built).warmup_steps == 0:
        for key in [k for k in WARMUP if k in given]:
            raise UserError(f"{key}={given[key]} would do nothing: there is no warm-up. Set warmup_steps too.")
    if isinstance(built, Recipe) and built.grow is core.growth.nothing:
        for key in [k for k in GROWTH if k in given]:
            raise UserError(f"{key}={given[key]} would do nothing: no task is grown. Set grow too.")
    return built


def parameters(info: RecipeInfo) -> dict[str, inspect.Parameter]:
    """The knobs of a recipe: the arguments of its function, and its parent's where it passes `**knobs` on."""
    own = inspect.signature(load(info).recipe).parameters
    knobs = {k: p for k, p in own.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    if info.parent and any(p.kind is p.VAR_KEYWORD for p in own.values()):
        knobs = {**parameters(find(info.parent)), **knobs}
    return knobs


def split(settings: Iterable[str]) -> dict[str, str]:
    """Settings KEY=VALUE by key. Raises UserError for what is none, and for one that is given twice."""
    given: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            raise UserError(f"--set {setting!r}: settings are written key=value, such as --set lr=1e-5.")
        if key in given:
            raise UserError(f"{key} is set twice, to {given[key]!r} and to {value!r}. Leave one out.")
        given[key] = value.strip()
    return given


def _idle(key: str, info: RecipeInfo, knobs: Mapping[str, inspect.Parameter], given: Mapping[str, str], built: Method) -> bool:
    try:
        without = _apply(info, knobs, {k: v for k, v in given.items() if k != key})
    except UserError:  # another setting needs this one
        return False
    return str(without) == str(built)


def _apply(info: RecipeInfo, knobs: Mapping[str, inspect.Parameter], given: Mapping[str, str]) -> Method:
    built = load(info).recipe(**{k: typed(k, v, knobs[k]) for k, v in given.items() if k in knobs})
    rest = {k: v for k, v in given.items() if k not in knobs and k != "stream"}
    if "stream" in given:
        built = streams.over(built, given["stream"], rest.get("tasks.map", ""))
        rest = {"tasks": streams.whole(given["stream"]), **rest}
    if isinstance(built, Stages):
        return staging.changed(info.name, built, rest, functools.partial(_changed, info.name, ()))
    if not isinstance(built, Recipe):
        raise UserError(f"{info.path}: recipe() returned {type(built).__name__}, and must return a Recipe.")
    return _changed(info.name, knobs, built, rest)


def _changed(name: str, knobs: Iterable[str], built: Recipe, rest: Mapping[str, str]) -> Recipe:
    """The recipe with these settings of kinds 2 to 4. UserError for one that it does not have."""
    numbers = {k: p for k, p in inspect.signature(Recipe).parameters.items() if k not in SLOTS}
    changes: dict[str, Any] = {k: typed(k, v, numbers[k]) for k, v in rest.items() if k in numbers}
    changes |= {k: slot_function(k, v) for k, v in rest.items() if k in SLOTS}
    built = dataclasses.replace(built, **changes)
    for key in [k for k in rest if k not in changes]:
        slot, dot, argument = key.partition(".")
        if not dot or slot not in SLOTS:
            known = [*knobs, *numbers, *SLOTS, *(f"{s}.{a}" for s in SLOTS for a in arguments(s, getattr(built, s)))]
            raise UserError(f"Recipe {name} has no setting {key!r}.{suggest(key, known)} `sharpen show {name}` lists them.")
        changed: dict[str, Any] = {slot: override(slot, argument, rest[key], getattr(built, slot))}
        built = dataclasses.replace(built, **changed)
    return built


def slot_function(slot: str, name: str) -> Callable[..., Any]:
    """The public function of the slot's room with that name; for `tasks`, any other text is a task SPEC."""
    functions = choices(slot)
    if name in functions:
        return functions[name]
    if slot == "tasks":
        from sharpen.tasks import parse_spec

        return functools.partial(parse_spec, name)
    raise UserError(f"{slot}={name}: there is no such function.{suggest(name, functions)} There are: {', '.join(functions)}.")


@functools.cache  # every setting of a slot asks, and the signatures of a room's functions cost ten milliseconds
def choices(slot: str) -> dict[str, Callable[..., Any]]:
    """The functions that can stand in a slot, by name: those that its room offers, itself or in a module that it offers, and
    that return what the slot returns."""
    room = importlib.import_module(f"sharpen.{ROOM_OF[slot]}")
    offered = [getattr(room, name) for name in room.__all__]
    default = getattr(Recipe, slot, None)  # where a recipe need not name one
    found = {default.__name__: default} if default else {}
    for module in (room, *filter(inspect.ismodule, offered)):
        for name, function in vars(module).items():
            # What a module has from elsewhere in its room is a helper there, or offered by the room itself.
            own = inspect.isfunction(function) and (module is room or function.__module__ == module.__name__)
            if own and not name.startswith("_") and fits(slot, function, room.__name__):
                found[name] = function
    return dict(sorted(found.items()))


def fits(slot: str, function: Callable[..., Any], room: str) -> bool:
    """Whether a function of that room takes what the loop passes to the slot and nothing more that text cannot give, and says
    that it returns what the slot returns."""
    count, returns = CALLS[slot]
    own = f"{function.__module__}.".startswith(f"{room}.")
    positional = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    needed = [annotation(p.annotation) for p in positional[count:] if p.default is p.empty]
    returned = annotation(function.__annotations__.get("return"))
    returned = "Verdict" if returned == "VerdictGenerator" else returned
    return own and returned == returns and len(positional) >= count and {"int", "float", "str", "bool"}.issuperset(needed)


def arguments(slot: str, function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The arguments of a slot's function that a user may set, with their present values: all but those that the loop passes."""
    partial = function if isinstance(function, functools.partial) else functools.partial(function)
    parameters = list(inspect.signature(partial.func).parameters.values())
    bound = [p.replace(default=value) for p, value in zip(parameters, partial.args, strict=False)]
    free = parameters[len(bound) + CALLS[slot][0] :]
    offered = asked_for(function)
    found = [*bound, *(p.replace(default=partial.keywords.get(p.name, p.default)) for p in free if p.name not in offered)]
    return {p.name: p for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def override(slot: str, argument: str, text: str, function: Callable[..., Any]) -> Callable[..., Any]:
    partial = function if isinstance(function, functools.partial) else functools.partial(function)
    known = arguments(slot, function)
    if argument not in known:
        has = f"It takes: {', '.join(known)}." if known else "It takes none."
        raise UserError(f"{slot}={partial.func.__name__} has no argument {argument!r}.{suggest(argument, known)} {has}")
    value = typed(f"{slot}.{argument}", text, known[argument])
    position = list(inspect.signature(partial.func).parameters).index(argument)
    if position < len(partial.args):
        args = (*partial.args[:position], value, *partial.args[position + 1 :])
        return functools.partial(partial.func, *args, **partial.keywords)
    return functools.partial(partial.func, *partial.args, **{**partial.keywords, argument: value})


def annotation(value: Any) -> str:
    """An annotation as text, whether or not its module postpones evaluation. Nothing is evaluated here."""
    if value is None or value is inspect.Parameter.empty:
        return ""
    return value if isinstance(value, str) else re.sub(r"\bsharpen\.(?:\w+\.)*", "", inspect.formatannotation(value))


def typed(key: str, text: str, parameter: inspect.Parameter) -> Any:
    """Text from the command line as the type that the parameter's annotation, or else its default, asks for."""
    default = parameter.default
    wanted = annotation(parameter.annotation) or ("str" if default in (None, parameter.empty) else type(default).__name__)
    options = [t.strip() for t in wanted.split("|")]
    if "None" in options and text.lower() == "none":
        return None
    for option in options:
        kind, _, inner = option.partition("[")
        if kind in ("tuple", "list", "Sequence", "Iterable"):
            item = inner.rstrip("]").split(",")[0].strip() or "str"
            return tuple(_scalar(key, part.strip(), item) for part in text.split(",") if part.strip())
        if kind in ("bool", "int", "float", "str", "Path"):
            return _scalar(key, text, "float" if kind == "int" and "float" in options else kind)
    raise UserError(f"{key} holds a {wanted}, which no text on the command line can give. Write a recipe file of your own.")


def _scalar(key: str, text: str, kind: str) -> Any:
    words = {"bool": "true or false", "int": "a whole number", "float": "a number"}
    try:
        if kind == "bool":
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        value = {"int": int, "float": float, "Path": Path, "str": str}[kind](text)
    except (KeyError, ValueError):
        raise UserError(f"{key}={text}: this must be {words.get(kind, kind)}.") from None
    if isinstance(value, float) and math.isnan(value):
        raise UserError(f"{key}={text}: this must be a number.")
    return value
