"""A ranker that is taught the wrong answers which it likes best loses its holes: the best of more by it is no worse.

Paper: arXiv 2504.09643 (RewardRanker), section 3
Parent: preference_rm
Differs: of the wrong answers to a prompt only the `hardest` are negatives, those with the highest score so far, of answers that
    were learnt for that score. From the paper: GRPO instead of PPO, and all along instead of in rounds, without the old pairs
Status: reproduced on a toy: python bench/reward_toys.py ranker (a scorer that loves a token: it is in 84.5 % of the best of 16;
    after one round with hard negatives in 3.0 %, and 94.5 % are right; with as many random ones in 20.5 %, 81.5 % right, and
    three rounds make it 4 %)
"""

from dataclasses import replace
from functools import partial
from typing import Any

from sharpen.data import lessons
from sharpen.recipe import Recipe
from sharpen.recipes.rewards import preference_rm


def recipe(hardest: int = 2, **knobs) -> Recipe:
    parent = preference_rm.recipe(**knobs)
    if not hardest:
        return parent
    roles = tuple(replace(r, teach=partial(lessons.preferences, hardest=hardest)) for r in parent.roles)
    return replace(parent, roles=roles)


NEUTRAL = dict(hardest=0)


def check(made: Recipe) -> bool:
    """Of wrong answers that are liked 0.9, 0.1 and 0.5 the first and the third are taught, beside the right one."""
    role: Any = made.roles[0]
    from sharpen.recipes.teaching import toy

    answers = [replace(toy(0, i, float(i == 0)), weight=1.0) for i in range(4)]
    liked = [0.2, 0.9, 0.1, 0.5]
    listed = [replace(s, verdict=replace(s.verdict, parts={"learnt": w})) for s, w in zip(answers, liked)]
    taught = role.teach(listed)
    return [lesson.steps[0][0] for lesson in taught] == ["0", "1", "3"]
