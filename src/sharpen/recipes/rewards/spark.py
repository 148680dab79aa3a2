"""One model that learns to answer, to judge, to compare and to mend answers gains in all four, from the same rollouts.

Paper: arXiv 2509.22624 (SPARK, policy and reward), section 3
Parent: grpo
Differs: each rollout has two answers and, as conversations of its own, a yes or no to one, a choice between both and a mended
    one where the first was wrong, each paid by what the verifier said of the answers, and compared with its like. From the
    paper: in one step instead of after it, and there is no loop at test time
"""

from dataclasses import replace

from sharpen import rollouts, verify
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(judges: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not judges:
        return parent
    return replace(parent, rollout=rollouts.co_evolved, verify=verify.co_evolved, objective=policy_gradient.grpo_by_turn)


NEUTRAL = dict(judges=False)


def check(made: Recipe) -> bool:
    """Of a wrong and a right answer: "no" and "B" are right; saying yes to everything earns what the answers do."""
    from sharpen.core import Task

    task = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1, "train", "number")
    wrong, right = "<answer>5</answer>", "<answer>4</answer>"
    found = made.verify(task, right, turns=(wrong, right, "No.", "B", right))
    always = made.verify(task, right, turns=(wrong, right, "Yes.", "A", wrong))
    return found.credit == (0, 1, 1, 1, 1) and always.credit == (0, 1, 0, 0, 0) and found.correct
