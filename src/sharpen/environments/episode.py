"""One environment, driven by requests: what a class of the contract is asked, and what of it counts. Runs beside the class.

The contract (docs/environments.md):

    reset(task)        the first observation, of a task's data, in which `seed` is a number of its own
    public methods     tools; or one method `step(action: str)`, which takes all that the model says
    done, done()       true once the episode is over; or a tool returns an Observation that says so
    reward()           0 to 1, or a Verdict; reward(answer) is given what was said last
    state()            where there is no reward: a text that the task's verifier judges, in the place of what was said last
    snapshot(), restore(JSON)  where the class can; elsewhere actions are played again

A ValueError that a method raises is the model's mistake, and its words are the observation. Any other exception is ours.
"""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sharpen.core import Observation, Verdict, shortened
from sharpen.environments.schema import tools_of

LONGEST = 200_000  # characters of an observation that leave the process; `Act.longest` says how many of them are shown


class Episode:
    """An environment from its reset to its verdict."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
        self.thing: Any = None

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What a request comes to, as JSON. Raises whatever the class raises."""
        return getattr(self, f"do_{asked['op']}")(asked)

    def do_reset(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        task = dict(asked["task"])
        random.seed(task.get("seed", 0))  # so that a class that draws from these is repeatable, too
        np.random.seed(int(task.get("seed", 0)) % 2**32)
        self.thing = self.make()
        first = self.thing.reset(task)
        return self.seen("" if first is None else first, "reset") | about(self.thing)

    def do_step(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        thing = self.begun()
        try:
            if hasattr(thing, "step"):
                return self.seen(thing.step(asked["action"]), "step")
            call = json.loads(asked["action"])
            return self.seen(getattr(thing, call["name"])(**call["arguments"]), call["name"])
        except ValueError as error:
            return self.seen(f"error: {error}" if str(error) else "error: this cannot be done", "")

    def do_judge(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        thing = self.begun()
        if hasattr(thing, "reward"):
            wants = inspect.signature(thing.reward).parameters
            return {"text": "", "verdict": fields_of(thing.reward(asked["action"]) if wants else thing.reward())}
        return {"text": str(thing.state())} if hasattr(thing, "state") else {"text": asked["action"]}

    def do_snapshot(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        thing = self.begun()
        return (
            {"text": "", "snapshot": json.loads(json.dumps(thing.snapshot()))} if hasattr(thing, "snapshot") else {"text": ""}
        )

    def do_restore(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self.begun().restore(asked["snapshot"])
        return {"text": ""}

    def begun(self) -> Any:
        if self.thing is None:
            raise RuntimeError("it was never reset")
        return self.thing

    def seen(self, found: Any, method: str) -> dict[str, Any]:
        """An observation of what a method returned. TypeError for what is none."""
        if isinstance(found, np.generic):
            found = found.item()
        if found is None or isinstance(found, int | float | bool):
            found = "ok" if found is None else str(found)
        elif isinstance(found, dict | list):
            found = json.dumps(found, ensure_ascii=False)
        if isinstance(found, str):
            found = Observation(found)
        if not isinstance(found, Observation) or not isinstance(found.text, str):
            raise TypeError(
                f"{method}() returned a {type(found).__name__}, and must return a text, a number, a list, a dictionary or a "
                "sharpen.core.Observation(text, done=…)"
            )
        text = shortened(found.text, LONGEST)
        over = getattr(self.thing, "done", False)
        done = found.done or bool(over() if callable(over) else over)
        return {"text": text, "done": done, "parts": {str(k): float(v) for k, v in found.parts.items()}}


def about(thing: Any) -> dict[str, Any]:
    """What a rollout has to know of an environment."""
    words = hasattr(thing, "step")
    tools = [] if words else getattr(thing, "tools", None) or tools_of(thing)
    if not words and not tools:
        owner = thing if inspect.isclass(thing) else type(thing)
        raise TypeError(f"{owner.__name__} has no public method, so there is nothing that can be done")
    return {"tools": tools, "words": words, "judges": hasattr(thing, "reward"), "snapshots": hasattr(thing, "snapshot")}


def fields_of(reward: Any) -> dict[str, Any]:
    """A verdict of what `reward` returned, as JSON. ValueError for what is no reward."""
    if isinstance(reward, Verdict):
        found = {name: getattr(reward, name) for name in ("outcome", "reward", "feedback", "rule")}
        parts = {str(k): float(v) for k, v in reward.parts.items()}
        return found | {"parts": parts, "credit": [float(v) for v in reward.credit]}
    if not isinstance(reward, int | float | np.floating | np.integer | np.bool_) or not 0 <= float(reward) <= 1:
        raise TypeError(f"reward() returned {reward!r:.80}, and must return a number from 0 to 1, or a Verdict")
    value = float(reward)
    return {"outcome": "correct" if value == 1 else "wrong", "reward": value, "feedback": "", "rule": "environment"}


def verdict_of(fields: Mapping[str, Any]) -> Verdict:
    return Verdict(**{**fields, "credit": tuple(fields.get("credit", ()))})


def misshapen(made: Any) -> str:
    """What is wrong with a class before there is one of it, and the cure; "" where nothing is. A function may make anything."""
    name = getattr(made, "__name__", repr(made)[:80])
    if not callable(made):
        return f"{name} is a {type(made).__name__}, and must be a class, or a function that makes an environment."
    if not inspect.isclass(made):
        return ""
    methods = {n: getattr(made, n) for n in dir(made) if not n.startswith("_") and inspect.isfunction(getattr(made, n))}
    if "reset" not in methods:
        return f"{name} has no method reset(self, task), which begins an episode and returns what is shown first."
    if slow := [n for n, method in methods.items() if inspect.iscoroutinefunction(method)]:
        return f"{name}.{slow[0]} is async, and nobody would await it: make it a plain method, which may use asyncio.run."
    if needed := required(inspect.signature(made)):
        return f"{name} needs {', '.join(needed)} to be made: give that a default. What differs comes with reset(task)."
    for method, wants in (("reset", 1), ("step", 1), ("reward", None)):
        if method in methods and (wrong := unfit(inspect.signature(methods[method]), wants)):
            return f"{name}.{method}{wrong}"
    try:
        about(made)
    except TypeError as error:
        return f"{error}."
    return ""


def required(signature: inspect.Signature) -> list[str]:
    """Parameters that have to be given."""
    given = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in signature.parameters.values() if p.default is p.empty and p.kind not in given]


def unfit(signature: inspect.Signature, wants: int | None) -> str:
    """Why a method cannot be called with so many values beside itself, or, where that is open, with none or one."""
    for number in (0, 1) if wants is None else (wants,):
        try:
            signature.bind(*[None] * (number + 1))
            return ""
        except TypeError:
            continue
    meant = {None: "nothing, or what was said last", 1: "one value: reset the task's data, step what the model says"}[wants]
    return f"{signature} is called with {meant}."
