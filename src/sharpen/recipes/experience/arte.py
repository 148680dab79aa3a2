"""A teacher that is paid by what the student makes of its examples learns to write examples that this student needs.

Paper: arXiv 2406.19227 (ARTE), section 3; arXiv 2406.14629 (Learning by teaching) for the exam
Parent: grpo
Differs: the role `teacher` writes a worked example before each training question, the student answers after it, and both learn
    from the verdict, side by side. From the paper: policy gradient within groups instead of DPO on best and worst drafts, the
    probe is the question itself instead of 40 chosen ones, and no set is generated at the end
"""

from dataclasses import replace

from sharpen import rollouts, verify
from sharpen.core import Role, Task
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(tutored: bool = True) -> Recipe:
    parent = grpo.recipe()
    teacher = Role("teacher", bound="start", objective=policy_gradient.grpo)
    return replace(parent, rollout=rollouts.tutored, verify=verify.taught, roles=(teacher,)) if tutored else parent


NEUTRAL = dict(tutored=False)


def check(made: Recipe) -> bool:
    """The teacher is paid what the student earns, and reads no answer; without training there is no teacher."""
    task = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1, verifier="number")
    right, wrong = made.verify(task, "<answer>4</answer>"), made.verify(task, "<answer>5</answer>")
    asked = next(made.rollout(task))
    alone = next(made.rollout(replace(task, split="test")))
    paid = right.parts["teacher"] == 1.0 and wrong.parts["teacher"] == 0.0
    return paid and asked.role == "teacher" and "4" not in str(asked.messages) and alone.role == ""
