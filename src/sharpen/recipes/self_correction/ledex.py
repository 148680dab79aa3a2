"""Explaining a fault before mending it, each paid by itself, makes programs better than mending alone.

Paper: arXiv 2405.18649 (LeDex), sections 3 and 4; the maps of its two rewards
Parent: grpo
Differs: programs; an attempt, what it printed, an explanation, a second attempt. First right revisions are imitated, with their
    explanations; then both learn by their own rewards. From the paper: the student's own data, no teacher's; likeness of words
    for CodeBLEU and for embeddings; GRPO by turn instead of PPO
"""

from dataclasses import replace
from functools import partial

from sharpen import guard, rollouts, tasks, verify
from sharpen.data import corrections
from sharpen.guard import handover
from sharpen.objectives import policy_gradient, turns
from sharpen.recipe import Method, Stage
from sharpen.recipes import staging
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import feedback


def recipe(imitate: float = 0.4, explanation: float = 1.0, max_tokens: int = 80, debugging: bool = True) -> Method:
    parent = replace(grpo.recipe(), max_tokens=max_tokens)
    if not debugging:
        return parent
    asked = partial(rollouts.retry, feedback=feedback.explained)
    worth = partial(verify.repaired, explanation=explanation)
    parent = replace(parent, tasks=tasks.programs, rollout=asked, verify=worth)
    learnt = replace(parent, select=corrections.repaired, objective=policy_gradient.sft)
    return staging.sequence(
        Stage("sft", learnt, imitate, handover.last, guard.always),
        Stage("rl", replace(parent, objective=turns.separate), 1 - imitate, handover.last, guard.always),
    )


NEUTRAL = dict(debugging=False, max_tokens=48)


def check(made: Method) -> bool:
    """The maps by hand: nothing alike and nothing passed is -5, all of both 5; an explanation's 0.4 is -5, 1 is 5."""
    repair, explain = verify.worth_of_repair, verify.worth_of_explanation
    return repair(0, 0) == -5 and repair(1, 1) == 5 and abs(explain(0.4) + 5) < 1e-9 and abs(explain(1.0) - 5) < 1e-9
