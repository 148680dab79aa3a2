"""Where seconds are few, arms half known and the half of each group that differs most teach as much as all, for less.

Paper: arXiv 2505.14970 (SEC), sections 3.1 and 3.2, for the arms; the halves are PODS's, maximum variance of the reward, as
    arXiv 2509.22115 tells of it
Parent: grpo
Differs: arms by SEC, more evenly than there (softmax at 0.3, three prompts in ten from all alike, every arm tried early); of
    each group the answers whose rewards vary most are learnt from, and compared with each other only: a success and three
    failures of one in eight; an answer that was cut off earns nothing; what is exported is the
    best by evidence (guard/looks.py). Not read: whether PODS compares within the whole group
Tried: sharpen run frontier --model smollm2 --tasks arithmetic --budget 48steps --set prompts=8 --set samples=8 --set lr=3e-5
    --set temperature=0.8 --set max_tokens=40 --set "prompt_suffix=Answer in one short sentence." (one run; 52.0 % of 102
    validation tasks after 48 steps, by grpo with 12 prompts 54.9 %, one run; of the last groups 31 % were silent, by grpo 55 %)
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum, data, guard
from sharpen.core import Sample
from sharpen.objectives import entropy
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def varied(samples: Sequence[Sample], share: float = 0.5) -> list[Sample]:
    """Of each group this share, two at least: those whose rewards have the largest variance. What was cut off earns nothing."""
    groups: dict[int, list[Sample]] = {}
    for sample in data.finished(samples):
        groups.setdefault(sample.group, []).append(sample)
    kept = []
    for group in groups.values():
        rewards = np.array([float(s.verdict.reward or 0.0) for s in group])
        count = min(max(round(share * len(group)), 2), len(group))
        kept += [group[i] for i in entropy.most_varied(rewards, count)]
    return kept


def recipe(share: float = 0.5, softmax: float = 0.3, floor: float = 0.3, guarded: bool = True, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    return replace(
        parent,
        curriculum=partial(curriculum.sec, temperature=softmax, floor=floor) if floor < 1 else parent.curriculum,
        select=partial(varied, share=share) if share < 1 else parent.select,
        guard=guard.sequential if guarded else parent.guard,
    )


NEUTRAL = dict(share=1.0, floor=1.0, guarded=False)


def check(made: Recipe) -> bool:
    """Of one success in eight the success is kept, and three failures; of five in eight two of each."""
    rare = entropy.most_varied(np.array([0, 0, 0, 1, 0, 0, 0, 0.0]), 4)
    half = entropy.most_varied(np.array([1, 1, 0, 1, 0, 1, 0, 1.0]), 4)
    return 3 in rare and len(rare) == 4 and sum(i in (2, 4, 6) for i in half) == 2 and made.select is not grpo.recipe().select
