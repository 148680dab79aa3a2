"""What could teach nothing is refused before it costs anything, and what can teach is not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from sharpen import objectives
from sharpen.core import UserError
from sharpen.recipes import catalog, teaching
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import sft

IN_GROUPS = ("grpo", "rloo", "dr_grpo", "gspo", "dapo", "cispo", "dpo", "nft", "thompson", "tulu")
ALONE = ("reinforce", "sft", "rft", "ppo", "spin", "kl_grpo", "on_policy", "knapsack")


@pytest.mark.parametrize("name", IN_GROUPS)
def test_one_answer_to_a_prompt_teaches_nothing_where_answers_are_compared(name):
    with pytest.raises(UserError, match=r"samples=1: objective=\w+.* compares the answers to one prompt"):
        catalog.build(name, ["samples=1"])
    catalog.build(name, ["samples=2"])


@pytest.mark.parametrize("name", ALONE)
def test_one_answer_is_enough_for_the_others(name):
    """Whole batches, worked solutions, values, penalties, and a curriculum that may give one prompt the share of others."""
    catalog.build(name, ["samples=1"])


@pytest.mark.parametrize("setting", ["temperature=1e-6", "top_k=1", "min_p=1", "top_p=1e-6"])
def test_answers_that_cannot_differ_teach_nothing_where_they_are_compared(setting):
    with pytest.raises(UserError, match="all answers to a prompt come out the same"):
        catalog.build("grpo", [setting])
    catalog.build("reinforce", [setting])


def test_a_batch_of_one_has_no_mean_to_be_compared_with():
    catalog.build("reinforce", ["samples=1", "prompts=2"])
    with pytest.raises(UserError, match="compares|teaches nothing"):
        catalog.build("reinforce", ["samples=1", "prompts=1"])


@pytest.mark.parametrize("setting", ["lr=0", "prompts=0", "samples=0", "max_tokens=0", "temperature=0", "budget=0steps"])
def test_settings_of_nothing_are_refused_by_name(setting):
    with pytest.raises(UserError, match=setting.partition("=")[0]):
        catalog.build("grpo", [setting])


def nothing(batch):
    return batch.reward * 0.0


def no_objective(scale: float = 0.0):
    return replace(objectives.policy_gradient.sft(), normaliser=nothing)


def test_an_objective_of_ones_own_is_asked_too():
    with pytest.raises(
        UserError, match=r"objective=no_objective.* teaches nothing: with these settings every coefficient is 0"
    ):
        teaching.check(replace(grpo.recipe(), objective=no_objective))
    with pytest.raises(UserError, match="every coefficient is 0"):
        teaching.check(replace(sft.recipe(), objective=partial(no_objective, scale=1.0)))


def none_of(samples):
    return []


def test_a_select_function_that_leaves_nothing_is_named(monkeypatch):
    monkeypatch.setattr(none_of, "__module__", "sharpen.data.selection")  # those of others are not asked
    with pytest.raises(UserError, match="select=none_of leaves nothing to learn from"):
        teaching.check(replace(grpo.recipe(), select=none_of))
    monkeypatch.undo()
    teaching.check(replace(grpo.recipe(), select=none_of))
