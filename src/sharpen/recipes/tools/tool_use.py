"""With a calculator and Python at hand, what is hard to do in one's head can be handed over.

Paper: arXiv 2309.17452 (ToRA), section 2; arXiv 2505.21668 (R1-Code-Interpreter), abstract, for rewards only
Parent: grpo
Differs: the model may call a calculator or Python within its answer; what they say is put behind the call and carries no loss.
    From the papers: no imitation of worked calls first
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.core import Task, Turn
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(calls: int = 4) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, rollout=partial(rollouts.with_tools, calls=calls)) if calls else parent


NEUTRAL = dict(calls=0)


def check(made: Recipe) -> bool:
    """A call ends the turn, its result is put in, and the turn goes on from there."""
    import numpy as np

    rollout = made.rollout(Task(({"role": "user", "content": "17 * 23 ="},), "391", "products", 1))
    asked, nothing = next(rollout), np.zeros(1)
    call = rollout.send(Turn("<calc>17 * 23", nothing.astype(np.int32), nothing > 0, nothing, "stop"))
    further = rollout.send(call.environment.step(call.action))
    return asked.stop == ("</calc>", "</python>") and further.insert == "<output>391</output>"
