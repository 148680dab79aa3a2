"""A policy that scores its own answers from 0 to 100, without any reference, is reward enough to improve it.

Paper: arXiv 2505.16637 (SSR-Zero), section 3; scaling of the score is not stated
Parent: grpo
Differs: the reward is the score, over 100, that the present weights give under another prompt; an answer without form earns 0,
    a score that cannot be read leaves the group. From the paper: any task with a question, not translation alone; the outcome
    stays the verifier's, so that the score's drift is seen. `--role judge=accepted` lets the judge lag
"""

from dataclasses import replace

from sharpen import verify
from sharpen.core import Role
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(judged: bool = True) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, verify=verify.rated, roles=(Role("judge", bound="student"),)) if judged else parent


NEUTRAL = dict(judged=False)


def check(made: Recipe) -> bool:
    """80 of 100 is 0.8 and stays wrong; two numbers are none; and a change of scale changes no advantage."""
    from sharpen.objectives import example, policy_gradient
    from sharpen.verify import learnt

    read = learnt.rehearse(made.verify, "wrong", words=["<think>5</think><answer>80</answer>"])
    lost = learnt.rehearse(made.verify, "wrong", words=["80, or rather 20"])
    a, b = (example(policy_gradient.grpo(), [[x, y, z]]) for x, y, z in [(0.1, 0.5, 0.3), (0.3, 0.7, 0.5)])
    return (read.reward, read.outcome, lost.reward) == (0.8, "wrong", None) and abs(a - b).max() < 1e-5
