"""Thinking in parallel ways is learnt where it is paid only now and then: paid always it is done always, and paid never, never.

Paper: arXiv 2509.07980 (Parallel-R1) and its release: bonus 1.2 in a fifth of the time
Parent: grpo
Differs: several ways from one beginning are written side by side, then a summary; right is +1, wrong -1, and in the last
    fifth of each twentieth of the run right with a well-formed block 1.2. From the paper: no cold start, and the ways are
    forks, not one text
"""

from dataclasses import replace
from functools import partial

from sharpen.data import lengths
from sharpen.recipe import Recipe
from sharpen.recipes.played import answers, settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import splicing


def recipe(paths: int = 3, bonus: float = 1.2, share: float = 0.2) -> Recipe:
    parent = grpo.recipe()
    if not paths:
        return parent
    select = partial(lengths.parallel_bonus, bonus=bonus, share=share)
    return replace(parent, rollout=partial(splicing.parallel, paths=paths), select=select)


NEUTRAL = dict(paths=0)


def check(made: Recipe) -> bool:
    """A block needs two ways and a summary; it is paid in its time alone, and there a malformed one costs the right answer."""
    good = "<Parallel><Path>a</Path><Path>b</Path></Parallel><Summary>4</Summary>"
    forms = [lengths.blocks(text) for text in (good, "4", good.replace("<Path>b</Path>", ""), good + "<Path>", good[:50])]
    group = answers((good, 1.0), ("4", 1.0), (good[:50], 1.0), (good, 0.0))
    then, now = ([s.verdict.reward for s in made.select(group, progress=p)] for p in (0.01, 0.0499))
    bonus = settings(made.select)["bonus"]
    return forms == [1, 0, None, None, None] and then == [1, 1, 1, -1] and now == [bonus, 1, -1, -1]
