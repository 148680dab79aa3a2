"""How a model is asked: told once, where it is asked, and nobody else is; and the file that keeps it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sharpen import rollouts
from sharpen.core import Ask, Failed, Measure, Sampling, Task, Turn, UserError
from sharpen.models import ScriptedPolicy
from sharpen.rollouts import UNTOLD, Asking, asking
from sharpen.verify import INSTRUCTIONS

QUESTION = {"role": "user", "content": "2 + 2 ="}
TASK = Task((QUESTION,), "4", "sum", 1, verifier="number")
AUTO = Asking(prompt_suffix=None, instructions=INSTRUCTIONS)
TOLD = {"role": "user", "content": f"2 + 2 =\n\n{INSTRUCTIONS['number']}"}


def turn(text: str = "4") -> Turn:
    return Turn(text, np.arange(3, dtype=np.int32), np.array([False, True, True]), np.zeros(3, np.float32), "end")


def first(how: Asking, task: Task = TASK, roll_out=rollouts.single) -> Ask:
    return next(asking.asked(roll_out(task), task, how))


def test_who_is_told_nothing_has_the_rollout_itself():
    generator = rollouts.single(TASK)
    assert asking.asked(generator, TASK, UNTOLD) is generator


def test_the_instruction_stands_behind_the_question():
    assert first(AUTO).messages == (TOLD,)


def test_a_system_message_or_a_suffix_replaces_the_instruction():
    assert first(Asking("Be brief.", None, INSTRUCTIONS)).messages == ({"role": "system", "content": "Be brief."}, QUESTION)
    suffixed = first(Asking(prompt_suffix="Now!", instructions=INSTRUCTIONS)).messages
    assert suffixed == ({"role": "user", "content": "2 + 2 =\n\nNow!"},)
    both = first(Asking("Be brief.", "Now!")).messages
    assert both == ({"role": "system", "content": "Be brief."}, *suffixed)


def test_a_prompt_has_one_system_message():
    """Two in a row are refused by many templates: that of the task comes behind that of the run, and none comes twice."""
    own = Task(({"role": "system", "content": "You are a clerk."}, QUESTION), "4", "sum", 1)
    (system, _) = first(Asking("Be brief."), own).messages
    assert system["content"] == "Be brief.\n\nYou are a clerk."
    (system, _) = next(rollouts.single(own, system="Be good.")).messages
    assert system["content"] == "Be good.\n\nYou are a clerk."
    generator = asking.asked(rollouts.single(TASK, system="Be brief."), TASK, Asking("Be brief."))
    assert next(generator).messages[0]["content"] == "Be brief."


def test_only_the_student_is_told_and_only_of_the_question():
    def rollout(task):
        yield [Ask(task.prompt), Ask(task.prompt, role="judge"), Ask(({"role": "user", "content": "Sure?"},))]
        answered = yield Measure(task.prompt, "4")
        yield Ask((QUESTION,), after=turn())
        return answered

    generator = asking.asked(rollout(TASK), TASK, AUTO)
    student, judge, other = next(generator)
    assert student.messages == (TOLD,) and judge.messages == (QUESTION,) and other.messages[0]["content"] == "Sure?"
    assert generator.send([turn()] * 3).messages == (TOLD,)  # measured as it is asked
    assert generator.send(turn()).messages == (QUESTION,)  # what goes on was told before


def test_a_hint_behind_the_question_does_not_hide_it():
    generator = asking.asked(rollouts.rationalise(TASK), TASK, AUTO)
    next(generator)
    hinted = generator.send(turn("5")).messages[-1]["content"]
    assert hinted.startswith("2 + 2 = The answer is 4") and hinted.endswith(INSTRUCTIONS["number"])


def test_a_failure_is_raised_where_it_was_asked_for_and_the_end_is_the_rollouts_own():
    def careful(task):
        try:
            yield Ask(task.prompt, role="judge")
        except Failed:
            return (yield Ask(task.prompt))

    generator = asking.asked(careful(TASK), TASK, AUTO)
    next(generator)
    assert generator.throw(Failed("nobody")).messages == (TOLD,)
    with pytest.raises(StopIteration) as end:
        generator.send(turn("7"))
    assert end.value.value.text == "7"


def test_a_bare_answer_is_demonstrated_in_the_form_that_is_told():
    assert first(AUTO, roll_out=rollouts.demonstrate).answer == "The answer is 4"
    for suffix, form in (("Put it in \\boxed{}.", "\\boxed{4}"), ("Between <answer> and </answer>.", "<answer>4</answer>")):
        assert first(Asking(prompt_suffix=suffix), roll_out=rollouts.demonstrate).answer == form
    solved = Task((QUESTION,), "4", "sum", 1, verifier="number", solution="Four: <answer>4</answer>")
    assert first(AUTO, solved, rollouts.demonstrate).answer == solved.solution
    assert (
        first(UNTOLD, roll_out=rollouts.demonstrate).answer
        == first(Asking(prompt_suffix="Now!"), roll_out=rollouts.demonstrate).answer
        == "4"
    )


def test_tools_go_with_the_question_whatever_is_told():
    tools = [{"name": "clock", "parameters": {"type": "dict", "properties": {}}}]
    expected = json.dumps([{"name": "clock", "arguments": {}}])
    task = Task((QUESTION,), expected, "f", 1, verifier="tool_call", data={"tools": tools})
    (tool,) = first(UNTOLD, task).tools
    assert tool["function"]["name"] == "clock" and tool["function"]["parameters"]["type"] == "object"
    assert json.loads(first(AUTO, task, rollouts.demonstrate).answer.split("\n")[1])["name"] == "clock"


def test_the_driver_tells_and_the_task_stays_what_it_is():
    heard = []
    policy = ScriptedPolicy(lambda messages: heard.append(messages) or "4")
    settings = dict(seed=0, max_tokens=9, sampling=Sampling())
    (told,) = rollouts.drive(policy, rollouts.single, [TASK], ["a"], asking=AUTO, **settings)
    (plain,) = rollouts.drive(policy, rollouts.single, [TASK], ["a"], **settings)
    assert heard == [(TOLD,), (QUESTION,)] and told.task == plain.task == TASK


# The file


def test_a_file_says_what_was_written(tmp_path):
    for how in (
        UNTOLD,
        AUTO,
        Asking("Sé breve.", "\nNow!", {"number": "x"}, 96, Sampling(0.7, 20, 0.9, 0.05, ("\n\n", "end"))),
    ):
        asking.write(how, tmp_path)
        assert asking.read(tmp_path) == how


def test_a_directory_without_the_file_says_nothing(tmp_path):
    assert asking.read(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting"),
        ("[]", "no object"),
        ('{"sytem": "x"}', "sytem"),
        ('{"system": 5}', "must be text"),
        ('{"prompt_suffix": []}', "must be text"),
        ('{"instructions": {"number": 5}}', "texts by verifier"),
        ('{"max_tokens": -1}', "whole number"),
        ('{"max_tokens": true}', "whole number"),
        ('{"sampling": {"temperature": "hot"}}', "temperature"),
        ('{"sampling": {"temperature": NaN}}', "temperature"),
        ('{"sampling": {"top_p": 2}}', "top_p"),
        ('{"sampling": {"stop": [""]}}', "list of texts"),
        ('{"sampling": {"beams": 4}}', "sampling"),
        ("[" * 100_000, "recursion"),
        ('{"system": "' + "x" * 2**20 + '"}', "larger"),
    ],
)
def test_a_broken_file_is_a_message_with_file_and_cure(tmp_path, text, why):
    (tmp_path / asking.FILE).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=why) as error:
        asking.read(tmp_path)
    assert asking.FILE in str(error.value) and "delete it" in str(error.value)
