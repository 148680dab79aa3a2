"""Rules for putting jobs in order, found by showing the best so far and paying for less tardiness, come near the optimum.

Paper: arXiv 2510.24013 (EDDC and MDDC), abstract
Parent: grpo
Differs: the model writes a priority rule after the best ones so far, and learns from its gap to the optimum. From the paper:
    one population instead of islands, rules instead of programs, and weights are learnt too. A rule is kept only by its gap
    on instances that belong to no question
"""

from dataclasses import replace

from sharpen import rollouts, tasks, verify
from sharpen.data import discovery
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(discover: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not discover:
        return parent
    parts = dict(tasks=tasks.scheduling, rollout=rollouts.evolving, verify=verify.scheduled, select=discovery.accepting)
    return replace(parent, **parts)  # type: ignore[arg-type]


NEUTRAL = dict(discover=False)


def check(made: Recipe) -> bool:
    """No gap is below 0, the modified due date has less than the due date, and what is no rule is malformed, not evaluated."""
    from sharpen.core import Arm
    from sharpen.verify import scheduling

    listed = scheduling.instances(1, 5, 12)
    edd, mdd, worst = (scheduling.gap(text, listed) for text in (scheduling.EDD, scheduling.MDD, "-d"))
    task = made.tasks().draw(Arm("tardiness", 1), "train", 0, 0)
    bad = made.verify(task, "__import__('os').getpid()")
    return 0 <= mdd < edd < worst and made.verify(task, scheduling.MDD).correct and bad.outcome == "malformed"
