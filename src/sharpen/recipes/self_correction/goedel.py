"""Half of the tasks asked as corrections, and weights averaged with those before, keep what many tries can find.

Paper: arXiv 2508.03613 (Goedel-Prover-V2), section 3
Parent: dr_grpo
Differs: right answers and right corrections are imitated first; then half of the tasks are first-round corrections after the
    verifier's words, learnt where up to `most` of the group is right, with a higher upper clip; after each stage the weights
    are alpha of the new and the rest of the old. From the paper: no proofs, no scaffolded tasks (that is scaffolded), no
    penalty on length; alpha is one of those that it tries
"""

from dataclasses import replace
from functools import partial

from sharpen import data, guard
from sharpen.data import corrections
from sharpen.guard import handover
from sharpen.objectives import policy_gradient
from sharpen.recipe import Method, Stage
from sharpen.recipes import staging
from sharpen.recipes.policy_gradient import dr_grpo
from sharpen.rollouts import critique


def recipe(imitate: float = 0.3, alpha: float = 0.8, share: float = 0.5, most: float = 0.75, correcting: bool = True) -> Method:
    if not correcting:
        return dr_grpo.recipe()
    parent = replace(dr_grpo.recipe(), rollout=partial(critique.corrected_half, share=share))
    high = partial(policy_gradient.dr_grpo, length=parent.max_tokens, clip_high=0.28)
    mean = partial(handover.between, alpha=alpha)
    learnt = replace(parent, select=corrections.mended, objective=policy_gradient.sft)
    practised = replace(parent, select=partial(data.gate, high=most), objective=high)
    return staging.sequence(
        Stage("sft", learnt, imitate, mean, guard.always), Stage("rl", practised, 1 - imitate, mean, guard.always)
    )


NEUTRAL = dict(correcting=False)


def check(made: Method) -> bool:
    """Of eight answers to a prompt, one to six right ones are learnt from, and none, seven and eight are not; 0.8 of what a
    stage learned goes on."""
    rl = made.stages[1]  # type: ignore[union-attr]
    kept = [
        bool(corrections.example(rl.recipe.select, [f"{i}{'3' if i < right else '4'}" for i in range(8)], "3"))
        for right in range(9)
    ]
    return kept == [0 < right <= 6 for right in range(9)] and rl.hand_over([{"round": 1}, {"round": 4}])[4] == 0.8
