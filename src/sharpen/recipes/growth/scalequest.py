"""A solver tuned on questions alone becomes their writer: from scratch, without seeds or a stronger model.

Paper: arXiv 2410.18693 (ScaleQuest): question fine-tuning, ASCII only, five answers a question
Parent: grpo
Differs: the student imitates questions of its own practice, writes new ones, and a majority of five answers is the label.
    From the paper: in one loop with practice, a majority instead of a reward model, and no preference optimisation of
    questions
"""

from dataclasses import replace
from functools import partial

from sharpen.data import growth, label, propose, relabel
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.policy_gradient import grpo


def recipe(n: int = 64, share: float = 0.1, votes: int = 5) -> Recipe:
    parent = grpo.recipe()
    if not n:
        return parent
    checks = (label.in_ascii, partial(label.by_majority, k=votes, heat=0.7))
    grow = partial(growth.closed_loop, n=n, propose=partial(propose.own_words, ways=("another",)), label=checks)
    return replace(parent, grow=grow, select=partial(relabel.questions, share=share), objective=policy_gradient.practice)


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """A question with a letter that is not ASCII is refused; the others have the answer of most of five."""
    written = iter([f"What is {i} more than {j}?" for i in range(8) for j in range(7)] + ["¿Qué?"] * 8)
    tasks = growing.grown(made, lambda ask: next(written) if "Ask a" in ask.messages[0]["content"] else "12")
    return len(tasks) == 56 and {task.answer for task in tasks} == {"12"}
