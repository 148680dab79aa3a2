"""The program that answers questions agrees with the families that write them, and answers nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from sharpen import tasks
from sharpen.tasks.answering import FORMS, MATRIX


@pytest.mark.parametrize("family", sorted(FORMS))
def test_it_answers_every_question_of_its_families_as_they_do(family):
    source = tasks.gym(family)
    for arm in source.arms:
        for index in range(4):
            task = source.draw(arm, "train", index, 1)
            found = tasks.answered(task.prompt[0]["content"])
            assert found is not None and (found.family, found.answer, found.solution) == (family, task.answer, task.solution)
            assert tasks.answer_of(task) == task.answer
            assert tasks.answer_of(dataclasses.replace(task, family="another")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Spell this word backward (example: sun -> nus): two words",
        "Spell this word backward (example: sun -> nus): " + "a" * 41,
        "State the final answer to the following arithmetic problem: 1 + =",
        "State the final answer to the following arithmetic problem: __import__('os') =",
        "Kep all numbers larger than 6 in this list: ['0', '6']\nReturn the new list in the same format.",
        "Find the Least Common Multiple (LCM) of these numbers: 0, 5",
        MATRIX + "90 degrees clockwise:\n1 2\n3",
        "x" * 10**6,
    ],
)
def test_what_is_no_question_of_theirs_has_no_answer(text):
    assert tasks.answered(text) is None
