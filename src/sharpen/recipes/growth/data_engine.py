"""Bad cases, drawn by the square root of their type's error rate, are the examples from which better data is written.

Paper: arXiv 2308.13566 (MLLM-DataEngine), adaptive bad-case sampling, on text: ten bad cases, similarity below 0.9
Parent: dataenvgym_list
Differs: the share of a type is sqrt(1 - accuracy), and no two examples are more alike than 0.9. From the paper: text alone,
    and practice instead of fine-tuning
"""

from dataclasses import replace
from functools import partial

from sharpen.data import propose, worth
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.growth import dataenvgym_list


def recipe(n: int = 64, examples: int = 10, alike: float = 0.9, rooted: bool = True) -> Recipe:
    parent = dataenvgym_list.recipe(n=n)
    ways = ("like", "diverse")
    write = partial(propose.rewrite, how=ways, role="teacher", examples=examples, alike=alike, by=worth.root)
    return replace(parent, grow=partial(parent.grow, propose=write)) if rooted and n else parent


NEUTRAL = dict(rooted=False)


def check(made: Recipe) -> bool:
    """Accuracies 0.36, 0.75 and 0.99 weigh 0.8 : 0.5 : 0.1; failure rates of 8 and 15 in 16 get 27 and 37 of 64 tasks."""
    weights = [round(worth.root(a), 6) for a in (0.36, 0.75, 0.99)]
    return weights == [0.8, 0.5, 0.1] and growing.by_level(growing.grown(made, growing.teacher())) == {2: 27, 3: 37}
