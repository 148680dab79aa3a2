"""Imitation of everything, again of the hardest few, then preference, a merge, and practice: each stage adds to the one before.

Paper: arXiv 2503.10460 (Light-R1), README; the reward of its last stage is not stated there
Parent: grpo
Differs: worked solutions of all tasks; of those that are solved at most one time in four; pairs of a worked solution over a
    wrong answer of the student's own, whose result is averaged with where it began; GRPO. From the paper: hardness is the
    student's own pass rate, not a smaller model's; two models are merged, not three
"""

from dataclasses import replace
from functools import partial

from sharpen import guard
from sharpen.data import pairs, routing
from sharpen.guard import handover
from sharpen.objectives import policy_gradient
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.played import answers, as_forced
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.preference import dpo
from sharpen.recipes.supervised import sft


def recipe(first: float = 0.25, hardest: float = 0.15, prefer: float = 0.15, hard: float = 0.25, merged: float = 0.5) -> Stages:
    second = replace(
        grpo.recipe(), select=partial(routing.routed, low=hard, own=False), objective=policy_gradient.sft, prompts=20, samples=8
    )
    preferred = replace(dpo.recipe(), select=pairs.demo_vs_wrong)
    return staging.sequence(
        Stage("sft", sft.recipe(), first, handover.last, guard.always),
        Stage("hardest", second, hardest, handover.last, guard.always),
        Stage("dpo", preferred, prefer, partial(handover.between, alpha=merged), guard.always),
        Stage("rl", grpo.recipe(), 1 - first - hardest - prefer, handover.last, guard.always),
    )


NEUTRAL = dict(first=0.0, hardest=0.0, prefer=0.0)


def check(made: Stages) -> bool:
    """One right in four is hard, two are not; a right answer of one's own is never the worse side of a pair."""
    demos = [as_forced(answers((f"shown {g}", 1), tokens=[5], group=g)[0]) for g in range(2)]
    tried = [s for g, k in enumerate((1, 2)) for s in answers(*[("4", 1.0)] * k, *[("5", 0.0)] * (4 - k), group=g)]
    shown = made.stages[1].recipe.select(tried, demos=demos, notes={})
    sides = made.stages[2].recipe.select(tried, demos=demos)
    return [s.rollout.response for s in shown] == ["shown 0"] and {s.rollout.response for s in sides[1::2]} == {"5"}
