"""The beginning of a wrong answer that is known to be right is worth learning, and there are more of those than right answers.

Paper: arXiv 2205.14318 (self-sampled partially-correct solutions), section 3
Parent: rft
Differs: of wrong answers, what comes before the first number that no right answer to the task has reached likewise. From the
    paper: states are the numbers written so far, not a program's variables; prefixes live for one step; no multi-target loss
"""

from dataclasses import replace

import numpy as np

from sharpen import data
from sharpen.core import Rollout, Sample, Task, Verdict
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(beginnings: bool = True) -> Recipe:
    parent = rft.recipe()
    return replace(parent, select=data.right_beginnings) if beginnings else parent


NEUTRAL = dict(beginnings=False)


def check(made: Recipe) -> bool:
    """Where 4, 12, 13 is right, of "4 12 14 " the part up to the space after 12 is learnt."""
    task = Task(({"role": "user", "content": "?"},), "13", "f", 1)

    def said(text: str, outcome: str, reward: float) -> Sample:
        tokens = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
        made = Rollout(task, tokens, tokens > 0, np.zeros(len(tokens), np.float32), (text,), "end", 0, 0, text)
        return Sample(made, Verdict(outcome, reward), 0)

    samples = [said("4 12 13 ", "correct", 1.0), said("4 12 14 ", "wrong", 0.0)]
    right, begun = made.select(samples, demos=[], decode=lambda tokens: bytes(tokens.astype(np.uint8)).decode())
    return bool(right.rollout.sampled.all()) and int(begun.rollout.sampled.sum()) == len("4 12 ")
