"""Teacher, solver and generator rise together: problems are written at the edge, and the student learns to write such ones.

Paper: arXiv 2509.24726 (Socratic-Zero); utility exp(-(s - 0.5)^2 / 0.08) of a problem with success rate s
Parent: grpo
Differs: mastered and half-solved tasks are the teacher's seeds; the generator is the student, which imitates questions
    weighted by their utility, and writes half of the new ones. From the paper: GRPO instead of DPO, nothing replayed, and the
    teacher's claims are held against a majority of its answers
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Role, Weakness
from sharpen.data import diagnose, growth, label, noisy, propose, relabel, worth
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.policy_gradient import grpo


def recipe(n: int = 64, share: float = 0.1) -> Recipe:
    parent = grpo.recipe()
    if not n:
        return parent
    teach = partial(propose.rewrite, how=("harder", "diverse"), role="teacher", by=worth.equal, examples=1)
    write = partial(propose.together, writers=(teach, partial(propose.own_words, by=worth.equal)))
    votes = (partial(label.by_majority, k=3, role="teacher"),)
    seeds = partial(diagnose.by_task, worth=worth.solved)
    grow = partial(growth.closed_loop, n=n, diagnose=seeds, propose=write, label=votes)
    select = partial(relabel.questions, share=share, worth=worth.middle)
    made = replace(parent, grow=grow, roles=(Role("teacher"),), select=select)
    return replace(made, objective=policy_gradient.practice)


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """Half-solved and mastered tasks are seeds, hopeless ones are not; half of the questions are the student's own."""
    own, teacher = iter(noisy.FORM.format(f"{n} + 11") for n in range(20, 90)), growing.teacher()
    found, asks = growing.play(made, lambda ask: teacher(ask) if ask.role else next(own))
    mastered = [w for w in growing.of(Weakness, found) if w.failed == 0]
    hopeless = [w for w in growing.of(Weakness, found) if w.failed == w.n]
    return len(mastered) == 4 and not hopeless and sum(not ask.role for ask in asks) == 32
