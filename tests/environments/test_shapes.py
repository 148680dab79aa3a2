"""What a class of the contract may look like: a mistake in it is told before there is one, and what is harmless is taken."""

from __future__ import annotations

import json
import re
from functools import partial

import numpy as np
import pytest

from sharpen import environments
from sharpen.cli import playing
from sharpen.core import Observation, Task, UserError
from sharpen.environments import episode


class Fine:
    def reset(self, task):
        self.bought = 0
        return "Buy."

    def buy(self, item: int) -> str:
        self.bought = item
        return "bought"

    def reward(self):
        return np.bool_(self.bought == 2)


class NoReset:
    def look(self) -> str:
        return "x"


class NoTools:
    def reset(self, task):
        return "hi"


class NeedsSize(Fine):
    def __init__(self, size):
        self.size = size


class NoTask(Fine):
    def reset(self):
        return "hi"


class Slow(Fine):
    async def look(self) -> str:
        return "x"


class Rewarded(Fine):
    def reward(self, answer, state):
        return 1.0


class Starred(Fine):
    def many(self, *items):
        return "x"


MISTAKES = {
    NoReset: r"NoReset has no method reset\(self, task\)",
    NoTools: "NoTools has no public method",
    NeedsSize: "NeedsSize needs size to be made",
    NoTask: r"NoTask.reset\(self\) is called with one value",
    Slow: "Slow.look is async",
    Rewarded: r"Rewarded.reward\(self, answer, state\) is called with nothing, or what was said last",
    Starred: "the tool many takes \\*items",
}


@pytest.mark.parametrize("made", MISTAKES, ids=lambda made: made.__name__)
def test_a_mistake_in_a_class_is_told_before_there_is_one(made):
    assert re.match(MISTAKES[made], episode.misshapen(made)), episode.misshapen(made)


def test_what_makes_environments_is_one_that_can_be_called():
    assert episode.misshapen(Fine) == episode.misshapen(partial(NeedsSize, 3)) == ""
    assert episode.misshapen(3).startswith("3 is a int, and must be a class")


def test_a_mistake_in_a_class_is_the_users(tmp_path):
    """Nothing is begun, and no rollout is unscorable for it."""
    path = tmp_path / "shop.py"
    path.write_text("class Shop:\n    def look(self) -> str:\n        return 'x'\n")
    with pytest.raises(UserError, match=r"(?s)cannot be loaded.*Shop has no method reset\(self, task\)"):
        environments.ready(f"{path}:Shop")


class Odd(Fine):
    """Whatever is easily meant: no first words, `done` as a method, numbers of numpy, tools without an object."""

    def reset(self, task):
        self.bought = 0

    def done(self):
        return self.bought > 0

    def half(self) -> float:
        return np.float32(0.5)

    @staticmethod
    def twice(item: int) -> int:
        return 2 * item

    @classmethod
    def name(cls, item: int) -> str:
        return cls.__name__ + str(item)


def do(one, name, **arguments):
    return one.answer({"op": "step", "action": json.dumps({"name": name, "arguments": arguments})})


def test_what_is_meant_is_taken():
    one = episode.Episode(Odd)
    first = one.answer({"op": "reset", "task": {"seed": 1}})
    assert first["text"] == "" and not first["done"]
    assert [tool["function"]["name"] for tool in first["tools"]] == ["buy", "half", "twice", "name"]
    for tool in first["tools"][2:]:
        assert tool["function"]["parameters"]["required"] == ["item"]
    assert (
        do(one, "half")["text"] == "0.5"
        and do(one, "twice", item=3)["text"] == "6"
        and do(one, "name", item=3)["text"] == "Odd3"
    )
    assert do(one, "buy", item=2)["done"]
    assert one.answer({"op": "judge", "action": ""})["verdict"]["outcome"] == "correct"


class Tuples(Fine):
    def reset(self, task):
        return "hi"

    def step(self, action):
        return "seen", 0.0, False, {}


def test_what_a_method_returned_is_named():
    one = episode.Episode(Tuples)
    one.answer({"op": "reset", "task": {}})
    with pytest.raises(TypeError, match=r"step\(\) returned a tuple, and must return a text"):
        one.answer({"op": "step", "action": "x"})


class Counter:
    """Played in this process: what an environment is to `play`."""

    words, tools = True, ()

    def __init__(self, at=0):
        self.at = at

    def copy(self):
        return Counter(self.at)

    def now(self, act):
        self.at += act.kind == "step"
        return Observation(f"at {self.at}")


def test_steps_are_taken_back_as_far_as_there_are_any(capsys):
    task = Task(({"role": "user", "content": "Count."},), None, "count", 1)
    playing.walk(Counter(), task, ["/undo", "a", "b", "/undo", "c", "/undo", "/undo", "/undo", "d"], 30.0)
    said = capsys.readouterr().out.split("\n")
    none, back = "(there is no step to take back)", "(one step back)"
    assert [s for s in said if s][2:-1] == [none, "at 1", "at 2", back, "at 2", back, back, none, "at 1"]


def test_a_split_that_there_is_not_is_told():
    with pytest.raises(UserError, match="--split tests: .* Did you mean 'test'"):
        playing.play("numbers", split="tests")
