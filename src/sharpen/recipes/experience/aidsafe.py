"""Thoughts that several agents have added to until all policies are kept are better to learn from than one agent's.

Paper: arXiv 2505.21784 (AIDSAFE), section 3
Parent: rft
Differs: a training answer is deliberated by roles and learnt, where it is right, after the bare question. From the paper:
    the agents are the student unless `--role agent=` and the like name others, policies are three of our own for questions
    that can be checked (a recipe of yours names yours: `partial(rollouts.deliberated, policies=…)`), and bad beliefs for
    preference pairs are left out
"""

from dataclasses import replace
from functools import partial
from typing import Any

from sharpen import rollouts
from sharpen.core import Role, Task, Turn
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(rounds: int = 2) -> Recipe:
    parent = rft.recipe()
    roles = tuple(Role(name, bound="student") for name in ("intents", "agent", "refiner"))
    return replace(parent, rollout=partial(rollouts.deliberated, rounds=rounds), roles=roles) if rounds else parent


NEUTRAL = dict(rounds=0)


def check(made: Recipe) -> bool:
    """It stops at the first who agrees; one that always adds is heard `rounds` times; what is learnt has no thoughts in it."""
    import numpy as np

    task = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1)

    def heard(review: str) -> tuple[list[str], Any]:
        asking: Any = made.rollout(task)
        ask, asked = next(asking), []
        while ask.role:
            asked.append(ask.role)
            text = review if asked.count("agent") > 1 and ask.role == "agent" else "4"
            ask = asking.send(Turn(text, np.zeros(0, np.int32), np.zeros(0, bool), np.zeros(0, np.float32), "end"))
        return asked, ask

    (short, learnt), (long, _) = heard("AGREED."), heard("check it")
    rounds = getattr(made.rollout, "keywords", {})["rounds"]
    counted = short.count("agent") == 2 and long.count("agent") == 1 + rounds
    return counted and learnt.messages == task.prompt and learnt.answer == "4"
