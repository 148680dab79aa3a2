"""A class-conditional model that says which words belong to the wanted class guides a student without being trained with it.

Paper: arXiv 2009.06367 (GeDi), section 3; decoding as released, omega 30, rho 0.2, tau 0.8
Parent: grpo
Differs: answers are drawn with the class posterior of a model that reads along under two control codes, the student itself
    unless `guide=guide` names a role. From the paper: the codes are system messages of a chat model, and no discriminator is
    trained
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Role, Step
from sharpen.recipe import Recipe
from sharpen.recipes.played import TASK
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import guided


def recipe(omega: float = 30.0, keep: float = 0.8, target: float = 0.8, guide: str = "") -> Recipe:
    parent = grpo.recipe()
    if not omega:
        return parent
    roles = (Role(str(guide), "logprobs", "start"),) if guide else ()
    drawn = partial(guided.by_class, omega=omega, keep=keep, target=target, role=guide)
    return replace(parent, rollout=drawn, roles=roles)


NEUTRAL = dict(omega=0.0)


def check(made: Recipe) -> bool:
    """The word of the wanted class wins, swapped codes turn it over, and two classes that agree say nothing."""
    import torch

    change = next(made.rollout(TASK)).hook.change
    own, a, b = torch.tensor([[0.0, 0.5, 0.1]]), torch.tensor([[4.0, 0.0, 0.0]]), torch.tensor([[0.0, 4.0, 0.0]])
    step = partial(Step, own, tokens=torch.zeros(1, 0, dtype=torch.long))
    best = [int(change(step(beside=beside)).argmax()) for beside in ((a, b), (b, a))]
    none = change.func(step(beside=(a, a)), change.keywords["omega"], keep=0.0)
    return best == [0, 1] and torch.allclose(none, own.log_softmax(-1), atol=1e-5)
