"""Between pre-training and post-training: thinking before the next word, easy words first and ever shorter, beside all of them.

Paper: arXiv 2509.24375 (Reinforcement Mid-Training, RMT), abstract and notes: token budget that decays, easy to hard tokens,
    reinforcement learning on chosen tokens with next-token prediction on all
Parent: grpo
Differs: the next word of worked solutions is to be foreseen, easy ones first by the clock; a right answer is paid for being
    near a budget that decays, and every text's true next word is imitated beside, `imitate` times. From the paper: how hard a
    word is, is told by what was said before instead of by entropy; the length's weight and the budgets are ours, and one text's
    other words are not predicted in the same pass
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sharpen import curriculum, tasks
from sharpen.core import Sample, Task, TaskSource
from sharpen.data import lengths
from sharpen.objectives import hybrid
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def thought(
    samples: Sequence[Sample], start: float, end: float, length: float, *, demos: Sequence[Sample], progress: float
) -> list[Sample]:
    """Own answers, paid by the budget of now, and the true next word of each text."""
    kept = lengths.within_decaying(samples, start, end, length=length, progress=progress)
    return hybrid.demonstrated(kept, demos=demos)


def recipe(start: float = 48, end: float = 8, length: float = 0.2, imitate: float = 0.1, foresee: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not foresee:
        return parent
    return replace(
        parent,
        tasks=tasks.next_words,
        curriculum=curriculum.ladder,
        select=partial(thought, start=start, end=end, length=length),
        objective=partial(hybrid.ahpo, weight=imitate),
    )


NEUTRAL = dict(foresee=False)


def check(made: Recipe) -> bool:
    """By hand: the budget falls from 48 to 15.2 half way and 8; a right answer at the budget earns 1, one of no length 1 /
    1.2."""
    budgets = [round(lengths.decaying(p, 48, 8, 0.1), 1) for p in (0.0, 0.5, 1.0)]
    text = Task(({"role": "user", "content": "2 2 3"},), "5", "sums", 1, solution="2 3 <answer>5</answer>")
    source = tasks.next_words(source=lambda: TaskSource("one", (text.arm,), lambda arm, split, index, seed: text))
    drawn = {arm.level: source.draw(arm, "train", 0, 0).answer for arm in source.arms}
    return budgets == [48.0, 15.2, 8.0] and drawn == {1: "3", 2: "2", 3: "5"} and bool(made.select)
