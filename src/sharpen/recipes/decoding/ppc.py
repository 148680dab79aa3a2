"""Prompts whose weights follow a discriminator from token to token control an attribute, and a student learns to stay fluent.

Paper: arXiv 2402.04160 (plug-and-play control by prompting, RLDAF), abstract
Parent: grpo
Differs: answers are drawn from a mixture of prompts whose weights take one gradient step at each token towards what the
    student, told to be right, finds likelier than told to be wrong; the verifier's reward trains the student under it. A
    stand-in: the paper moves a prefix of vectors, and its reward terms, layers and step sizes nobody here has read
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Step
from sharpen.recipe import Recipe
from sharpen.recipes.played import TASK
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import guided


def recipe(rate: float = 1.0) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, rollout=partial(guided.by_prompts, rate=rate)) if rate else parent


NEUTRAL = dict(rate=0.0)


def check(made: Recipe) -> bool:
    """The wanted class's log-odds rise from step to step, where the second prompt favours it."""
    import torch

    hook = next(made.rollout(TASK)).hook
    notes: dict[str, torch.Tensor] = {}
    wanted, other = torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, -2.0]])
    own, prompt = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    step = partial(Step, own, (wanted, other, prompt), torch.zeros(1, 0), notes=notes)
    odds = [float((p := hook.change(step()))[0, 1] - p[0, 0]) for _ in range(5)]
    return len(hook.beside) == 3 and all(b > a for a, b in zip(odds, odds[1:]))
