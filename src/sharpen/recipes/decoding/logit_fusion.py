"""A large model that was never tuned gains what a small one learnt, when each token gets as much of its change as fits.

Paper: arXiv 2406.15480 (dynamic logit fusion), section 3
Parent: grpo
Differs: answers are drawn from the student's logits + a (expert - base), a chosen for each token on a grid from 0 to 2; the
    roles `expert` and `base` are a small model after and before tuning, of the student's vocabulary. From the paper: one
    expert, and what is drawn so is also learnt from
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Role, Step
from sharpen.recipe import Recipe
from sharpen.recipes.played import TASK
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import guided


def recipe(most: float = 2.0) -> Recipe:
    parent = grpo.recipe()
    roles = tuple(Role(name, "logprobs", "start") for name in ("expert", "base"))
    return replace(parent, rollout=partial(guided.by_experts, most=most), roles=roles) if most else parent


NEUTRAL = dict(most=0.0)


def check(made: Recipe) -> bool:
    """A large model that is the small base takes all of its change (a = 1); an expert that changed nothing changes nothing."""
    import torch

    asked = next(made.rollout(TASK))
    large, expert = torch.tensor([[0.0, 1.0, -1.0]]), torch.tensor([[1.0, 0.0, 0.5]])
    same = asked.hook.change(Step(large, (expert, large), torch.zeros(1, 0)))
    none = asked.hook.change(Step(large, (expert, expert), torch.zeros(1, 0)))
    near = torch.allclose(same, expert.log_softmax(-1), atol=1e-5) and torch.allclose(none, large.log_softmax(-1), atol=1e-5)
    return near and [one.role for one in asked.hook.beside] == ["expert", "base"]
