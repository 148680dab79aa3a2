"""Imitation that keeps entropy, of solutions that look ahead and check themselves, then practice with rules that keeps it too.

Paper: arXiv 2508.03178 (Light-IF), abstract; Entropy-SFT and the token-entropy-adaptive objective as in its code
Parent: adaptive_entropy
Differs: lists of words under constraints, whose worked solutions preview the constraints, draft, and check the draft in their
    thoughts; the most surprising tokens of them are imitated, then GRPO with a bonus on entropy, paid by rules. From the
    paper: its instructions are harder, and its solutions those of a larger model, filtered
"""

from dataclasses import replace
from typing import Any

from sharpen import guard, tasks, verify
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.policy_gradient import adaptive_entropy
from sharpen.recipes.supervised import entropy_sft


def recipe(imitate: float = 0.4, share: float = 0.8, weight: float = 0.01, lists: bool = True) -> Stages:
    same: dict[str, Any] = dict(tasks=tasks.constraints, max_tokens=96) if lists else {}
    shown, practised = entropy_sft.recipe(share=share), adaptive_entropy.recipe(weight=weight)
    return staging.sequence(
        Stage("imitate", replace(shown, **same), imitate, handover.last, guard.always),
        Stage("rl", replace(practised, **same), 1 - imitate, handover.last, guard.always),
    )


NEUTRAL = dict(imitate=0.0, lists=False)


def check(made: Stages) -> bool:
    """Each worked solution previews, checks itself, and is right by the rules; its words with one left out are not."""
    source = made.stages[0].recipe.tasks()
    drawn = [source.draw(arm, "train", i, 0) for arm in source.arms for i in range(3)]
    looks = all(str(t.solution).startswith("<think>") and "words yes" in str(t.solution) for t in drawn)
    right = all(verify.verify(t, str(t.solution)).correct for t in drawn)
    return looks and right and not any(verify.verify(t, str(t.answer).partition(" ")[2]).correct for t in drawn)
