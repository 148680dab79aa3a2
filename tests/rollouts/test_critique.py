"""Checks, critiques, programs with a check, searched steps, and tutors: by sends and scripted roles, without a model."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from sharpen import rollouts, verify
from sharpen.core import Arm, Ran, Run, Sampling, Task, Turn
from sharpen.models.scripted import ScriptedPolicy
from sharpen.rollouts import critique, tutoring
from sharpen.tasks import step_chain
from sharpen.tasks.chain import task as chain

TASK = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sum", 1, verifier="number", solution="2+2=4<answer>4</answer>")
OPTIONS = dict(seed=0, max_tokens=400, sampling=Sampling())


def said(text, stop="end"):
    return Turn(text, np.arange(3, dtype=np.int32), np.arange(3) > 0, np.zeros(3, np.float32), stop)


def drive(rollout, policy, listed=(TASK,), **more):
    return rollouts.drive(policy, rollout, list(listed), [f"r{i}" for i in range(len(listed))], **{**OPTIONS, **more})


def test_a_check_is_a_conversation_of_its_own_and_is_learnt_beside_the_answer():
    words = iter(["5", "It is wrong."])
    (made,) = drive(critique.checked, ScriptedPolicy(lambda m: next(words)))
    assert made.turns == ("5", "It is wrong.") and len(made.others) == 1 and not made.others[0].author
    assert [span.turn for turn in (*made.others, made) for span in turn.spans] == [0, 1]
    verdict = verify.each_turn(TASK, made.response, kinds="ac", turns=made.turns)
    assert verdict.outcome == "wrong" and verdict.credit == (0.0, 1.0)


def test_a_critique_alone_is_learnt_and_is_worth_what_revisions_come_to():
    words = iter(["5", "Add the second two.", "4", "4", "5", "4"])
    (made,) = drive(critique.critique, ScriptedPolicy(lambda m: next(words)))
    assert made.turns[1] == made.response == "Add the second two." and len(made.turns) == 7 and not made.others
    text = bytes(made.tokens[made.sampled].astype(np.uint8)).decode()
    assert text == "Add the second two."
    assert verify.caused(TASK, made.response, turns=made.turns).reward == 0.75


@pytest.mark.parametrize(("recall", "critics"), [(0.5, 1), (0.5, 3)])
def test_remarks_of_several_critics_find_the_union_of_what_each_finds(recall, critics):
    """K critics of recall c find 1 - (1 - c)^K of planted flaws; a judge that drops what is no flaw costs none of them."""
    rng, heard, n = np.random.default_rng(0), [], 300
    names = tuple(f"critic{i}" for i in range(critics))

    def critic(messages):
        return "flaw is there\nnonsense" if rng.random() < recall else "nonsense"

    def judge(messages):
        return "no" if '"nonsense"' in messages[-1]["content"] else "yes"

    def student(messages):
        heard.append(messages[-1]["content"])
        return "4"

    cast = {name: ScriptedPolicy(critic) for name in names} | {"judge": ScriptedPolicy(judge)}
    drive(partial(critique.meta_critique, critics=names), ScriptedPolicy(student), [TASK] * n, roles=cast)
    found = sum("flaw is there" in text for text in heard) / n
    assert found == pytest.approx(1 - (1 - recall) ** critics, abs=0.07) and not any("nonsense" in text for text in heard)


def test_rounds_of_program_output_and_check_end_when_the_check_is_content():
    attempt = critique.worked_by_program(TASK, rounds=2)
    next(attempt)
    run = attempt.send(said("```python\nprint(5)\n```"))
    assert isinstance(run, Run) and run.code.strip() == "print(5)"
    assert "5" in attempt.send(Ran("ok", "5\n", "")).messages[0]["content"]
    attempt.send(said("No."))
    assert attempt.send(said("print(4)")).code == "print(4)"
    attempt.send(Ran("crash", "", "boom"))
    with pytest.raises(StopIteration) as end:
        attempt.send(said("No."))  # out of rounds: data, not an error
    assert end.value.value.text == "No."


def test_half_of_the_training_tasks_are_corrections_and_all_that_are_held_out():
    source = step_chain()
    listed = [source.draw(Arm("step_chain", 2), split, i, 0) for split in ("train", "test") for i in range(40)]
    made = drive(critique.corrected_half, ScriptedPolicy(lambda m: "99"), listed)
    corrected = [len(m.turns) == 2 for m in made]
    assert 10 < sum(corrected[:40]) < 30 and all(corrected[40:])
    second = next(m for m in made if len(m.turns) == 2)
    assert int(second.sampled.sum()) == 2 and not second.others  # the second attempt alone is learnt from


@pytest.mark.parametrize("best", [True, False])
def test_steps_that_are_searched_are_right_as_often_as_they_should_be(best):
    """n independent steps, right with p, the best (worst) of E at each: (1 - (1-p)^E)^n, and p^(E n), are all right."""
    rng, p, width, n = np.random.default_rng(0), 0.5, 3, 3
    task = chain(0, [1] * n)

    solved, trials = 0, 150
    for _ in range(trials):
        generator, path = critique.pruned(task, width, best, most=n), []
        asks = next(generator)
        try:
            while True:
                path += [asks[0].after] if asks[0].after else []
                step = len(path) + 1
                ends = step == n
                numbers = [step if rng.random() < p else 9 for _ in asks]
                texts = [f"{k}<answer>{k}</answer>" if ends else f"{k}" for k in numbers]
                asks = generator.send([said(text, "end" if ends else "stop") for text in texts])
        except StopIteration as end:
            solved += [turn.text[0] for turn in (*path, end.value)] == [str(i + 1) for i in range(n)]
    expected = (1 - (1 - p) ** width) ** n if best else p ** (width * n)
    assert solved / trials == pytest.approx(expected, abs=0.1)


# Tutors.


def lesson_of(level=3, i=0):
    return step_chain().draw(Arm("step_chain", level), "train", i, 0)


def test_the_scripted_pupil_is_mended_by_hints_and_not_by_answers():
    tasks = [lesson_of(3, i) for i in range(40)]

    def success(hint):
        told = [f"{t.prompt[0]['content']}\nHint: {hint(t)}" for t in tasks]
        return np.mean([verify.verify(t, tutoring.pupil([{"content": text}])).correct for t, text in zip(tasks, told)])

    def named(task):
        return tutoring.right_record(task, tutoring.pupil(task.prompt))["text"]

    assert success(lambda t: "") == 0 and 0.25 < success(named) < 0.75
    assert success(lambda t: f"The answer is {t.answer}.") == 0


def test_a_tutor_that_gives_the_answer_away_loses_to_one_that_hints():
    tasks = [lesson_of(3, i) for i in range(24)]
    cast = {"pupil": ScriptedPolicy(tutoring.pupil)}

    def worth(words):
        made = drive(tutoring.tutor, ScriptedPolicy(words), tasks, roles=cast)
        with rollouts.judging(tutoring.helped, ScriptedPolicy(words), cast, 0, 60.0) as judges:
            return [s.verdict for s in judges.judge(made, range(len(made)))]

    def hinting(messages):
        question, answer = messages[-1]["content"].split("A pupil was asked:\n")[1].split("\nThe pupil answers:\n")
        task = next(t for t in tasks if t.prompt[0]["content"] == question)
        return tutoring.right_record(task, answer.split("\nHelp")[0])["text"]

    def leaking(messages):
        question = messages[-1]["content"].split("A pupil was asked:\n")[1].split("\nThe pupil")[0]
        return f"It is {next(t.answer for t in tasks if t.prompt[0]['content'] == question)}."

    hints, leaks = worth(hinting), worth(leaking)
    assert sum(v.reward for v in hints) > 4 > sum(v.reward for v in leaks) == 0
    assert all(v.parts["leak"] for v in leaks) and not any(v.parts["leak"] for v in hints)


def test_records_make_pairs_where_what_they_decide_differs():
    gold = {"evaluation": "wrong", "action": "hint", "state": "in progress", "text": "Step 2 is wrong."}
    words = [
        ("no JSON", True),
        (json.dumps({k: v for k, v in gold.items() if k != "state"}), True),
        (json.dumps({**gold, "evaluation": "right"}), True),
        (json.dumps({**gold, "text": "Other words."}), False),
        (json.dumps(gold), False),
        ("[" * 100_000, True),
    ]
    assert [tutoring.differs(gold, text) for text, _ in words] == [pair for _, pair in words]


def test_lessons_show_right_records_in_training_and_ask_for_them_elsewhere():
    cast = {"pupil": ScriptedPolicy(tutoring.pupil)}
    (shown,) = drive(tutoring.lesson, ScriptedPolicy(lambda m: "own words"), [lesson_of()], roles=cast)
    assert all(tutoring.record_in(text) for text in shown.turns) and 1 <= len(shown.turns) <= 3
    held_out = step_chain().draw(Arm("step_chain", 3), "test", 0, 0)
    (asked,) = drive(tutoring.lesson, ScriptedPolicy(lambda m: "own words"), [held_out], roles=cast)
    assert asked.turns[0] == "own words"
