"""The programs a student is asked to write, and the problems that ship: their cases, solutions and wrong solutions."""

import contextlib
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from sharpen import sandbox, tasks
from sharpen.core import Arm, UserError
from sharpen.hashing import split_of
from sharpen.tasks import program_families
from sharpen.tasks.files import task_of
from sharpen.tasks.program_families import FAMILIES
from sharpen.tasks.programs import CASES, LEVELS, cases, programs
from sharpen.verify.code import code_io

LEVEL = sandbox.probe()
boxed = pytest.mark.skipif(LEVEL.level != "full", reason=f"the sandbox is only {LEVEL.level}: {'; '.join(LEVEL.reasons)}")
SOURCE = programs()
each = pytest.mark.parametrize("arm", SOURCE.arms, ids=str)


def drawn(arm, n=30, split="train"):
    return (
        [FAMILIES[arm.family](arm.level, Random(f"{arm}.{i}")) for i in range(n)]
        if split is None
        else [SOURCE.draw(arm, split, i, 0) for i in range(n)]
    )


def ran(program, given):
    """What one of our own programs prints. They are written in program_families.py: none is a model's."""
    lines, out = iter(given.splitlines()), io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(program, {"input": lambda: next(lines)})
    return out.getvalue()


def test_five_families_of_four_levels():
    assert len(SOURCE.arms) == len(FAMILIES) * LEVELS == 20
    assert programs("lists").arms == tuple(Arm("lists", level) for level in (1, 2, 3, 4))
    with pytest.raises(UserError, match="Did you mean 'lists'"):
        programs("list")


@each
def test_every_way_to_write_a_program_prints_what_the_question_means(arm):
    """Meaning and code of every piece come from different places; here they meet."""
    for problem in drawn(arm, 40, None):
        assert len(set(problem.programs)) >= 1
        for program in problem.programs:
            for case in cases(problem):
                assert ran(program, case["stdin"]).split() == case["stdout"].split(), (problem.question, program)


@each
def test_a_task_is_a_function_of_its_question_and_splits_share_none(arm):
    questions = {split: {t.prompt[0]["content"]: t for t in drawn(arm, 12, split)} for split in ("train", "validation", "test")}
    assert not questions["train"].keys() & questions["test"].keys()
    assert not questions["validation"].keys() & (questions["train"].keys() | questions["test"].keys())
    for split, found in questions.items():
        for task in found.values():
            assert split_of(task.prompt) == task.split == split
            assert task.verifier == "code_io" and task.answer is None and len(task.data["tests"]) <= CASES
            assert len({case["stdout"] for case in task.data["tests"]}) > 1
    again = SOURCE.draw(arm, "test", 3, 0)
    assert again == drawn(arm, 4, "test")[3] and again.id == drawn(arm, 4, "test")[3].id


@each
def test_cases_tell_questions_apart(arm):
    """Of two questions that mean different things, the program of one rarely passes the cases of the other."""
    found = list({p.question: p for p in drawn(arm, 40, None)}.values())
    taken = pairs = 0
    for one in found:
        listed = cases(one)
        for other in found:
            meant = [other.mean(case["stdin"]) for case in listed]
            if other is not one and len({case["stdout"] for case in listed}) > 1:
                pairs += 1
                taken += meant == [case["stdout"] for case in listed]
    assert taken <= 0.03 * pairs  # questions that mean the same, such as a + b and b + a, among them


def test_questions_of_a_level_compose_as_many_pieces():
    for level in (1, 2, 3, 4):
        arithmetic = FAMILIES["arithmetic"](level, Random(level))
        assert sum(arithmetic.question.count(word) for word in ("sum", "product", "difference", "remainder")) == level
        lists = FAMILIES["lists"](level, Random(level))
        assert lists.question.count(".") == level + 2  # reading, and printing


@pytest.mark.parametrize(
    "found, sparing, full",
    [
        (("+", "a", ("*", "b", 3)), "a+b*3", "a+(b*3)"),
        (("*", ("+", "a", 2), "b"), "(a+2)*b", "(a+2)*b"),
        (("-", "a", ("-", "b", 2)), "a-(b-2)", "a-(b-2)"),
        (("-", ("-", "a", "b"), 2), "a-b-2", "(a-b)-2"),
        (("%", ("*", "a", "b"), 5), "a*b%5", "(a*b)%5"),
        (("*", "a", ("%", "b", 5)), "a*(b%5)", "a*(b%5)"),
        (("+", "a", ("-", "b", 2)), "a+b-2", "a+(b-2)"),
    ],
)
def test_parentheses_stand_where_they_are_needed(found, sparing, full):
    assert program_families.written(found, False) == sparing
    assert program_families.written(found, True) == full
    for at in ({"a": 7, "b": 4}, {"a": -3, "b": 11}):
        assert eval(sparing, dict(at)) == eval(full, dict(at)) == program_families.value(found, at)


@boxed
def test_worked_solutions_are_judged_correct_and_neighbours_wrong():
    """In the sandbox, by the verifier itself: one task of each arm, its solution, and the next task's."""
    pairs = [drawn(arm, 2) for arm in SOURCE.arms]
    with ThreadPoolExecutor(2) as threads:
        right = list(threads.map(lambda pair: code_io(pair[0], pair[0].solution), pairs))
    assert [v.outcome for v in right] == ["correct"] * len(SOURCE.arms)
    different = [(a, b) for a, b in pairs if a.prompt != b.prompt][:8]
    assert not all(code_io(a, b.solution).correct for a, b in different)


# The problems that ship.

LINES = [json.loads(line) for line in (Path(tasks.__file__).parent / "problems.jsonl").read_text().splitlines()]


def test_the_problems_load_with_five_levels():
    source = tasks.problems()
    assert len(LINES) == 48 and [arm.level for arm in source.arms] == [1, 2, 3, 4, 5]
    assert all(sum(line["level"] == level for line in LINES) >= 8 for level in (1, 2, 3, 4, 5))
    assert {a.family for a in tasks.parse_spec("problems,programs").arms} == {"problems", *FAMILIES}


@boxed
def test_every_reference_passes_and_every_wrong_solution_fails():
    def judged(line):
        made = task_of(dict(line), "problems", line["id"])[0]
        return line["id"], code_io(made, line["solution"]), [code_io(made, wrong) for wrong in line["wrong"]]

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(judged, LINES))
    assert [name for name, right, _ in results if not right.correct] == []
    assert all(len(wrong) == 3 for _, _, wrong in results)
    # They look right: they end well, print, and are wrong in one case or another.
    assert [(name, v.outcome) for name, _, wrong in results for v in wrong if v.outcome != "wrong"] == []


def test_the_example_in_a_statement_is_its_first_case():
    for line in LINES:
        given, _, wanted = line["prompt"].partition("Example input:\n")[2].partition("\n\nExample output:\n")
        assert line["tests"][0]["stdin"].rstrip() == given and line["tests"][0]["stdout"].split() == wanted.split()
