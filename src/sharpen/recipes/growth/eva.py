"""A creator that evolves the prompts with the most to gain, by the gap between best and mean answer, outlasts any fixed set.

Paper: arXiv 2411.00062 (eva); informativeness |mean - max| of the rewards of a prompt's answers
Parent: online_dpo
Differs: between two rounds the proposer evolves prompts, in depth and in breadth, as often as their answers leave to gain; a
    majority of the student's answers has to agree with what it claims. From the paper: one regret for all, no buffer
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Role, Task, Weakness
from sharpen.data import diagnose, growth, label, propose, worth
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.preference import online_dpo


def recipe(n: int = 64, beta: float = 0.1) -> Recipe:
    parent = online_dpo.recipe(beta)
    if not n:
        return parent
    evolve = partial(propose.rewrite, how=("harder", "diverse"), by=worth.regret, examples=1)
    votes = (partial(label.by_majority, k=4, least=0.5),)
    seeds = partial(diagnose.by_task, worth=worth.regret)
    grow = partial(growth.closed_loop, n=n, diagnose=seeds, propose=evolve, label=votes)
    return replace(parent, grow=grow, roles=(Role("proposer"),))


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """Prompts that all or none of the answers solve are never evolved; of the others, those with 1 of 4 right most."""
    found, _ = growing.play(made, growing.teacher())
    rates = [1 - w.rate for w in growing.of(Weakness, found)]
    made_of = [task.parents[0] for task in growing.of(Task, found)]
    first = growing.of(Weakness, found)[0].samples[0].rollout.task.id
    return set(rates) == {0.25, 0.5, 0.75} and rates == sorted(rates) and made_of.count(first) >= len(made_of) / 5
