"""Asking about a few tests, not about programs, finds a right program among wrong ones that most tests agree with.

Paper: arXiv 2411.15587 (ConAIR), abstract; scores and the choice of questions are not stated in what was read
Parent: grpo
Differs: several programs and tests of the student's own, run against each other; up to `questions` tests, those that split the
    programs most evenly, are put to somebody who knows: the task's own solution. From the paper: one repair instead of four
    rounds, and the student learns from the program that was chosen
Status: reproduced on a toy: python bench/reward_toys.py conair (10 programs, 3 right, 30 tests of which 40 % agree with a
    common mistake: a right program is chosen in 0 of 300 draws without questions, and in all of them with one)
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts, tasks
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(questions: int = 3, codes: int = 4, tests: int = 4, in_code: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not in_code:
        return parent
    asked = partial(rollouts.conair, codes=codes, tests=tests, questions=questions)
    return replace(parent, tasks=tasks.programs, rollout=asked, max_tokens=80)


NEUTRAL = dict(in_code=False)


def check(made: Recipe) -> bool:
    """Four behaviours alike in number need two questions, and the right program is never lost."""
    import numpy as np

    from sharpen.verify import consistency

    passed = np.array([[1, 1], [1, 0], [0, 1], [0, 0]] * 2, bool)
    found = consistency.ask_tests(passed, [True, False].__getitem__, questions=5)
    return len(found.answers) == 2 and found.chosen == 1 and found.possible.tolist() == [False, True, False, False] * 2
