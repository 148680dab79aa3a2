"""Words on why an answer failed, put before it, teach more than a mere label does.

Paper: arXiv 2305.10314 (LeTI), section 2
Parent: rft
Differs: right and wrong answers are learnt, each after its label and the verifier's words; tasks are asked with the good label.
    From the paper: wrong ones weigh a fifth; loss on answers alone; no pre-training batch; a system message, no new tokens
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.data import relabel
from sharpen.recipe import Recipe, describe
from sharpen.recipes.supervised import rft


def recipe(labels: bool = True, feedback: bool = True, wrong: float = 0.2) -> Recipe:
    parent = rft.recipe()
    if not labels:
        return parent
    good = f"{relabel.GOOD} {relabel.WORKS}" if feedback else relabel.GOOD
    asked = partial(rollouts.single, system=good)
    return replace(parent, rollout=asked, select=partial(relabel.with_feedback, wrong=wrong, feedback=feedback))


NEUTRAL = dict(labels=False)


def check(made: Recipe) -> bool:
    """What is asked at test time is what right answers are learnt with."""
    return describe(made.rollout) == f"single(system={f'{relabel.GOOD} {relabel.WORKS}'!r})"
