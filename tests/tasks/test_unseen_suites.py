"""Families that are never practised, evaluations found in training texts, and tasks whose answers follow from how they are
made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sharpen import tasks
from sharpen.core import Arm, TaskSource, UserError
from sharpen.tasks import overlap, suites
from sharpen.tasks.facts import known
from sharpen.tasks.searching import searching, turns_of
from sharpen.verify import verify


def items(n, start=0):
    """Questions of different words, in one form."""
    said = [" ".join(f"{chr(97 + (i * 7 + j * j) % 26)}{i + j}" for j in range(12)) for i in range(start, start + 40 * n, 40)]
    return [f"State the final answer to the following small problem: {words}" for words in said]


def test_planted_items_are_found_and_a_disjoint_pool_of_the_same_form_is_left_alone():
    evaluation, clean = items(40), items(400, start=10_000)
    planted = [f"Please solve. {text} Thank you." for text in evaluation[::20]]
    found = overlap.cleaned([*clean, *planted], evaluation)
    assert found.hit == 2 / 40 and found.kept == tuple(range(400))
    assert overlap.cleaned(clean, evaluation) == overlap.Cleaned(tuple(range(400)), 0.0)
    few = overlap.cleaned([*clean, planted[0]], items(100))  # 1 % of the evaluation: as it is
    assert len(few.kept) == 401 and few.hit == 0.01
    assert overlap.indexed(["17 + 4 ="]).hits("What is 17 + 4 = in words?") == [0]  # shorter than a run
    assert overlap.indexed([""]).hits("anything") == [] and overlap.runs([], 8) == []
    assert overlap.without_digits("What is 17 + 4?") == overlap.without_digits("What is  9 + 33?") != "what is + ?"


def finite(texts, families=("a", "b")):
    """A source of finite arms, whose training tasks hold these texts."""
    base = tasks.facts().draw(Arm("fact_closed", 1), "train", 0, 0)

    def draw(arm, split, index, seed):
        text = texts[index] if split == "train" else f"{arm.family} {split} {index} {items(3)[index]}"
        return replace(base, prompt=({"role": "user", "content": text},), family=arm.family, level=1, split=split)

    arms = tuple(Arm(name, 1) for name in families)
    return TaskSource("mine", arms, draw, lambda arm, split: len(texts) if split == "train" else 3)


def test_a_family_that_is_kept_unseen_is_measured_and_never_practised():
    whole = finite(items(5, start=500))
    source = suites.kept_apart(whole, "b")
    assert source.size(Arm("b", 1), "train") == 0 and source.size(Arm("b", 1), "test") == 3 and source.arms == whole.arms
    assert source.draw(Arm("b", 1), "test", 0, 0) == whole.draw(Arm("b", 1), "test", 0, 0)
    assert any("b" in note for note in source.notes)
    with pytest.raises(UserError, match="kept unseen"):
        source.draw(Arm("b", 1), "train", 0, 0)
    with pytest.raises(UserError, match="no family 'c'"):
        suites.kept_apart(whole, "c")
    with pytest.raises(UserError, match="nothing would be left"):
        suites.kept_apart(whole, "a,b")


def test_a_training_task_with_a_measured_question_in_it_is_passed_over():
    leaked = f"a test 1 {items(3)[1]}"
    source = suites.kept_apart(finite([*items(4, start=500), leaked]))
    assert leaked not in {source.draw(Arm("a", 1), "train", i, 0).prompt[0]["content"] for i in range(5)}
    with pytest.raises(UserError, match="in a row"):
        suites.kept_apart(finite([leaked])).draw(Arm("a", 1), "train", 0, 0)
    assert tasks.unseen("step_chain").arms == tasks.step_chain().arms  # without end: its hash splits it


def test_facts_are_the_same_in_every_split_and_a_counterfactual_contradicts_them():
    source = tasks.facts()
    for arm in source.arms:
        for split in ("train", "test"):
            task = source.draw(arm, split, 3, 0)
            context, blank, question = task.prompt[0]["content"].rpartition("\n\n")
            thing, person = question.split(". ")[1].rstrip("?").split(" of ")
            kind = task.data["slice"]
            assert (task.answer != known(person, thing)) == (kind == "counterfactual") and bool(blank) == (kind != "closed")
            assert kind == "closed" or (person in context) == (kind != "irrelevant")


@pytest.mark.parametrize("backtracks", range(3))
def test_a_search_has_exactly_so_many_wrong_turns_and_one_answer(backtracks):
    source = searching(backtracks)
    for arm in source.arms:
        task = source.draw(arm, "train", 5, 0)
        assert turns_of(task.solution) == backtracks and tasks.route_end(task.prompt[0]["content"], task.answer)
        other = searching(backtracks, permuted=True).draw(arm, "train", 5, 0)
        assert other.id == task.id and turns_of(other.solution) == backtracks
        operations = [[w.partition("=")[0] for w in t.solution.partition("<answer>")[0].split()] for t in (task, other)]
        assert operations[0] == operations[1] and verify(task, task.solution).correct
    assert not tasks.route_end("From 3 to 16 with +5 *2 -1", "*2 +5 -1") and tasks.route_end(
        "From 3 to 16 with +5 *2 -1", "+5 *2"
    )
    assert not tasks.route_end("From 3 to 13 with +5 *2", "+5 +5") and not tasks.route_end("nothing", "+5")
    with pytest.raises(UserError, match="wrong turns"):
        searching(9)


def test_constraints_are_met_by_their_solutions_and_not_by_half_of_them():
    source = tasks.constraints()
    for arm in source.arms:
        task = source.draw(arm, "train", 2, 0)
        assert verify(task, task.solution).correct and len(task.data["rubric"]) == 2 + arm.level
        assert not verify(task, task.answer.split()[0]).correct and not verify(task, f"{task.answer} zz zz").correct
