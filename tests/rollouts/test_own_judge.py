"""Rollouts in which a model judges itself, or runs its programs against its own tests: what is asked, chosen and learnt."""

from __future__ import annotations

import numpy as np
import pytest

from sharpen.core import PLAIN, Ask, Ran, Role, Run, Sample, Task, Turn, Verdict
from sharpen.data import judgements, make_batch
from sharpen.loop.learning import own_words
from sharpen.models import ScriptedPolicy
from sharpen.rollouts import best_by_own, co_evolved, conair, drive, ticked_again
from sharpen.rollouts.consistent import read_test
from sharpen.verify import pieces, self_judged

TASK = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1, "train", "number")
CODE = Task(
    ({"role": "user", "content": "Read n. Print n + 1."},), None, "programs", 1, "train", "code_io", {}, "print(int(input())+1)"
)
NOTHING = np.zeros(0)


def scripted(*said):
    left = list(said)
    return ScriptedPolicy(lambda messages: left.pop(0))


def once(rollout, student, judge=None, task=TASK):
    (made,) = drive(student, rollout, [task], ["a"], seed=0, max_tokens=500, sampling=PLAIN, roles={"judge": judge})
    return made


def test_the_answer_that_the_judge_likes_best_is_the_response_and_what_is_learnt_from():
    judge = scripted("Step 1: right\nVerdict: wrong", "lovely", "Step 1: right\nVerdict: right")
    made = once(lambda task: best_by_own(task, pieces.whole, k=3), scripted("3", "5", "4"), judge)
    assert made.response == "4" and made.stop == "end"
    assert bytes(made.tokens[made.sampled].astype(np.uint8)) == b"4" and len(made.others) == 3  # the judgements are kept


def test_of_equals_what_most_say_is_taken():
    judge = scripted(*["Step 1: right\nVerdict: right"] * 3)
    texts = ["<answer>5</answer>", "<answer>4</answer>", "<answer>4</answer>"]
    assert once(lambda task: best_by_own(task, pieces.whole, k=3), scripted(*texts), judge).response == texts[1]


def test_policy_and_reward_in_one_are_learnt_conversation_by_conversation():
    made = once(co_evolved, scripted("<answer>5</answer>", "<answer>4</answer>", "no", "B", "<answer>4</answer>"))
    verdict = self_judged.co_evolved(TASK, made.response, turns=made.turns)
    assert verdict.credit == (0.0, 1.0, 1.0, 1.0, 1.0) and verdict.parts["mended"] == 1.0
    batch = make_batch([Sample(made, verdict, 0)])
    assert len(batch) == 4 and batch.mask.sum() == sum(map(len, made.turns))  # the first answer stands before the mended one
    assert sorted(set(batch.turn[batch.turn >= 0].tolist())) == [0, 1, 2, 3, 4]
    held = Task(TASK.prompt, "4", "sums", 1, "test", "number")
    assert once(co_evolved, scripted("<answer>4</answer>"), task=held).turns == ("<answer>4</answer>",)
    right = once(co_evolved, scripted("<answer>4</answer>", "<answer>5</answer>", "yes", "A"))  # nothing to be mended
    assert self_judged.co_evolved(TASK, right.response, turns=right.turns).credit == (1.0, 0.0, 1.0, 1.0)
    assert len(make_batch([Sample(right, verdict, 0)])) == 4


def test_what_a_checklist_misses_is_told_and_nothing_else():
    judge = scripted("Is it a number?\nIs it even?", "yes", "no")
    heard = []

    def student(messages):
        heard.append(messages[-1]["content"])
        return "4"

    made = once(ticked_again, ScriptedPolicy(student), judge)
    assert len(made.turns) == 2 and "- Is it even?" in heard[1] and "number" not in heard[1]
    assert len(once(ticked_again, scripted("4"), scripted("no questions")).turns) == 1


def turn(text):
    return Turn(text, NOTHING.astype(np.int32), NOTHING > 0, NOTHING, "end")


def end(going, answer):
    with pytest.raises(StopIteration) as ended:
        going.send(answer)
    return ended.value.value


def test_a_few_questions_about_tests_find_the_right_program():
    """Two wrong programs and a wrong test agree; the task's own solution says that the test is wrong."""
    programs = ["print(int(input())+2)", "print(int(input())+2) # again", "print(int(input())+1)"]
    listed = ["INPUT:\n1\nOUTPUT:\n3", "INPUT: 1\nOUTPUT: 2", "no test"]
    assert [read_test(text) for text in listed] == [("1", "3"), ("1", "2"), None]
    going = conair(CODE, codes=3, tests=3, questions=1)
    asked = next(going)
    assert len(asked) == 6 and all(isinstance(event, Ask) for event in asked)
    runs = going.send([turn(text) for text in (*programs, *listed)])
    assert len(runs) == 6 and all(isinstance(event, Run) for event in runs)
    question = going.send([Ran("ok", out, "") for out in ("3", "3", "3", "3", "2", "2")])
    assert question.code == CODE.solution and question.stdin == "1"  # is the first test right?
    assert end(going, Ran("ok", "2", "")).text == programs[2]
    free = conair(CODE, codes=3, tests=3, questions=0)
    next(free)
    free.send([turn(text) for text in (*programs, *listed)])
    assert end(free, [Ran("ok", out, "") for out in ("3", "3", "3", "3", "2", "2")]).text == programs[0]  # CodeT


def test_a_program_that_fails_a_confirmed_test_is_repaired():
    """Both programs fail both tests, so nothing tells them apart; the second test is right."""
    going = conair(CODE, codes=2, tests=2, questions=3)
    next(going)
    going.send([turn(text) for text in ("print(1)", "print(2)", "INPUT: 4\nOUTPUT: 7", "INPUT: 4\nOUTPUT: 5")])
    question = going.send([Ran("ok", out, "") for out in ("1", "1", "2", "2")])
    assert isinstance(question, Run) and isinstance(going.send(Ran("ok", "5", "")), Run)
    event = going.send(Ran("ok", "5", ""))
    assert event.messages[0]["content"].startswith("On this input the program above is wrong:\n4\nIt should print:\n5")
    assert event.after.text == "print(1)"


def test_a_judge_learns_from_its_own_words():
    """Its conversations stand beside the rollout that it judged; the verdict says which were right."""
    spoken = drive(
        scripted("<answer>5</answer>"),
        judging,
        [TASK],
        ["a"],
        seed=0,
        max_tokens=50,
        sampling=PLAIN,
        roles={"judge": scripted("no", "yes")},
    )
    judged = [Sample(spoken[0], Verdict("wrong", 0.0), 0)]
    role = Role("judge", bound="start", objective=list, teach=judgements.rights)
    assert [(s.rollout.response, s.verdict.reward) for s in own_words(role, judged)] == [("no", 1.0), ("yes", 0.0)]
    assert own_words(Role("judge", bound="start", objective=list), judged) == []  # nothing in the verdict pays it


def judging(task):
    answer = yield Ask(task.prompt)
    yield [Ask(task.prompt, role="judge"), Ask(task.prompt, role="judge")]
    return answer
