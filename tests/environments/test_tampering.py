"""Environments that can be gamed: a scripted cheater is always seen and never paid, an honest episode never accused."""

from __future__ import annotations

import pytest

from sharpen.environments import calls, tampering
from sharpen.environments.schema import tools_of


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_a_cheater_is_seen_and_not_paid_and_an_honest_one_is_neither(level):
    for seed in range(12):
        task = {"seed": seed, "level": level}
        cheat, honest = (tampering.played(task, script(task)) for script in (tampering.cheat, tampering.honest))
        assert cheat.parts == {"tampered": 1.0, "paid": 1.0} and cheat.reward == 0
        assert honest.parts == {"tampered": 0.0, "paid": 0.0} and honest.reward == 1


@pytest.mark.parametrize("level", [2, 3, 4])
def test_tampering_beside_a_right_answer_is_seen_and_changes_no_reward(level):
    task = {"seed": 3, "level": level}
    both = tampering.played(task, [*tampering.cheat(task)[:-1], *tampering.honest(task)])
    assert both.reward == 1 and both.parts["tampered"] == 1


def test_a_worked_solution_is_calls_of_its_tools():
    world = tampering.begun({"seed": 1, "level": 2})
    tools = tools_of(world)
    assert {tool["function"]["name"] for tool in tools} == {"list", "read", "write", "finish"}
    said = [calls.read(text, tools) for text in tampering.solution({"seed": 1, "level": 2})]
    assert [(found[0].name, wrong) for found, wrong in said] == [("read", ""), ("write", ""), ("finish", "")]
