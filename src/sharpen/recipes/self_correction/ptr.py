"""Shown weak attempts and a better answer, with no loss on the attempts, a model learns to improve on what it said.

Paper: arXiv 2410.13413 (PTR), section 3; the loss as in its release
Parent: sft
Differs: the student's own attempts, worst first, and an instruction to improve stand before the worked solution, which alone is
    learnt. From the paper: attempts are the student's, not a weaker model's; the answer is the worked solution; its consistency
    filter and its weights of three losses, which its release has not, are left out
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.data import corrections
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import sft
from sharpen.rollouts import feedback

ASK = "Improve on this."


def recipe(rounds: int = 2, thoughts: bool = True) -> Recipe:
    parent = sft.recipe()
    if not thoughts:
        return parent
    own = grpo.recipe()
    asked = partial(rollouts.retry, feedback=partial(feedback.unary, words=ASK))
    select = partial(corrections.thoughts_and_answer, rounds=rounds, ask=ASK)
    return replace(parent, rollout=asked, prompts=own.prompts, samples=own.samples, select=select)


NEUTRAL = dict(thoughts=False)


def check(made: Recipe) -> bool:
    """Two attempts are read, worst first, and the worked solution is learnt."""
    found = corrections.example(made.select, ["6", "7"], "6", "so 6")
    return found == [(f"[7][{ASK}][6][{ASK}]", "so 6")]
