"""One model as questioner, responder and verifier makes its own curriculum: questions are worth most that half succeed at.

Paper: arXiv 2509.23863 (SPELL); questioner's reward exp(-(r - 0.5)^2 / (2 / 36)) strictly between, else 0; majority of 8
Parent: grpo
Differs: the student writes questions from its failures and imitates them by that reward; more than half of its own eight
    answers are the label. From the paper: no documents and so no grounding filter, no growing context, and the verifier is a
    vote that does not learn
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Task
from sharpen.data import growth, label, propose, relabel, worth
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.policy_gradient import grpo


def recipe(n: int = 64, share: float = 0.1, votes: int = 8) -> Recipe:
    parent = grpo.recipe()
    if not n:
        return parent
    majority = (partial(label.by_majority, k=votes, least=0.51, margin=0.0, heat=0.7),)
    grow = partial(growth.closed_loop, n=n, propose=propose.own_words, label=majority)
    select = partial(relabel.questions, share=share, worth=worth.grounded)
    return replace(parent, grow=grow, select=select, objective=policy_gradient.practice)


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """The reward of k of 8 is 0, 0.080, 0.325, 0.755 and 1 for k = 0 to 4; a label needs five of eight."""
    rewards = [round(worth.grounded(k / 8), 3) for k in range(5)]
    said = iter(["What is it?", "What is that?", *["5"] * 5, *["6"] * 3, *["5"] * 4, *["6"] * 4])
    found, _ = growing.play(replace(made, grow=partial(made.grow, n=2)), lambda ask: next(said))
    return rewards == [0.0, 0.08, 0.325, 0.755, 1.0] and [t.answer for t in growing.of(Task, found)] == ["5"]
