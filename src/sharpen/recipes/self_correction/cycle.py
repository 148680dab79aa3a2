"""Shown what its own wrong program did, a small model learns to mend it, if it cannot see all of it.

Paper: arXiv 2403.18746 (CYCLE), section 3
Parent: rft
Differs: programs, run in the sandbox; up to so many attempts with what the last one printed between them; right first attempts
    and right revisions are imitated, these with `hidden` of the wrong program's tokens hidden from the input. From the paper:
    its share of hidden tokens and its number of rounds were not found in its text, and are ours
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts, tasks, verify
from sharpen.data import corrections
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft
from sharpen.rollouts import feedback


def recipe(attempts: int = 3, hidden: float = 0.05, max_tokens: int = 80, mending: bool = True) -> Recipe:
    parent = replace(rft.recipe(), max_tokens=max_tokens)
    if not mending:
        return parent
    return replace(
        parent,
        tasks=tasks.programs,
        rollout=partial(rollouts.retry, feedback=feedback.execution, attempts=attempts),
        verify=partial(verify.each_turn, credited=False),
        select=partial(corrections.mended, hidden=hidden),
    )


NEUTRAL = dict(mending=False, max_tokens=48)


def check(made: Recipe) -> bool:
    """What a program printed and should have printed is what its author is told."""
    import json

    import numpy as np

    from sharpen.core import Observation, Ran, Task, Turn

    cases = {"language": "python", "tests": [{"stdin": "2", "stdout": "4"}]}
    told = made.rollout(Task(({"role": "user", "content": "double"},), None, "f", 1, "train", "code_io", data=cases))
    next(told)
    none = np.zeros(0)
    told.send(Turn("print(2)", none, none > 0, none, "end"))
    told.send(Observation(json.dumps(["wrong", 0.0, "Case 1"])))
    return "prints '2' instead of '4'" in told.send(Ran("ok", "2\n", "")).messages[0]["content"]
