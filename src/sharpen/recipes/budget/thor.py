"""Whether a program runs is known at once, and learning from that at the step that wrote it makes answers with programs better.

Paper: arXiv 2509.13761 (THOR), section 3, and its release: alpha 0.01, suffix 100 tokens
Parent: grpo
Differs: programs within an answer are run; where one fails, a few tokens before it and the program are written again side by
    side, a group of their own, paid for running; such answers are not learnt from as a whole; success is also imitated, alpha
    times. From the paper: a shorter suffix, for shorter answers, and the correction is used in training too
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Branch
from sharpen.data import trees as tried
from sharpen.objectives import example, steps
from sharpen.recipe import Recipe
from sharpen.recipes.played import answers
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import refining


def recipe(alpha: float = 0.01, calls: int = 4, suffix: int = 20, tries: int = 4) -> Recipe:
    parent = grpo.recipe()
    if not calls:
        return parent
    mended = partial(refining.mended, calls=calls, suffix=suffix, tries=tries)
    select, objective = partial(tried.step_samples, whole=False), partial(steps.with_success, alpha=alpha)
    return replace(parent, rollout=mended, select=select, objective=objective)


NEUTRAL = dict(calls=0)


def check(made: Recipe) -> bool:
    """A step's gradient is on what was written again alone; groups that all ran, or all failed, have none."""
    import numpy as np

    from sharpen.core import Turn

    tokens, on = np.arange(6, dtype=np.int32), np.ones(6, bool)
    turn = Turn("a", tokens, on, -on.astype(np.float32), "stop")
    one = answers(("4", 1.0))[0]
    held = replace(one, rollout=replace(one.rollout, branches=(Branch(turn, 4, -1, 1.0, 1), Branch(turn, 4, -1, 0.0, 1))))
    kept = made.select([held])
    c = example(made.objective(), [[1, 0], [1, 1], [0, 0]])
    return (
        [(s.rollout.n_sampled, s.verdict.reward) for s in kept] == [(2, 1.0), (2, 0.0)]
        and not c[2:].any()
        and c[0, 0] > -c[1, 0]
    )
