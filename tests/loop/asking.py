"""Every slot that may keep something keeps something, and the guard gives all of its answers.

Paper: none
Parent: quickstart
Differs: for the tests of interrupted runs
"""

from dataclasses import replace

import numpy as np

from sharpen import curriculum, data, guard, objectives, rollouts
from sharpen.recipe import Recipe
from sharpen.recipes.loop import quickstart

ANSWERS = ("unclear", "better", "unclear", "unclear", "worse", "unclear")  # of six rounds


def counting(history, arms, prompts, samples, rng, *, kept, evaluations, totals, progress):
    """What is kept decides what is chosen, so weights differ where it does."""
    kept["steps"] = kept.get("steps", np.zeros(1)) + 1
    kept["seen"] = np.append(kept.get("seen", np.zeros(0)), [len(evaluations), sum(totals.values()), progress])
    more = np.random.default_rng([int(rng.integers(1 << 30)), int(kept["seen"].sum() * 1000)])
    return curriculum.uniform(history, arms, prompts, samples, more)


def hoarding(samples, *, buffer, rng):
    buffer += samples[:: int(rng.integers(2, 5))]
    return data.keep_all([*samples, *buffer[:-8]][: 2 * len(samples)])


def noting(*, notes, losses):
    notes["steps"] = notes.get("steps", 0) + 1
    return objectives.policy_gradient.sft()


def told(task, *, progress):
    return rollouts.single(task, f"{progress:.2f}")


def scripted(before, after, *, progress, evaluations):
    assert after not in evaluations or after == before or len(evaluations) > 1
    return replace(guard.always(before, after), answer=ANSWERS[round(progress * len(ANSWERS)) - 1])


def patient(rounds, *, progress, evaluations):
    return None if evaluations or not rounds else "nothing was ever measured"


def recipe(**knobs) -> Recipe:
    slots = dict(curriculum=counting, select=hoarding, objective=noting, rollout=told, guard=scripted, control=patient)
    return replace(quickstart.recipe(**knobs), **slots)


NEUTRAL: dict = {}
