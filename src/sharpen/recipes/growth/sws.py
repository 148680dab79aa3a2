"""Concepts that the student does not come to terms with, recombined into new problems, are what it should practise next.

Paper: arXiv 2506.08989 (SwS); five concepts, eight answers of which half agree, pass rates of 25 to 75 %
Parent: grpo
Differs: arms that never came to half and do not rise are weak; the proposer lists concepts of their failures and writes
    problems that join them; a majority of the answerer's labels; a pass rate in the band. From the paper: arms for prompts,
    one role for proposer and answerer, no quality judges and no embeddings of concepts
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Ask, Role, Weakness
from sharpen.data import diagnose, growth, label, propose
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.policy_gradient import grpo


def recipe(n: int = 64, concepts: int = 5, low: float = 0.25, high: float = 0.75) -> Recipe:
    parent = grpo.recipe()
    if not n:
        return parent
    write = partial(propose.combined, concepts=concepts)
    votes = (partial(label.by_majority, k=8, least=0.5, margin=0.0, role="proposer"),)
    grow = partial(growth.closed_loop, n=n, diagnose=diagnose.never_learnt, propose=write, label=votes)
    return replace(parent, grow=grow, grow_tries=8, grow_low=low, grow_high=high, roles=(Role("proposer"),))


NEUTRAL = dict(n=0, low=0.0, high=1.0)


def check(made: Recipe) -> bool:
    """Weak are the levels at half or below, never solved ones too; what is asked for joins concepts that were listed."""
    teacher = growing.teacher()

    def said(ask: Ask) -> str:
        return "carrying, order, sign" if "List the concepts" in ask.messages[0]["content"] else teacher(ask)

    found, asks = growing.play(made, said)
    joined = [ask for ask in asks if "needs these concepts" in ask.messages[0]["content"]]
    weak = [w.name for w in growing.of(Weakness, found)]
    return weak == ["chain_sum/3", "chain_sum/2"] and "carrying" in joined[0].messages[0]["content"]
