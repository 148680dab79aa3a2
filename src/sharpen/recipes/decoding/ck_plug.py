"""Where a text contradicts what a model knows, one number says which of the two it follows.

Paper: arXiv 2503.15888 (CK-PLUG), sections 2 to 4
Parent: grpo
Differs: answers to questions with a context, the paragraphs before the last, are drawn with the paper's mixture wherever the
    context makes the student less sure; alpha below 0 is its adaptive mode, which, as algebra says, can only push towards
    memory. From the paper: k is ours (its is in an appendix), and what is drawn so is also learnt from
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Step
from sharpen.recipe import Recipe
from sharpen.recipes.played import TASK
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import guided


def recipe(alpha: float = -1.0, k: int = 10) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, rollout=partial(guided.by_context, alpha=alpha, k=k)) if k else parent


NEUTRAL = dict(k=0)


def check(made: Recipe) -> bool:
    """A context that makes sure changes nothing; one that makes unsure at alpha 1 leaves what is known without it."""
    import torch

    task = replace(TASK, prompt=({"role": "user", "content": "The sum is 5.\n\n2 + 2 ="},))
    hook = next(made.rollout(task)).hook
    sure, unsure = torch.tensor([[9.0, 0.0, 0.0]]), torch.tensor([[0.1, 0.2, 0.0]])
    kept = hook.change(Step(sure, (unsure,), torch.zeros(1, 0)))
    known = next(guided.by_context(task, alpha=1.0)).hook.change(Step(unsure, (sure,), torch.zeros(1, 0)))
    right = hook.beside[0].messages[-1]["content"] == "2 + 2 ="
    same = torch.allclose(kept, sure.log_softmax(-1)) and torch.allclose(known, sure.log_softmax(-1), atol=1e-5)
    return right and same and next(made.rollout(TASK)).hook is None
