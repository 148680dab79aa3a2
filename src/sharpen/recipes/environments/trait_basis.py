"""Practice with difficult users costs nothing with easy ones, and loses less when patience and clarity run out.

Paper: arXiv 2510.04491 (TraitBasis, tau-Trait), environment and report; steering of a model that plays the user in models
Parent: grpo
Differs: one of several users at a time, each with traits of its own, books a flight by the student's hands; right is the last
    state of the database. Users are scripted, of four traits; `played`: the role `user` plays them, told its traits in words,
    or steered (`models.steering.write`). The report has what traits cost. From the paper: it tests agents, and trains none
"""

import json
from dataclasses import replace

from sharpen import rollouts, tasks
from sharpen.core import Role
from sharpen.environments import Traits, User, expected_success
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.within import within

USERS: tuple[dict[str, float], ...] = (
    {},
    {"confusion": 0.2},
    {"skepticism": 0.5},
    {"incoherence": 0.3},
    {"patience": 6, "confusion": 0.2},
)


def recipe(levels: str = "1-3", plain: bool = False, played: bool = False, act: bool = True) -> Recipe:
    if played:
        user = Role("user", bound="sharpen.rollouts.talking:customer")
        return replace(grpo.recipe(), tasks=tasks.talks, rollout=rollouts.talking.talking, roles=(user,))
    users = json.dumps([{"traits": traits} for traits in (USERS[:1] if plain else USERS)])
    return within(grpo.recipe(), "airline", levels, turns=10, more=users) if act else grpo.recipe()


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """Who asks for three things once fails (1 - 0.8^3) of the time with a user confused one time in five: 48.8 points; who
    has each confirmed does not."""
    wants = {"a": "1", "b": "1", "c": "1"}
    others = {name: ("1", "2") for name in wants}
    once = confirmed = 0
    for seed in range(400):
        user = User(wants, others, Traits(confusion=0.2), seed)
        once += all(user.ask(name) == value for name, value in wants.items())
        confirmed += all(user.confirm(name, value) == "yes" for name, value in wants.items())
    return abs(once / 400 - expected_success(3, 0.2)) < 0.08 and confirmed == 400
