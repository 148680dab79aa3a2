"""A student that says of its own answers whether they are right needs no other judge, as far as it can be trusted.

Paper: arXiv 2505.16637 (SSR-Zero), abstract
Parent: grpo
Differs: verdicts come from the role `judge`, which is the student itself under another prompt unless `--role judge=` says
    otherwise, and which sees the task's answer where there is one. From the paper: yes or no instead of a score
"""

from dataclasses import replace
from typing import Any

from sharpen import verify
from sharpen.core import Role, Task, Turn
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(judged: bool = True) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, verify=verify.judged, roles=(Role("judge", bound="student"),)) if judged else parent


NEUTRAL = dict(judged=False)


def check(made: Recipe) -> bool:
    """Yes is right, no is wrong, and what is neither is nobody's verdict."""
    import numpy as np

    said, nothing = {"Yes.": "correct", "no": "wrong", "Yes and no": "unscorable", "maybe": "unscorable"}, np.zeros(0)
    for words, outcome in said.items():
        asking: Any = made.verify(Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1), "4")
        next(asking)
        try:
            asking.send(Turn(words, nothing.astype(np.int32), nothing > 0, nothing, "end"))
        except StopIteration as end:
            if end.value.outcome != outcome:
                return False
    return True
