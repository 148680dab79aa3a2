"""A critic of every token, four rewards by how a program fails, and repair by what it printed: programs learn to pass tests.

Paper: arXiv 2207.01780 (CodeRL), equations 4 to 7 and section 4
Parent: ppo
Differs: programs, run in the sandbox, worth 1 where all tests pass and 0.35, 0.2 and 0 where they fail, crash or cannot be
    read; a program that fails is mended after what it printed, at training and at test time. From the paper: PPO's value head
    and advantages instead of a critic that predicts the outcome, no baseline of greedy decoding, no seeds from the best parts
    of programs that passed
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts, tasks, verify
from sharpen.core import Task, Verdict
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import ppo
from sharpen.rollouts import feedback


def recipe(attempts: int = 2, max_tokens: int = 80, in_code: bool = True, **knobs) -> Recipe:
    parent = replace(ppo.recipe(**knobs), max_tokens=max_tokens)
    if not in_code:
        return parent
    mended = partial(rollouts.retry, feedback=feedback.execution, attempts=attempts)
    return replace(parent, tasks=tasks.programs, rollout=mended, verify=verify.graded)


NEUTRAL = dict(in_code=False, max_tokens=48)


def check(made: Recipe) -> bool:
    """The paper's four rewards, from -1 to 1, are 0 to 1 here in the same places; the outcome stays what it was."""
    task = Task(({"role": "user", "content": "double"},), None, "f", 1)

    def as_is(outcome: str) -> Verdict:
        return verify.graded(task, "", verifier=lambda task, said: Verdict(outcome, float(outcome == "correct")))

    found = [as_is(outcome) for outcome in ("malformed", "crash", "timeout", "wrong", "correct")]
    rewards = [round(2 * (v.reward or 0.0) - 1, 6) for v in found]
    return rewards == [-1.0, -0.6, -0.6, -0.3, 1.0] and found[1].outcome == "crash" and made.verify is verify.graded
