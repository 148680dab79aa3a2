"""After some hundred worked calls, practice teaches when to hand a question over to Python, and what to do with its answer.

Paper: arXiv 2504.11536 (ReTool), sections 2.2 to 2.4; the price of a call is OTC's (arXiv 2504.14870) idea
Parent: grpo
Differs: products to hand over, comparisons that need no tool; the cold start is a short warm-up of 200 worked solutions of
    each; earlier successes, these among them, are imitated beside practice; what the sandbox says carries no loss; a right
    answer earns `price` less for each call. From the papers: GRPO instead of PPO, a call a turn instead of code within thoughts
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts, tasks, verify
from sharpen.core import Task
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(levels: int = 1, price: float = 0.1, turns: int = 3, act: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not act:
        return parent
    return replace(
        parent,
        tasks=partial(tasks.handed_over, levels=levels),
        rollout=partial(rollouts.with_toolbox, tools="python", turns=turns, told=False),
        verify=partial(verify.counting_calls, price=price),
        objective=policy_gradient.practice,
        replay=96,
        average=0.97,
        lr=8e-4,
        lr_end=0.3,
        warmup_steps=50,
        max_tokens=32,
        round_steps=20,
    )


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """Right without a call is 1, with one 0.9, wrong 0 either way; a call for a comparison is a dummy call."""
    compared = Task(({"role": "user", "content": "?"},), "9", "larger", 1, verifier="number", data={"calls": 0})
    said = [("9", ["9"]), ("9", ["python(code='9')", "9"]), ("8", ["python(code='9')", "8"]), ("8", ["8"])]
    found = [made.verify(compared, last, turns=turns) for last, turns in said]
    return [(v.reward, v.parts["dummy"]) for v in found] == [(1.0, 0.0), (0.9, 1.0), (0.0, 1.0), (0.0, 0.0)]
