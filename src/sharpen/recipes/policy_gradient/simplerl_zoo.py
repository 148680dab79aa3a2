"""Zero reinforcement learning grows checking and turning back in base models where no form is demanded and tasks fit them.

Paper: arXiv 2503.18892 (SimpleRL-Zoo), sections 2 and 3: correctness alone, difficulty aligned to the model, behaviours counted
Parent: grpo
Differs: tasks of levels that the first evaluation solved neither never nor nearly always come first; every answer is watched
    for checking, turning back, sub-goals and trying cases, which step statistics and the report show. `form` adds the format
    reward that the paper finds harmful. From the paper: words tell a behaviour, not a model; no KL; our curriculum of levels
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum, verify
from sharpen.core import Task
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(form: float = 0.0, watch: bool = True, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    if not watch:
        return parent
    fitted = partial(curriculum.threshold_ladder, up=0.8, down=0.2)
    return replace(parent, verify=partial(verify.watched, form=form), curriculum=fitted)


NEUTRAL = dict(watch=False)


def check(made: Recipe) -> bool:
    """A wrong answer that checks and turns back is worth 0 like any other, and is counted; a plain one is not."""
    task = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1, verifier="number")
    seen = made.verify(task, "First, add. Wait, let me check this. <answer>5</answer>")
    plain = made.verify(task, "<answer>4</answer>")
    found = [name for name in verify.BEHAVIOURS if seen.parts[name]]
    return (
        seen.reward == 0
        and found == ["verifying", "turning back", "sub-goals"]
        and plain.reward == 1
        and not any(plain.parts[name] for name in verify.BEHAVIOURS)
    )
