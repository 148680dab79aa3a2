"""Between two attempts: counts and scores by hand, credit by turn, steps and first errors, and what an attempt costs."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from sharpen import verify
from sharpen.core import Arm, Task, UserError, Verdict
from sharpen.tasks import step_chain
from sharpen.tasks.chain import task as chain
from sharpen.verify import steps, turns

TASK = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sum", 1, verifier="number")
EPISODES = [turns.Episode(e) for e in [(True, True)] * 5 + [(True, False)] + [(False, True)] * 2 + [(False, False)] * 2]


def test_the_four_ways_and_what_they_come_to():
    """Ten tasks: 6 right before, 7 after. CL = 5/6, CS = 2/4; the later accuracy is the two of them weighted. RSS = (0.7 -
    0.36) / (2 * 0.6 * 0.4)."""
    (flow,) = turns.between(EPISODES)
    assert (flow.kept, flow.spoilt, flow.mended, flow.stuck) == (5, 1, 2, 2)
    assert flow.confidence.value == 5 / 6 and flow.critique.value == 0.5 and flow.gain.value == pytest.approx(0.1)
    assert 0.6 * flow.confidence.value + 0.4 * flow.critique.value == pytest.approx(0.7)
    assert flow.relative == pytest.approx(0.34 / 0.48) and turns.mended_of_spoilt([flow]) == [0.5]
    assert [e.value for e in turns.curve(EPISODES)] == [0.6, 0.7]


def test_who_was_right_at_once_counts_in_every_later_turn():
    ended = [turns.Episode((True,)), turns.Episode((False, False, True))]
    assert [e.value for e in turns.curve(ended)] == [0.5, 0.5, 1.0]
    assert [(f.kept, f.stuck, f.mended) for f in turns.between(ended)] == [(1, 1, 0), (1, 0, 1)]


def test_nothing_is_said_of_what_nobody_knows():
    assert turns.episode({"passed": 1.0}) is None and turns.figures([]) == {} and turns.figures([turns.Episode((True,))]) == {}
    (all_right,) = turns.between([turns.Episode((True, True))])
    assert all_right.critique is None and all_right.relative is None and all_right.tokens_per_point is None


def test_friction_is_what_is_left_of_the_way():
    assert turns.friction([0.2, 0.6, 1.0]) == pytest.approx([1.0, 0.5, 0.0])
    assert turns.friction([0.2, 0.6], target=0.6) == pytest.approx([1.0, 0.0]) and turns.friction([1.0]) == [None]


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3 / 7), ("same", "same", 0), ("ab\U0001f600", "ab", 1 / 3)],
)
def test_edit_distance(a, b, distance):
    assert turns.edit_distance(a, b) == turns.edit_distance(b, a) == pytest.approx(distance)


def test_a_revision_that_repeats_the_attempt_is_a_copy_whatever_its_spacing():
    (flow,) = turns.between([turns.Episode((False, False), ("4  5", "4 5\n")), turns.Episode((False, True), ("4 5", "4 6"))])
    assert flow.copies.value == 0.5 and 0 < flow.distance < 1
    assert turns.repeats(("a", "b ", "b")) and not turns.repeats(("b", "b", "a")) and not turns.repeats(("a",))


def test_a_gain_has_its_price_in_tokens():
    made = [turns.Episode((False, True), tokens=(3, 30))] * 5 + [turns.Episode((True, True), tokens=(3, 10))] * 5
    assert turns.between(made)[0].tokens_per_point == pytest.approx(20 / 50)  # 20 tokens a task for 50 points


# Credit.


def credit(shape, *said):
    return verify.each_turn(TASK, said[-1], shape, turns=said).credit


def test_bonus_and_malus_stand_in_the_later_turn_alone():
    table = {("5", "5"): (0, 0), ("5", "4"): (0, 11), ("4", "5"): (1, -10), ("4", "4"): (1, 1)}
    assert all(credit(verify.improvement, *said) == worth for said, worth in table.items())
    total = {said: sum(worth) for said, worth in table.items()}  # (1 - alpha) r1 + (1 + alpha) r2
    assert all(total[a, b] == (1 - 10) * (a == "4") + (1 + 10) * (b == "4") for a, b in table)


def test_progress_adds_up_to_the_last_less_the_start():
    rewards = [0.2, 0.9, 0.4]
    assert sum(v - rewards[-1] for v in verify.progress(rewards, start=0.1)) == pytest.approx(0.4 - 0.1)


def test_a_provers_advantage_is_zero_for_idle_steps_and_ordinary_at_one():
    values = [0.3, 0.3, 0.5]
    found = verify.prover_advantage(values, k=1, start=0.1)
    assert found == pytest.approx([0.2, 0.0, 0.2])
    assert verify.prover_advantage(values, k=4, start=0.1)[1] == 0.0
    gains = [verify.prover_advantage([0.5], k=k, start=0.3)[0] for k in (1, 2, 3, 8)]
    assert gains[1] == max(gains)  # K* = 1.97


def test_checks_are_paid_for_being_true_and_explanations_for_what_follows():
    verdict = verify.each_turn(TASK, "4", kinds="ac", turns=("5", "wrong", "4", "that is wrong"))
    assert (
        verdict.correct
        and verdict.credit == (0, 1, 1, 0)
        and verdict.parts == {"turn 1": 0, "turn 2": 1, "check 1": 1, "check 2": 0}
    )
    assert verify.each_turn(TASK, "4", kinds="ae", turns=("5", "I forgot one.", "4")).credit == (0, 1, 1)
    assert verify.each_turn(TASK, "?", kinds="ac", turns=("4", "yes and no")).credit == (1, 0)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("It is right.", True),
        ("no mistakes", True),
        ("Wrong.", False),
        ("That is not right", None),
        ("hm", None),
        ("yes and no", None),
    ],
)
def test_what_a_check_says(text, means):
    assert verify.says_right(text) is means


def test_trying_again_is_paid_less_later_and_less_for_repeats():
    paid = {
        said: verify.tried_again(TASK, said[-1], turns=said).reward
        for said in (("4",), ("5", "4"), ("5", "5", "4"), ("5", "5"))
    }
    assert paid[("4",)] == 1.0 and paid[("5", "4")] == 0.5
    assert paid[("5", "5", "4")] == pytest.approx(0.25 - 0.1 / 3) and paid[("5", "5")] == pytest.approx(-0.05)


def test_a_turn_that_cannot_be_judged_makes_the_episode_unscorable():
    def lost(task, response):
        return Verdict("unscorable", None) if response == "?" else Verdict("correct", 1.0)

    assert verify.each_turn(TASK, "4", verifier=lost, turns=("?", "4")).outcome == "unscorable"


# Steps.


CHAIN = chain(7, [5, -9, 3])  # 2 3 6


def test_steps_of_a_chain_are_checked_one_by_one():
    assert CHAIN.solution == "2 3 6<answer>6</answer>"
    assert steps.checked(CHAIN, CHAIN.solution) == [True] * 3 and steps.first_error(CHAIN, CHAIN.solution) is None
    assert steps.checked(CHAIN, "2 4 7<answer>7</answer>") == [True, False, False]
    assert steps.checked(CHAIN, "2 4 7<answer>7</answer>", own=True) == [True, False, True]  # 7 follows from 4
    assert steps.first_error(CHAIN, "2 3 6 9<answer>9</answer>") == 3 and steps.checked(CHAIN, "x 3 6") == [False, True, True]
    text = "2 4 7<answer>7</answer>"
    assert text[: steps.error_end(CHAIN, text)] == "2 4" and steps.words_on(CHAIN, text) == "Step 2 is wrong: 4"


@pytest.mark.parametrize("level", range(1, 9))
def test_every_worked_chain_is_right_by_its_verifier_and_by_its_steps(level):
    task = step_chain().draw(Arm("step_chain", level), "train", level, 3)
    assert verify.verify(task, task.solution).correct and all(steps.checked(task, task.solution))
    assert len(steps.split(task.solution)) == level + 1 == len(task.data["chain"]) - 1
    assert step_chain().draw(Arm("step_chain", level), "train", level, 3) == task


def test_first_errors_of_independent_steps_are_where_they_should_be():
    """Steps that are wrong with probability e each: the first error is step i with probability e (1 - e)^i."""
    rng, e, n, seen = np.random.default_rng(0), 0.3, 4, []
    task = chain(0, [1] * n)
    for _ in range(3000):
        wrong = rng.random(n) < e
        seen.append(steps.first_error(task, " ".join(str(i + 1 + 10 * bool(w)) for i, w in enumerate(wrong))))
    found = [seen.count(i) / 3000 for i in (*range(n), None)]
    assert np.allclose(found, [*(e * (1 - e) ** i for i in range(n)), (1 - e) ** n], atol=0.03)


def test_a_family_with_a_worked_solution_is_checked_against_it():
    task = Task(TASK.prompt, "13", "chain_sum", 1, solution="4 13<answer>13</answer>")
    assert steps.checked(task, "4 14<answer>14</answer>") == [True, False]
    assert steps.checked(TASK, "4") is None and steps.first_error(TASK, "5") is None


def test_ways_to_cut():
    assert [s.text for s in steps.split("a = 1\nb = 2\nThe answer is 3", "lines")] == ["a = 1", "b = 2"]
    assert [s.text for s in steps.split("<step>one</step> and <step>two</step>", "tags")] == ["one", "two"]
    code = "x = 1\nfor i in range(3):\n    x += i\nprint(x)\n"
    assert [s.text.strip() for s in steps.split(code, "program")] == ["x = 1", "for i in range(3):", "x += i", "print(x)"]
    assert all(code[s.start : s.stop].startswith(s.text) for s in steps.split(code, "program"))
    assert [s.text for s in steps.split("x = (\n1", "program")] == ["x = (", "1"] and steps.split("") == []
    with pytest.raises(UserError, match="words"):
        steps.split("a", "word")


def test_siblings_are_next_steps_after_one_beginning():
    found = steps.siblings(["1 2 3<answer>3</answer>", "1 2 4<answer>4</answer>", "1 2 3<answer>3</answer>"])
    assert found == {("1", "2"): ["3", "4"]}
    assert steps.shared(steps.split("1 2 3"), steps.split("1 2 4 5")) == 2


def test_credit_is_a_functions_business_and_instructions_see_through_it():
    from sharpen.verify import INSTRUCTIONS, instructions_for

    assert instructions_for(partial(verify.each_turn, shape=verify.improvement)) is INSTRUCTIONS
    assert instructions_for(partial(verify.tried_again, gamma=0.9)) is INSTRUCTIONS


@pytest.mark.parametrize(
    ("said", "needed", "reward", "dummy"),
    [
        (["4"], 0, 1.0, 0.0),
        (["f()", "4"], 1, 0.9, 0.0),
        (["f()", "g()", "4"], 1, 0.8, 1.0),
        (["f()", "5"], 0, 0.0, 1.0),
        (["f()"] * 11 + ["4"], 1, 0.0, 10.0),  # never below a wrong answer
    ],
)
def test_a_call_has_its_price_and_is_a_dummy_where_it_is_not_needed(said, needed, reward, dummy):
    task = Task(TASK.prompt, "4", "sum", 1, verifier="number", data={"calls": needed})
    found = verify.counting_calls(task, said[-1], price=0.1, turns=said)
    assert found.reward == pytest.approx(reward) and found.correct == (said[-1] == "4")
    assert found.parts == {"calls": len(said) - 1.0, "dummy": dummy}
    assert verify.counting_calls(TASK, "4", turns=said).parts == {"calls": len(said) - 1.0}
