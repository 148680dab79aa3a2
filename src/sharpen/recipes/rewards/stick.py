"""A model that is told which items of its own checklist its answer misses mends it better than one that is told to try again.

Paper: arXiv 2410.03608 (TICK), section 5 (STICK)
Parent: grpo
Differs: a second answer after what the checklist found missing; where nothing is missing the first stands. From the paper:
    there nothing is trained; here both answers are learnt from
"""

from dataclasses import replace
from functools import partial
from typing import Any

from sharpen import rollouts
from sharpen.core import Role
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(ticked: bool = True) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, rollout=rollouts.ticked_again, roles=(Role("judge", bound="student"),)) if ticked else parent


NEUTRAL = dict(ticked=False)


def check(made: Recipe) -> bool:
    """What is not met is named to the student, what is met is not; where all is met there is no second answer."""
    from sharpen.core import Task
    from sharpen.models import ScriptedPolicy

    task, told = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1), []

    def student(messages: Any) -> str:
        told.append(messages[-1]["content"])
        return "4"

    def answer(left: list[str], messages: Any) -> str:
        return left.pop()

    for second in ("no", "yes"):
        said = [second, "yes", "Is it a number?\nIs it even?"]
        judge = ScriptedPolicy(partial(answer, said))
        given: dict[str, Any] = dict(seed=0, max_tokens=9, sampling=made.sampling, roles={"judge": judge})
        rollouts.drive(ScriptedPolicy(student), made.rollout, [task], ["a"], **given)
    return len(told) == 3 and "even" in told[1] and "number" not in told[1]
