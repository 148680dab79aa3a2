"""Programs with constructs that no earlier ones had are forgotten when learnt in turn, and replay loses least of them.

Paper: arXiv 2305.04106 (continual learning for pre-trained models of code), section 4: a stream of new APIs; replay, EWC, A-GEM
Parent: replay
Differs: the task sets are families of programs, each with constructs of its own, in this order, judged by running them. From
    the paper: a language of ours, not Java; written from a description, not completed. Other guards: `--stream` with any recipe
"""

from dataclasses import replace

from sharpen import guard, tasks
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.continual import replay

ORDER = ("arithmetic", "conditions", "loops", "lists", "strings")


def recipe(families: int = 1, share: float = 0.5) -> Stages:
    parent = replay.recipe(share=share)
    if not families:
        return staging.sequence(Stage("set", parent, 1.0, handover.last, guard.always))
    made = replace(parent, tasks=tasks.programs, max_tokens=80, validation=16, test=50)
    stages = []
    for i in range(0, len(ORDER), families):
        arms = tuple(f"{name}/{level}" for name in ORDER[i : i + families] for level in range(1, 5))
        stages.append(Stage("_".join(ORDER[i : i + families]), made, 1.0, handover.last, guard.always, arms=arms))
    return staging.sequence(*stages)


NEUTRAL = dict(families=0)


def check(made: Stages) -> bool:
    """Every arm of the programs belongs to one stage."""
    held = [arm for stage in made.stages for arm in stage.arms]
    return sorted(held) == sorted(map(str, made.stages[0].recipe.tasks().arms))
