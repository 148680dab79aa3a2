"""A syllabus covers a subject better than examples do: tasks from sessions and key concepts repeat themselves less.

Paper: arXiv 2402.13064 (GLAN); one or two sessions, one to five key concepts
Parent: grpo
Differs: the subjects are the arms that fail; the proposer writes a syllabus for each and questions on its sessions, and a
    majority of its answers is the label. From the paper: no taxonomy of all knowledge above, labels are verified, and
    practice instead of fine-tuning
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Role, Task
from sharpen.data import growth, label, propose
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.policy_gradient import grpo


def recipe(n: int = 64, concepts: int = 5) -> Recipe:
    parent = grpo.recipe()
    if not n:
        return parent
    write = partial(propose.syllabus, each=concepts)
    votes = (partial(label.by_majority, k=3, role="proposer"),)
    return replace(parent, grow=partial(growth.closed_loop, n=n, propose=write, label=votes), roles=(Role("proposer"),))


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """Questions name at most five concepts of the syllabus; without a syllabus nothing is asked for."""
    plan = '{"sessions": [{"name": "one", "concepts": ["a", "b"]}, {"name": "two", "concepts": ["c", "d", "e", "f"]}]}'
    teacher = growing.teacher()
    found, asks = growing.play(made, lambda ask: plan if "syllabus" in ask.messages[0]["content"] else teacher(ask))
    said = [ask.messages[0]["content"].partition("concepts: ")[2].partition(".")[0].split(", ") for ask in asks[2:66]]
    fit = all(1 <= len(own) <= 5 and set(own) <= set("abcdef") for own in said)
    return fit and len(growing.of(Task, found)) > 50 and not growing.grown(made, lambda ask: "no plan")
