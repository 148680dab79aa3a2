"""A teacher that sees what the student gets wrong writes better tasks than one that sees nothing.

Paper: arXiv 2410.06215 (DataEnvGym), the open-ended environment
Parent: grpo
Differs: between two rounds the teacher sees ten failures with their answers and writes `n` tasks; half are in another
    setting. A majority of its own answers gives the label. From the paper: reinforcement learning instead of fine-tuning on
    the new tasks
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Role, Task
from sharpen.data import diagnose, growth, label, propose
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.policy_gradient import grpo


def recipe(n: int = 64, examples: int = 10) -> Recipe:
    parent = grpo.recipe()
    if not n:
        return parent
    write = partial(propose.rewrite, how=("like", "diverse"), role="teacher", examples=examples)
    votes = (partial(label.by_majority, k=3, role="teacher"),)
    grow = partial(growth.closed_loop, n=n, diagnose=diagnose.everything, propose=write, label=votes)
    return replace(parent, grow=grow, roles=(Role("teacher"),))


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """The teacher sees ten failures for each task, and what it claims falsely is in dispute."""
    found, asks = growing.play(made, growing.teacher(wrong=0.3))
    shown = asks[0].messages[0]["content"].count("A problem that a student got wrong")
    return shown >= 8 and growing.ways(found) == {"like", "diverse"} and all(map(growing.true, growing.of(Task, found)))
