"""A student that writes Python programs, judged by running them in the sandbox, learns to write longer ones in fifteen minutes.

Paper: none; the parent's parts
Parent: quickstart
Differs: the tasks are programs to write, judged by their output on hidden cases; answers are longer, and a verdict costs
    as much as a good part of a step: fewer rollouts
"""

from dataclasses import replace

from sharpen import tasks
from sharpen.recipe import Recipe
from sharpen.recipes.loop import quickstart


def recipe(
    in_code: bool = True,
    max_tokens: int = 80,
    warmup_demos: int = 100,
    prompts: int = 32,
    round_steps: int = 20,
    validation: int = 24,
    test: int = 50,
    budget: str = "200steps",
    **knobs,
) -> Recipe:
    parent = quickstart.recipe(**knobs)
    return replace(
        parent,
        tasks=tasks.programs if in_code else parent.tasks,
        max_tokens=max_tokens,
        warmup_demos=warmup_demos,
        prompts=prompts,
        round_steps=round_steps,
        validation=validation,
        test=test,
        budget=budget,
    )


NEUTRAL = dict(
    in_code=False, max_tokens=48, warmup_demos=200, prompts=40, round_steps=20, validation=40, test=100, budget="400steps"
)
