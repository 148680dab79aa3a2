"""A user whom a role plays: only it knows the wish, only the student's words are learnt from, and an answer is no question."""

import numpy as np

from sharpen import tasks, verify
from sharpen.core import Arm, Sampling, Task
from sharpen.data import make_batch
from sharpen.models import ScriptedPolicy
from sharpen.rollouts import drive, talking
from sharpen.rollouts.talking import customer

SOURCE = tasks.talks()


def talked(task, said, user=customer, **more):
    left, heard = iter(said), []

    def answers(messages):
        heard.append(messages)
        return user(messages)

    roles = {"user": ScriptedPolicy(answers)}
    rollout = lambda t: talking.talking(t, **more)  # noqa: E731
    (made,) = drive(
        ScriptedPolicy(lambda m: next(left)), rollout, [task], ["t"], seed=0, max_tokens=200, sampling=Sampling(), roles=roles
    )
    (sample,) = verify.judge([made], [0], verify.verify)
    return made, sample, heard


def test_the_user_answers_until_something_is_no_question():
    task = SOURCE.draw(Arm("customers", 2), "test", 0, 0)
    made, sample, heard = talked(task, task.data["solution"])
    assert sample.verdict.correct and made.turns == tuple(task.data["solution"])
    assert len(heard) == 2 and all(messages[0]["content"] == task.data["wish"] for messages in heard)
    assert task.data["wish"] not in bytes(made.tokens.astype(np.uint8)).decode()
    batch = make_batch([sample])
    assert bytes(batch.tokens[0][batch.mask[0] > 0].astype(np.uint8)).decode() == "".join(task.data["solution"])


def test_who_only_asks_or_guesses_is_not_right():
    task = SOURCE.draw(Arm("customers", 1), "test", 0, 0)
    made, sample, heard = talked(task, ["from?"] * 9, turns=3)
    assert len(made.turns) == 3 and len(heard) == 2 and not sample.verdict.correct
    assert not talked(task, ["Paris"])[1].verdict.correct


def test_customers_take_turns_and_no_two_splits_share_one():
    drawn = [[SOURCE.draw(Arm("customers", 3), split, i, 0) for i in range(40)] for split in ("train", "validation", "test")]
    assert {str(task.data["traits"]) for task in drawn[0]} == {"{}", *(str({name: 1.0}) for name in tasks.MANNERS)}
    wishes = [{(task.prompt[0]["content"], task.data["wish"]) for task in listed} for listed in drawn]
    assert not (wishes[0] & wishes[1] or wishes[0] & wishes[2] or wishes[1] & wishes[2])
    assert all(("hurry" in task.data["wish"]) == ("impatience" in task.data["traits"]) for task in drawn[0])


def test_a_task_without_a_wish_has_no_user():
    made, _, heard = talked(Task(({"role": "user", "content": "1 + 1"},), "2", "a", 1, verifier="exact"), ["2?"])
    assert made.turns == ("2?",) and not heard
