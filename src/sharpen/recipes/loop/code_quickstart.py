"""A tiny student that writes Python, judged by running it in the sandbox, gains ten to seventeen points by practice.

Paper: none; the parent's parts
Parent: quickstart
Differs: the tasks are programs to write, judged by their output on hidden cases; answers are longer, and a verdict costs
    as much as a good part of a step: fewer rollouts
Status: reproduced: sharpen run code_quickstart --seed 0 (+12.5 points on the test split in 11 min 5 s;
    seed 1, before small models decoded in C: +16.6 in 13 min 39 s)
"""

from dataclasses import replace

from sharpen import tasks
from sharpen.models import embedded
from sharpen.recipe import Recipe
from sharpen.recipes.loop import quickstart


def recipe(
    in_code: bool = True,
    max_tokens: int = 80,
    warmup_steps: int = 200,
    warmup_demos: int = 100,
    prompts: int = 32,
    validation: int = 16,
    test: int = 50,
    budget: str = "160steps",
    **knobs,
) -> Recipe:
    parent = quickstart.recipe(**knobs)
    return replace(
        parent,
        tasks=tasks.programs if in_code else parent.tasks,
        max_tokens=max_tokens,
        warmup_steps=warmup_steps,
        warmup_demos=warmup_demos,
        prompts=prompts,
        validation=validation,
        test=test,
        budget=budget,
    )


NEUTRAL = dict(
    in_code=False, max_tokens=48, warmup_steps=300, warmup_demos=200, prompts=40, validation=40, test=100, budget="400steps"
)


def check(made: Recipe) -> bool:
    """Every question is answered by a program, and every worked solution fits into an answer, also those of the last level."""
    source = made.tasks()
    listed = embedded.example_tasks(source)
    tokenizer = embedded.build_tokenizer(embedded.fixed_phrases(listed))
    longest = max(len(tokenizer(task.solution or "").input_ids) for task in listed)
    return all(task.verifier == "code_io" for task in listed) and longest < made.max_tokens
