"""Labels judged again where the student contradicts them, and new tasks for what it truly gets wrong, beat more old data.

Paper: arXiv 2511.09148 (LoopTool): greedy capability probing, judgement-guided label verification, error-driven expansion
Parent: grpo
Differs: between two rounds the labels of failed tasks are judged by the teacher, two of three votes, and mended or dropped;
    it writes new tasks for verified errors along four axes, and judges those too. From the paper: no tasks are added for
    being mastered with high perplexity, and GRPO's own numbers
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Refused, Repair, Role, Task
from sharpen.data import growth, label, noisy, propose, repair, writing
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.policy_gradient import grpo


def recipe(n: int = 64, votes: int = 3, judge: str = "teacher") -> Recipe:
    parent = grpo.recipe()
    if not n:
        return parent
    expand = partial(propose.rewrite, how=writing.AXES, role="teacher")
    verify = partial(repair.by_judge, role=judge, votes=votes)
    grow = partial(growth.closed_loop, n=n, propose=expand, label=(partial(label.by_judge, role=judge),), repair=verify)
    return replace(parent, grow=grow, roles=tuple(Role(name) for name in dict.fromkeys(("teacher", judge))))


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """A label that the student rightly contradicts is mended; the teacher's wrong labels are in dispute, its right ones not."""
    found, _ = growing.play(made, growing.teacher(wrong=0.5), seen=growing.mislabelled(2))
    tasks, mended = growing.of(Task, found), growing.of(Repair, found)
    disputed = [item.task for item in growing.of(Refused, found) if item.task]
    if len(mended) != 2 or any(item.answer != noisy.solve_sum(item.task) for item in mended):
        return False
    return len(tasks) > 10 < len(disputed) and all(map(growing.true, tasks)) and not any(map(growing.true, disputed))
