"""Rollouts as generators: three sends and no model; and the driver that batches what they ask."""

from __future__ import annotations

import numpy as np
import pytest

from sharpen import rollouts
from sharpen.core import Ask, Sampling, Task, Turn, UserError, Verdict
from sharpen.models.scripted import ScriptedPolicy
from sharpen.rollouts import rollout
from sharpen.verify import judge

TASK = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sum", 1, solution="2 + 2 is <answer>4</answer>")
OPTIONS = dict(seed=0, max_tokens=50, sampling=Sampling())


def turn(text: str) -> Turn:
    return Turn(text, np.arange(3, dtype=np.int32), np.array([False, True, True]), np.zeros(3, np.float32), "end")


def finish(generator, answer: Turn) -> Turn:
    with pytest.raises(StopIteration) as end:
        generator.send(answer)
    return end.value.value


def test_single_asks_once():
    attempt = rollout.single(TASK)
    assert next(attempt) == Ask(TASK.prompt)
    assert finish(attempt, turn("4")).text == "4"


def test_self_correct_shows_the_first_attempt_to_the_second():
    attempt = rollout.self_correct(TASK, again="Sure?")
    next(attempt)
    first = turn("5")
    second = attempt.send(first)
    assert second.after is first and second.messages == ({"role": "user", "content": "Sure?"},)
    assert finish(attempt, turn("4")).text == "4"


def test_demonstrate_forces_the_solution_and_falls_back_to_the_answer():
    assert next(rollout.demonstrate(TASK)).answer == TASK.solution
    assert next(rollout.demonstrate(Task(TASK.prompt, "4", "sum", 1))).answer == "4"
    with pytest.raises(UserError, match="neither"):
        next(rollout.demonstrate(Task(TASK.prompt, None, "sum", 1)))


def test_system_message_comes_first():
    assert next(rollout.single(TASK, system="Be brief.")).messages == ({"role": "system", "content": "Be brief."}, *TASK.prompt)


def test_drive_batches_rollouts_of_different_length():
    sizes = []

    class Counting(ScriptedPolicy):
        def respond(self, asks, *rest):
            sizes.append(len(asks))
            return super().respond(asks, *rest)

    def mixed(task: Task):
        return rollout.single(task) if task.level == 1 else rollout.self_correct(task)

    tasks = [Task(TASK.prompt, "4", "sum", 1 + i % 2) for i in range(6)]
    policy = Counting(lambda messages: "4" if "Check" in messages[-1]["content"] else "5")
    made = rollouts.drive(policy, mixed, tasks, [str(i) for i in range(6)], **OPTIONS)
    assert sizes == [6, 3]
    assert [r.turns for r in made] == [("5",), ("5", "4")] * 3
    assert [r.response for r in made] == ["5", "4"] * 3


def test_a_tree_level_is_a_list_of_asks():
    def best_of_three(task: Task):
        turns = yield [Ask(task.prompt)] * 3
        return max(turns, key=lambda t: t.text)

    answers = iter("174")
    made = rollouts.drive(ScriptedPolicy(lambda m: next(answers)), best_of_three, [TASK], ["a"], **OPTIONS)
    assert made[0].turns == ("1", "7", "4", "7") and made[0].response == "7"  # what was chosen is what is judged
    assert bytes(made[0].tokens[made[0].sampled].astype(np.uint8)) == b"7"


def test_a_rollout_that_raises_costs_only_itself_and_is_unscorable():
    def fragile(task: Task):
        answer = yield Ask(task.prompt)
        if task.level == 2:
            raise ZeroDivisionError("the environment fell over")
        return answer

    tasks = [Task(TASK.prompt, "4", "sum", level) for level in (1, 2, 1)]
    made = rollouts.drive(ScriptedPolicy(lambda m: "4"), fragile, tasks, ["a", "b", "c"], **OPTIONS)
    samples = judge(made, [0, 1, 2], lambda task, response: Verdict("correct", 1.0))
    assert [s.verdict.outcome for s in samples] == ["correct", "unscorable", "correct"]
    assert "the environment fell over" in samples[1].verdict.feedback


def test_a_users_mistake_is_not_swallowed():
    with pytest.raises(UserError):
        rollouts.drive(ScriptedPolicy(lambda m: ""), rollout.demonstrate, [Task(TASK.prompt, None, "s", 1)], ["a"], **OPTIONS)


def asks_for_nothing_once(task: Task):
    assert (yield []) == []
    turn = yield Ask(task.prompt)
    return turn


def test_a_list_of_no_asks_is_answered_at_once_and_finished_rollouts_are_handed_over():
    seen = []
    policy = ScriptedPolicy(lambda messages: "x")
    made = rollouts.drive(
        policy, asks_for_nothing_once, [TASK, TASK], ["a", "b"], **OPTIONS, finished=lambda i, r: seen.append((i, r.id))
    )
    assert [r.response for r in made] == ["x", "x"] and seen == [(0, "a"), (1, "b")]
