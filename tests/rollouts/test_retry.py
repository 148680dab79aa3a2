"""Attempt, feedback, attempt: curves that are known exactly, feedback of every kind, critics that are bad by design, ends."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from sharpen import rollouts, tasks, verify
from sharpen.core import Act, Ask, Failed, Observation, Ran, Run, Sampling, Task, Turn, UserError
from sharpen.models import embedded
from sharpen.models.scripted import ScriptedPolicy
from sharpen.rollouts import feedback
from sharpen.verify import turns

TASK = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sum", 1, verifier="number", solution="2 + 2 = 4<answer>4</answer>")
OPTIONS = dict(seed=0, max_tokens=200, sampling=Sampling())


def said(text: str, tokens: int = 3) -> Turn:
    return Turn(text, np.arange(tokens, dtype=np.int32), np.arange(tokens) > 0, np.zeros(tokens, np.float32), "end")


def drive(rollout, policy, listed=(TASK,), **more):
    ids = [f"r{i}" for i in range(len(listed))]
    return rollouts.drive(policy, rollout, list(listed), ids, **{**OPTIONS, **more})


def curve(policy, rollout, n, options):
    """Accuracy by turn of n tasks, whose answers are spread evenly over the options."""
    listed = [
        Task(({"role": "user", "content": f"guess {i}"},), str(i % options), "guess", 1, verifier="number") for i in range(n)
    ]
    judge = partial(verify.each_turn)
    found = [judge(made.task, made.response, turns=made.turns) for made in drive(rollout, policy, listed)]
    return [e.value for e in turns.curve([turns.episode(v.parts) for v in found])]


def test_the_curve_of_independent_tries():
    """A guesser that does not listen: 1 - (1 - 1/M)^k, here to two points on 4,000 tasks."""
    rng = np.random.default_rng(0)
    guesser = ScriptedPolicy(lambda messages: str(rng.integers(5)))
    found = curve(guesser, partial(rollouts.retry, attempts=4, until_right=True), 4000, 5)
    assert np.allclose(found, turns.independent(1 / 5, 4), atol=0.02)


def test_the_curve_of_never_repeating_a_mistake():
    """A guesser that counts up: k/M exactly. Feedback that says no more than "wrong" cannot do better."""

    class Counting(ScriptedPolicy):
        def respond(self, asks, *rest):
            self.count = getattr(self, "count", -1) + 1  # one round of the driver asks all rollouts
            return super().respond(asks, *rest)

    counting = Counting(lambda messages: str(counting.count))
    found = curve(counting, partial(rollouts.retry, attempts=5, until_right=True), 50, 5)
    assert np.allclose(found, turns.never_twice(5, 5)) and found[-1] == 1.0
    assert all(a < b for a, b in zip(turns.independent(0.2, 5)[1:], turns.never_twice(5, 5)[1:]))


def test_rejecting_answers_that_were_given_makes_the_second_curve_of_the_first():
    rng = np.random.default_rng(1)
    guesser = ScriptedPolicy(lambda messages: str(rng.integers(4)))
    asked = partial(rollouts.untried, feedback=feedback.verdict, attempts=4, draws=24)
    listed = [Task(({"role": "user", "content": f"guess {i}"},), str(i % 4), "guess", 1, verifier="number") for i in range(300)]
    found = [verify.each_turn(m.task, m.response, draws=24, turns=m.turns) for m in drive(asked, guesser, listed)]
    by_turn = [e.value for e in turns.curve([turns.episode(v.parts) for v in found])]
    assert np.allclose(by_turn, turns.never_twice(4, 4), atol=0.06) and by_turn[-1] == 1.0


def test_three_sends_and_no_model():
    attempt = rollouts.retry(TASK, attempts=3)
    assert next(attempt) == Ask(TASK.prompt)
    first = said("5")
    second = attempt.send(first)
    assert second.after is first and second.messages[0]["content"] == feedback.AGAIN
    attempt.send(said("6"))
    with pytest.raises(StopIteration) as end:
        attempt.send(said("7"))
    assert end.value.value.text == "7"


@pytest.mark.parametrize(
    ("how", "answers", "left"),
    [
        (dict(until_right=True), "54", 2),  # the second is right
        (dict(until_same=True), "566", 3),  # the third changes nothing
        (dict(attempts=3), "567", 3),
        (dict(feedback=feedback.verdict), "4", 1),  # a right one has nothing said to it
        (dict(context=3), "5", 1),  # three tokens are three
    ],
)
def test_what_ends_an_episode(how, answers, left):
    words = iter(answers)
    counted = ScriptedPolicy(lambda messages: next(words))
    attempt = partial(rollouts.retry, **{"attempts": 9, **how})
    if "context" in how:
        generator = attempt(TASK)
        next(generator)
        with pytest.raises(StopIteration):
            generator.send(said("5", 3))
        return
    (made,) = drive(attempt, counted)
    assert made.turns == tuple(answers) and len(made.turns) == left and made.stop == "end"


def test_an_endless_argument_ends_at_the_limit_of_turns_and_is_no_error():
    (made,) = drive(
        partial(rollouts.retry, feedback=feedback.critic, attempts=6),
        ScriptedPolicy(lambda m: "5"),
        roles={"critic": ScriptedPolicy(lambda m: "That is wrong.")},
    )
    assert made.turns == ("5",) * 6 and made.stop == "end"
    verdict = verify.each_turn(TASK, made.response, turns=made.turns)
    assert verdict.outcome == "wrong" and turns.between([turns.episode(verdict.parts, made.turns)])[0].copies.value == 1.0


def test_a_window_tells_the_last_attempts_anew_and_learns_from_all_of_them():
    words = iter("56784")
    (made,) = drive(partial(rollouts.retry, attempts=5, window=2), ScriptedPolicy(lambda m: next(words)))
    assert made.turns == tuple("56784") and len(made.others) == 4
    last = bytes(made.tokens.astype(np.uint8)).decode()
    assert "7" in last and "8" in last and "5" not in last and "6" not in last  # two of the four before it
    assert [span.turn for turn in (*made.others, made) for span in turn.spans] == [0, 1, 2, 3, 4]


def test_feedback_that_is_too_long_is_cut_in_the_middle_and_says_so():
    heard = []
    policy = ScriptedPolicy(lambda m: heard.append(m[-1]["content"]) or "5")
    longest = "A" * 3000 + "Z" * 3000
    drive(
        partial(rollouts.retry, feedback=feedback.critic, longest=100),
        policy,
        roles={"critic": ScriptedPolicy(lambda m: longest)},
    )
    assert heard[1].startswith("AAA") and "characters left out]" in heard[1] and heard[1].endswith(feedback.AGAIN)
    assert len(heard[1]) < 200


def test_a_critic_that_agrees_with_everything_changes_nothing():
    listed = [Task(TASK.prompt, str(i), "sum", 1, verifier="number") for i in (4, 5)]
    agreeing = ScriptedPolicy(lambda m: "The answer is right.")
    made = drive(
        partial(rollouts.retry, feedback=feedback.critic, attempts=4),
        ScriptedPolicy(lambda m: "4"),
        listed,
        roles={"critic": agreeing},
    )
    assert [m.turns for m in made] == [("4",), ("4",)]


def test_a_critic_that_is_wrong_by_design_is_seen_in_what_it_spoils():
    """The student obeys: what is right it changes, what is wrong it keeps. Its honest twin does the opposite."""
    listed = [Task(({"role": "user", "content": f"{i}?"},), str(i % 2), "flip", 1, verifier="number") for i in range(40)]

    def obeying(messages):
        text = messages[-1]["content"]
        return "0" if "?" in text else "1" if "wrong" in text else "0"

    def contrary(messages, honest):
        material = json.loads(messages[-1]["content"].split("BEGIN\n")[1].split("\nEND")[0])
        right = int(material["question"][0]["content"][:-1]) % 2 == int(material["answer"])
        return "right" if right == honest else "wrong"

    def flow(honest):
        critic = ScriptedPolicy(partial(contrary, honest=honest))
        made = drive(
            partial(rollouts.retry, feedback=partial(feedback.critic, until_right=False)),
            ScriptedPolicy(obeying),
            listed,
            roles={"critic": critic},
        )
        seen = [verify.each_turn(m.task, m.response, turns=m.turns) for m in made]
        return turns.between([turns.episode(v.parts) for v in seen])[0]

    assert (flow(False).spoilt, flow(False).mended) == (20, 0) and (flow(True).spoilt, flow(True).mended) == (0, 20)


def copier(messages):
    """Says the last number that it was told."""
    numbers = feedback.NUMBER.findall(str(messages[-1]["content"]))
    return numbers[-1] if numbers else "0"


@pytest.mark.parametrize(("masked", "right"), [(True, 0), (False, 24)])
def test_a_critic_that_quotes_the_answer_is_masked(masked, right):
    """Who copies the last number of the feedback must be no better than chance; without the mask it is always right."""
    listed = [tasks.step_chain().draw(tasks.step_chain().arms[3], "train", i, 0) for i in range(24)]
    quoting = ScriptedPolicy(
        lambda m: f"Wrong: {json.loads(m[-1]['content'].split('BEGIN' + chr(10))[1].split(chr(10) + 'END')[0])['reference']}"
    )
    how = partial(feedback.critic, reference=True, masked=masked, until_right=False, again="")
    made = drive(partial(rollouts.retry, feedback=how), ScriptedPolicy(copier), listed, roles={"critic": quoting})
    first = [verify.verify(m.task, m.turns[0]).correct for m in made]
    second = [verify.verify(m.task, m.turns[1]).correct for m in made]
    assert sum(second) == right + (0 if not masked else sum(s for s, f in zip(second, first)))
    if masked:
        assert sum(second) <= 7  # one number in ten is right by chance


def test_masking_leaves_other_numbers_alone():
    task = Task(({"role": "user", "content": "3 + 4 = ?"},), "7", "sum", 1, verifier="number", solution="3+4=7")
    assert feedback.without_answer(task, "You said 77, not 7. 3 and 4 make 7.0; 0.7 is none") == (
        "You said 77, not [masked]. 3 and 4 make 7.0; 0.7 is none"
    )


def test_the_verifiers_words_and_the_first_wrong_step():
    chain = tasks.step_chain().draw(tasks.step_chain().arms[2], "train", 0, 0)
    *states, _ = chain.solution.split("<")[0].split()
    wrong = " ".join([*states[:1], "99"])
    heard = []
    policy = ScriptedPolicy(lambda m: heard.append(m[-1]["content"]) or wrong)
    drive(partial(rollouts.retry, feedback=feedback.first_error), policy, [chain])
    assert heard[1] == f"Step 2 is wrong: 99 {feedback.AGAIN}" and chain.answer not in heard[1].split()
    heard.clear()
    drive(partial(rollouts.retry, feedback=feedback.verdict), policy, [TASK])
    assert "4" not in heard[1]


@pytest.mark.parametrize("name", ["verdict", "first_error", "execution"])
def test_a_right_attempt_may_be_told_that_it_is_so_that_it_can_be_spoilt(name):
    for until_right, words in ((True, None), (False, f"{feedback.RIGHT} {feedback.AGAIN}")):
        given = feedback.named(name, until_right=until_right)
        assert rollouts.words_on(TASK, TASK.solution, given) == words
    assert rollouts.words_on(TASK, "5", given) not in (None, words)
    assert feedback.named("unary", until_right=False) is feedback.unary  # which says the same of all


def test_a_feedback_that_there_is_not_is_named_with_its_like():
    with pytest.raises(UserError, match="first_eror.*first_error"):
        feedback.named("first_eror")


CODE = Task(
    ({"role": "user", "content": "Add the two numbers."},),
    None,
    "add",
    1,
    verifier="code_io",
    data={"language": "python", "tests": [{"stdin": "1 2", "stdout": "3"}, {"stdin": "5 5", "stdout": "10"}]},
)


def test_what_a_program_printed_is_told_and_other_cases_are_not():
    attempt = rollouts.retry(CODE, feedback=feedback.execution)
    next(attempt)
    asked = attempt.send(said("print(12)"))
    assert isinstance(asked, Act) and isinstance(asked.environment, feedback.Checker)
    run = attempt.send(Observation(json.dumps(["wrong", 0.0, "Case 1 of 2: wrong answer."]), True))
    assert isinstance(run, Run) and run.code == "print(12)" and run.stdin == "1 2"
    ask = attempt.send(Ran("ok", "12\n", ""))
    assert ask.messages[0]["content"] == f"For the input '1 2' it prints '12' instead of '3'. {feedback.AGAIN}"
    with pytest.raises(StopIteration):
        attempt.send(said("x"))
    other = rollouts.retry(CODE, feedback=feedback.execution)
    next(other)
    other.send(said("boom"))
    other.send(Observation(json.dumps(["crash", 0.0, ""]), True))
    assert other.send(Ran("crash", "", "NameError: boom")).messages[0]["content"].startswith("crash: NameError")


def test_the_own_critique_is_a_turn_of_the_same_conversation():
    attempt = rollouts.retry(TASK, feedback=partial(feedback.own_critique, until_right=True), attempts=3)
    next(attempt)
    first = said("5")
    critique = attempt.send(first)
    assert critique.after is first and "right" in critique.messages[0]["content"]
    found = said("It is wrong.")
    assert attempt.send(found).after is found
    attempt.send(said("4"))
    over = said("That is right.")
    with pytest.raises(StopIteration) as end:
        attempt.send(over)
    assert end.value.value is over  # learnt from, so it is the last of the conversation
    verdict = verify.each_turn(TASK, over.text, kinds="ac", turns=("5", "It is wrong.", "4", "That is right."))
    assert verdict.correct and verdict.credit == (0.0, 1.0, 1.0, 1.0) and verdict.parts["check 2"] == 1.0


def test_a_checklist_says_what_failed_and_a_judge_that_contradicts_itself_fails_nobody():
    def judge(messages):
        text = messages[-1]["content"]
        if text.startswith("Write"):
            return "1. Is it a number?\n2. Is it even?\n3. Is it short?"
        return "No." if "even" in text else "Yes and no." if "short" in text else "Yes."

    heard = []
    policy = ScriptedPolicy(lambda m: heard.append(m[-1]["content"]) or "5")
    drive(partial(rollouts.retry, feedback=feedback.checklist), policy, roles={"judge": ScriptedPolicy(judge)})
    assert heard[1] == f"Not yet: Is it even? {feedback.AGAIN}"
    happy = ScriptedPolicy(lambda m: "Is it?" if m[-1]["content"].startswith("Write") else "Yes.")
    (made,) = drive(partial(rollouts.retry, feedback=feedback.checklist), policy, roles={"judge": happy})
    assert len(made.turns) == 1


def test_a_person_who_does_not_answer_ends_the_episode():
    attempt = rollouts.retry(TASK, feedback=feedback.person)
    next(attempt)
    assert attempt.send(said("5")).role == "person"
    with pytest.raises(StopIteration) as end:
        attempt.throw(Failed("nobody typed anything within 60 s"))
    assert end.value.value.text == "5"


def test_rethinking_goes_on_while_it_finds_a_mistake():
    words = iter(["5", "yes", "4", "no"])
    (made,) = drive(partial(rollouts.rethink, rounds=3), ScriptedPolicy(lambda m: next(words)))
    assert made.turns == ("5", "yes", "4", "no")
    assert verify.each_turn(TASK, made.response, kinds="ac", turns=made.turns).correct


def test_every_feedback_is_listed_by_its_name():
    assert set(feedback.FEEDBACK) == {
        "unary",
        "verdict",
        "first_error",
        "execution",
        "critic",
        "own_critique",
        "explained",
        "checklist",
        "person",
    }


CHAINS = [tasks.step_chain().draw(tasks.step_chain().arms[2], "train", i, 0) for i in range(160)]


@pytest.mark.parametrize(
    "way",
    [
        rollouts.self_correct,
        rollouts.retry,
        partial(rollouts.retry, feedback=feedback.first_error, attempts=4),
        partial(rollouts.retry, feedback=feedback.named("first_error", until_right=False)),
    ],
)
def test_a_warm_up_shows_right_attempts_left_alone_and_wrong_ones_mended(way):
    """What is learnt is right, and no error among it; most are shown alone, and a verdict that says nothing ends it there."""
    kinds = []
    for task in CHAINS:
        steps = rollouts.demonstrating(way)(task)
        first = next(steps)
        assert first.answer == task.solution
        if len(first.messages) == 3:
            wrong = first.messages[1]["content"]
            assert verify.verify(task, wrong).outcome == "wrong" and first.messages[2]["role"] == "user"
            kinds.append("mended")
        else:
            second = None
            try:
                second = steps.send(said(task.solution))
            except StopIteration:
                kinds.append("alone")
            if second is not None:
                assert second.answer == task.solution and second.after is not None
                kinds.append("kept")
    assert set(kinds) <= {"mended", "kept", "alone"} and kinds.count("alone") > 100 and 10 < kinds.count("mended") < 30
    ends = isinstance(way, partial) and not isinstance(way.keywords["feedback"], partial)
    assert (kinds.count("kept") > 10) is not ends
    steps = rollouts.demonstrating(way)(CHAINS[0])
    assert next(steps) == next(rollouts.demonstrating(way)(CHAINS[0]))  # the same every time


def test_what_would_ask_a_model_between_attempts_is_not_shown():
    for given in (feedback.critic, feedback.own_critique, feedback.checklist):
        for task in CHAINS[:8]:
            steps = rollouts.demonstrating(partial(rollouts.retry, feedback=given))(task)
            assert len(next(steps).messages) == 1
            with pytest.raises(StopIteration):
                steps.send(said(task.solution))


def test_what_is_always_said_between_attempts_is_a_token_of_an_embedded_student():
    assert rollouts.phrases(rollouts.single) == []
    assert rollouts.phrases(partial(rollouts.self_correct, again="Sure?")) == ["Sure?"]
    assert rollouts.phrases(rollouts.retry) == [feedback.AGAIN]
    assert rollouts.phrases(partial(rollouts.retry, feedback=feedback.own_critique)) == [feedback.OWN, feedback.AGAIN]
    step = rollouts.phrases(partial(rollouts.retry, feedback=feedback.first_error))
    assert step == ["Step ", " is wrong: ", feedback.RIGHT, feedback.AGAIN]
    _, plain = embedded.build("micro", tasks.step_chain(), 0)
    _, told = embedded.build("micro", tasks.step_chain(), 0, ["Sure?"])
    assert len(told) == len(plain) + 1 and len(told("Sure?").input_ids) == 1
