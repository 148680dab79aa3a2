"""What a student is missing, named by a judge, tells better than its failures themselves which tasks it needs.

Paper: arXiv 2510.10023 (STAT), STAT-Syn: two or three missing skills a question, three solutions of which two agree
Parent: grpo
Differs: a judge names missing skills of failures from a list; the teacher sees three of them and writes as many tasks as the
    skill was missed. From the paper: a failure is a wrong answer, without process rewards; skills are families unless
    `skills` lists them; practice, not fine-tuning on the teacher's solutions
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Ask, Role, Task
from sharpen.data import diagnose, growth, label, propose, worth
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.policy_gradient import grpo


def recipe(n: int = 64, skills: tuple[str, ...] = ()) -> Recipe:
    parent = grpo.recipe()
    if not n:
        return parent
    profile = partial(diagnose.missing_skills, skills=skills, role="teacher")
    write = partial(propose.rewrite, role="teacher", by=worth.failing)
    votes = (partial(label.by_majority, k=3, least=0.6, margin=0.0, role="teacher"),)
    grow = partial(growth.closed_loop, n=n, diagnose=profile, propose=write, label=votes)
    return replace(parent, grow=grow, roles=(Role("teacher"),))


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """A skill that is missed three times as often gets three times the tasks."""
    profile = partial(made.grow.keywords["diagnose"], skills=("carrying", "reading"), least=4)  # type: ignore[attr-defined]
    teacher, lacks = growing.teacher(), iter(["carrying"] * 6 + ["reading"] * 2)

    def said(ask: Ask) -> str:
        return next(lacks, "") if "lack" in ask.messages[0]["content"] else teacher(ask)

    found, _ = growing.play(replace(made, grow=partial(made.grow, diagnose=profile, n=40)), said)
    counts = [sum(f"for {skill}" in task.operator for task in growing.of(Task, found)) for skill in ("carrying", "reading")]
    return counts == [30, 10]
