"""The pieces of a growing loop, on noisy roles with known error rates (testbed D): each attack with its honest twin."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest

from sharpen.core import Arm, ArmStats, Ask, Failed, Refused, Repair, Sample, Task, Weakness
from sharpen.data import clusters, diagnose, fidelity, growth, label, noisy, propose, relabel, repair, screen, worth, writing
from sharpen.data.diagnose import Given
from sharpen.guard import doctor
from sharpen.models import ScriptedPolicy
from sharpen.recipes import growing
from sharpen.rollouts import perform

SOURCE = noisy.sums(3)
MEASURED = [SOURCE.draw(arm, split, i, 0) for arm in SOURCE.arms for split in ("validation", "test") for i in range(40)]


def given(seen: list[Sample] | None = None, **more) -> Given:
    samples = growing.round_of(growing.tasks()) if seen is None else seen
    failed = [s for s in samples if not s.verdict.correct]
    return Given(failed, samples, SOURCE.arms, np.random.default_rng(0), SOURCE, **more)


def played(generator, **roles):
    """What a piece returns; each role a function of messages, who is "student" included."""
    return growing.driven(generator, lambda ask: roles[ask.role or "student"](ask.messages))[0]


def sums(n: int, wrong: float = 0.0) -> list[Task]:
    """Proposed sums, of which every 1 / wrong-th claims a wrong answer."""
    drawn = [SOURCE.draw(SOURCE.arms[1], "train", i, 5) for i in range(n)]
    bad = {round(i / wrong) for i in range(round(n * wrong))} if wrong else set()
    return [dataclasses.replace(t, answer=str(int(t.answer) + 7)) if i in bad else t for i, t in enumerate(drawn)]


def kinds(found) -> tuple[int, int]:
    """(tasks whose labels are true, tasks whose labels are false)."""
    true = [growing.true(t) for t in growing.of(Task, found)]
    return true.count(True), true.count(False)


# Diagnose


def test_a_skill_is_named_only_where_its_failures_are_beyond_chance():
    weak = growing.of(Weakness, played(diagnose.by_skill(given())))
    assert [(w.name, w.failed, w.n) for w in weak] == [("chain_sum/3", 15, 16), ("chain_sum/2", 8, 16)]
    assert all(w.low < w.rate < w.high and all(not s.verdict.correct for s in w.samples) for w in weak)


def test_of_too_few_answers_nothing_is_named_and_that_is_said():
    few = growing.round_of(growing.tasks()[8:10])  # eight answers, all wrong
    for piece in (diagnose.by_skill, diagnose.by_cluster, diagnose.by_error, diagnose.everything):
        found = played(piece(given(few)))
        assert not growing.of(Weakness, found) and [r.reason for r in found] == [diagnose.TOO_FEW], piece
    assert played(diagnose.by_skill(given([]))) == []  # no failures left to learn from


def test_arms_that_never_come_to_half_and_do_not_rise_are_weak():
    """SwS: of planted arms those that are never solved count too, and one that rises does not."""
    rates = {"never": [0, 0, 0], "stuck": [2, 2, 1], "rises": [0, 1, 2], "able": [4, 5, 2]}
    history = {Arm(n, 1): [ArmStats(i, Arm(n, 1), 5, k, 0.0, 0) for i, k in enumerate(ks)] for n, ks in rates.items()}
    one = growing.round_of(growing.tasks())[-1]
    seen = [
        dataclasses.replace(
            one, rollout=dataclasses.replace(one.rollout, task=dataclasses.replace(one.rollout.task, family=n, level=1))
        )
        for n in rates
    ]
    found = played(diagnose.never_learnt(given(seen, history=history)))
    assert [w.name for w in growing.of(Weakness, found)] == ["never/1", "stuck/1"]


def test_clusters_of_failures_are_found_as_often_as_they_are_there():
    texts = [f"Sort the numbers {i}, {i + 3} and {i + 1} in ascending order" for i in range(12)]
    texts += [f"Spell the word w{'abcdefghijkl'[i]} backward, letter by letter" for i in range(12)]
    texts += [f"A train leaves at {i} o'clock and arrives later: how long does it take" for i in range(12)]
    labels, steady = clusters.repeatable(clusters.embed(texts), 6, np.random.default_rng(0))
    assert [len(set(labels[i : i + 12])) for i in (0, 12, 24)] == [1, 1, 1] and len(set(labels)) >= 3 and steady >= 0.8
    assert clusters.agreement(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])) == 1.0
    assert (
        abs(clusters.agreement(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) + 0.5) < 1e-9
    )  # by hand: (0 - 2/3) / (2 - 2/3)
    alike = ["What is it?"] * 8
    assert clusters.repeatable(clusters.embed(alike), 6, np.random.default_rng(0)) == ([0] * 8, 1.0)


def test_the_first_wrong_step_and_the_kind_of_error():
    assert diagnose.first_error("7 16 13<answer>13</answer>", "7 15 12<answer>12</answer>") == 2
    assert diagnose.first_error("7 16<answer>16</answer>", "7 16<answer>16</answer>") == 4
    assert diagnose.slope([0.1, 0.2, 0.3]) == pytest.approx(0.1) and diagnose.slope([0.4]) == 0
    samples = [s for s in growing.round_of(growing.tasks()) if not s.verdict.correct]
    assert {diagnose.error(s) for s in samples} <= {"wrong in 1 of its places", "wrong in 2 of its places", "wrong"}


# Propose


def test_what_is_asked_for_follows_the_weights_to_within_one():
    weak = [
        Weakness(n, "skill", k, 100, 0, 1, tuple(growing.round_of(growing.tasks())[:4]))
        for n, k in (("a", 64), ("b", 25), ("c", 1))
    ]
    counts = [
        [w.name for w in writing.quota(weak, 140, by, np.random.default_rng(0))].count(n) for by in (worth.root,) for n in "abc"
    ]
    assert counts == [80, 50, 10]  # sqrt of 0.64, 0.25 and 0.01
    assert writing.quota(weak, 10, lambda s: 0.0, np.random.default_rng(0)) == []


def test_a_proposer_that_is_not_shown_the_failure_is_an_error():
    sample = given().failed[0]
    with pytest.raises(ValueError, match="not shown the failure"):
        writing.ask_for(({"role": "user", "content": "Write a problem."},), sample, "proposer")
    found, asks = growing.driven(propose.rewrite(given(), played(diagnose.by_skill(given())), 8), growing.teacher())
    assert len(asks) == 8 and all(
        any(diagnose.question_of(s.rollout.task) in a.messages[0]["content"] for s in given().failed) for a in asks
    )
    assert all(t.parents and t.operator and t.split == "train" and t.family == "chain_sum_like" for t in found)


def test_syllabus_cells_are_as_many_as_the_formula_says():
    """One session of five concepts: 31 draws; two of five each, both of which contribute: 575 (GLAN)."""
    rng = np.random.default_rng(0)
    one = {frozenset(writing.cell([("s", list("abcde"))], rng, 5)[1]) for _ in range(800)}
    assert len(one) == 31
    two = [("s", list("abcde")), ("t", list("fghij"))]
    drawn = {frozenset(c) for names, c in (writing.cell(two, rng, 5) for _ in range(3000)) if len(names) == 2}
    assert all(c & set("abcde") and c & set("fghij") and len(c) <= 5 for c in drawn) and 300 < len(drawn) <= 575


def test_twins_keep_meaning_and_length_and_no_private_word():
    originals = [f"Last week Ann bought {i} red apples in Rome." for i in range(10, 16)]
    twins = [f"Last week Ben bought {i + 20} red apples in Bonn." for i in range(10, 16)]
    found = fidelity.fidelity(originals, twins, [(i, i + 1) for i in range(6)])
    assert found.leaks == 0 and found.meaning > 0.5 and found.marks == pytest.approx(1.0) and found.lengths is None
    assert fidelity.fidelity(originals, originals).leaks == 6


# Label


def test_a_majority_labels_disputes_and_leaves_undecided():
    """A solver that is right in 70 % of the tries: 4 of 8 by a margin of 2 confirm nearly all true labels, and no false one."""
    found = played(label.by_majority(given(), sums(60, wrong=0.5)), student=noisy.Solver(accuracy=0.7))
    true, false = kinds(found)
    disputes = [r for r in growing.of(Refused, found) if r.task is not None]
    assert false == 0 and true >= 26 and len(disputes) >= 26 and not any(growing.true(r.task) for r in disputes)


def test_a_majority_of_a_solver_that_always_errs_alike_is_worth_one_try():
    """The known limit: a systematic error is confirmed, so a second solver must be another one."""
    unlabelled = [dataclasses.replace(t, answer=None) for t in sums(60)]
    alike = kinds(played(label.by_majority(given(), unlabelled), student=noisy.Solver(accuracy=0.5, fresh=False)))
    apart = kinds(played(label.by_majority(given(), unlabelled), student=noisy.Solver(accuracy=0.5)))
    assert 20 <= alike[1] <= 40 and apart[1] == 0


def test_a_program_a_judge_and_a_round_trip_refuse_what_is_wrong():
    proposed = sums(40, wrong=0.5)
    by = {
        "program": played(label.by_program(given(), proposed, noisy.solve_sum)),
        "judge": played(label.by_judge(given(), proposed), judge=noisy.Judge()),
    }
    assert {name: kinds(found) for name, found in by.items()} == {"program": (20, 0), "judge": (20, 0)}

    def back(messages):
        """Finds a masked addend: the answer less the other numbers."""
        question, _, rest = messages[0]["content"].partition("The answer to this is ")
        known = [int(n) for n in noisy.re.findall(r"\d+", question)]
        return str(int(rest.split(".")[0]) - sum(known))

    assert kinds(played(label.by_round_trip(given(), proposed, k=1), student=back)) == (20, 0)
    found = played(label.by_judge(given(), proposed), judge=lambda m: "Verdict: right")  # without reasons it is no verdict
    assert not growing.of(Task, found) and {r.reason for r in found} == {label.NO_VERDICT}


def test_a_question_that_gives_its_answer_away_is_refused():
    task = dataclasses.replace(sums(1)[0], parents=("p",))
    told = dataclasses.replace(task, prompt=({"role": "user", "content": f"Hint: {task.answer}. Say it."},))
    found = played(label.unanswered(given(), [task, told]))
    assert [type(f) for f in found] == [Task, Refused] and found[1].reason == label.LEAKS


# Repair: noise, judge accuracy, and what is left


def noisy_round(noise: float, n: int = 300) -> list[Sample]:
    """n questions, of which that share has a wrong label; the student answers 90 % of them right by the truth."""
    samples = []
    for i in range(n):
        task = SOURCE.draw(SOURCE.arms[i % 3], "train", i, 11)
        gold = int(task.answer)
        bad = (i * 37) % 100 < 100 * noise
        task = dataclasses.replace(task, answer=str(gold + 7)) if bad else task
        said = gold if (i * 53) % 10 else gold + 1
        (sample,) = growing.round_of([(task, 4)])[:1]
        verdict = dataclasses.replace(sample.verdict, outcome="correct", reward=1.0)
        if str(said) != task.answer:
            verdict = dataclasses.replace(verdict, outcome="wrong", reward=0.0)
        rollout = dataclasses.replace(sample.rollout, turns=(str(said),))
        samples.append(dataclasses.replace(sample, rollout=rollout, verdict=verdict, group=i))
    return samples


def label_accuracy(samples: list[Sample], repairs: list[Repair]) -> float:
    """Of the tasks that are still drawn, with the labels that they have now."""
    mended = {r.task.id: r for r in repairs}
    drawn = [
        dataclasses.replace(t, answer=mended[t.id].answer) if t.id in mended else t
        for t in (s.rollout.task for s in samples)
        if t.id not in mended or mended[t.id].answer is not None
    ]
    return sum(growing.true(t) for t in drawn) / len(drawn)


@pytest.mark.parametrize(("noise", "least"), [(0.1, 0.98), (0.2, 0.96), (0.4, 0.90)])
def test_repair_brings_labels_back(noise, least):
    """A judge that is right in 95 % of its votes, two of three; a student that is right in nine of ten."""
    samples = noisy_round(noise)
    truth = {diagnose.question_of(s.rollout.task): s.rollout.response for s in samples}
    repairs = played(
        repair.by_judge(given(samples), most=1000),
        student=lambda m: truth[m[0]["content"]],
        judge=noisy.Judge(accuracy=0.95, fresh=True),
    )
    before, after = label_accuracy(samples, []), label_accuracy(samples, growing.of(Repair, repairs))
    assert before == pytest.approx(1 - noise, abs=0.02) and after >= least
    kept = {r.kind for r in growing.of(Repair, repairs)}
    assert kept == {"label mended", "dropped"}  # both kinds are counted


def test_a_judge_below_one_half_makes_labels_worse():
    """LoopTool's condition: repair raises noise where the judge is wrong more often than right."""
    samples = noisy_round(0.2)
    truth = {diagnose.question_of(s.rollout.task): s.rollout.response for s in samples}
    how = partial(repair.by_judge, given(samples), 1000)
    bad = played(how(), student=lambda m: truth[m[0]["content"]], judge=noisy.Judge(accuracy=0.2, fresh=True))
    assert label_accuracy(samples, growing.of(Repair, bad)) < label_accuracy(samples, [])


def test_the_rounds_own_answers_mend_a_label_that_they_agree_against():
    samples = growing.mislabelled(2)
    found = played(repair.by_majority(given(samples)))
    assert len(found) == 2 and all(r.answer == noisy.solve_sum(r.task) for r in found)
    assert played(repair.by_majority(given())) == []  # of honest labels none


# The whole loop, and every way in which a teacher can fail


def teacher(**faults) -> noisy.Teacher:
    return noisy.Teacher(fresh=True, held_out=tuple(diagnose.question_of(t) for t in MEASURED), **faults)


@pytest.mark.parametrize(
    ("faults", "finding"),
    [
        (dict(wrong=0.6), "teacher_wrong"),
        (dict(refuses=1.0), "teacher_prose"),
        (dict(prose=0.7), "teacher_prose"),
        (dict(repeats=0.9), "teacher_repeats"),
        (dict(leaks=0.3), "teacher_leaks"),
        (dict(unsafe=0.5), None),
        (dict(wrong=0.1), None),
        ({}, None),
    ],
)
def test_nothing_of_a_bad_teacher_gets_through_and_the_doctor_names_it(faults, finding):
    loop = partial(growth.closed_loop, n=100, propose=propose.rewrite, label=(label.by_judge,))
    offers = dict(seen=given().seen, source=SOURCE, evaluations=[], history={}, ask=lambda task: Ask(task.prompt))
    found = played(
        loop(given().failed, SOURCE.arms, np.random.default_rng(0), **offers), proposer=teacher(**faults), judge=noisy.Judge()
    )
    known = screen.known(SOURCE, MEASURED, 0)
    known.ids.update(s.rollout.task.id for s in given().failed)
    refusals = screen.Refusals()
    for item in growing.of(Refused, found):
        refusals.add(item.reason, item.example)
    taken = screen.sift(growing.of(Task, found), known, refusals, 1000)
    held = {screen.signature(screen.text(t)) for t in MEASURED}
    assert all(growing.true(t) for t in taken) and not held & {screen.signature(screen.text(t)) for t in taken}
    assert not any("os.system" in (t.answer or "") for t in taken)
    said = doctor.growth_fails(len(taken) + sum(refusals.n.values()), refusals.n)
    assert (said.name if said else None) == finding and not (said and said.fatal)
    if not faults:
        assert len(taken) >= 90  # the honest twin


def test_a_teacher_that_is_down_costs_the_loop_nothing_but_its_tasks():
    """Every Ask fails, as a server does that is down, too slow or over its quota: said once for all, and the run goes on."""

    class Down(ScriptedPolicy):
        def respond(self, asks, seeds, max_tokens, sampling, done=None):
            turns = [
                dataclasses.replace(t, stop="failed", text="HTTP status 429")
                for t in super().respond(asks, seeds, max_tokens, sampling)
            ]
            for i, turn in enumerate(turns):
                done(i, turn)
            return turns

    loop = partial(growth.closed_loop, n=32, propose=propose.rewrite, label=(label.by_judge,), repair=repair.by_judge)
    offers = dict(seen=given().seen, source=SOURCE, evaluations=[], history={}, ask=lambda task: Ask(task.prompt))
    generator = loop(given().failed, SOURCE.arms, np.random.default_rng(0), **offers)
    results = []
    down = {name: Down(lambda m: "") for name in ("proposer", "judge")}
    able = ScriptedPolicy(noisy.Solver(accuracy=0.0))
    perform(
        able,
        [generator],
        ["g"],
        lambda i, this, value: results.append(value),
        seed=0,
        max_tokens=64,
        sampling=diagnose.GREEDY,
        roles=down,
    )
    (found,) = results
    assert not isinstance(found, Exception) and not growing.of(Task, found)
    reasons = [r.reason for r in growing.of(Refused, found)]
    assert writing.DOWN in reasons and reasons.count(writing.NO_ANSWER) == 32
    assert "429" in next(r for r in found if isinstance(r, Refused) and r.reason == writing.DOWN).example
    assert doctor.growth_fails(33, {writing.DOWN: 1, label.DISPUTE: 0, writing.NO_ANSWER: 32}) is not None


def test_one_failed_ask_of_many_is_sent_and_not_raised_where_it_may_fail():
    def two():
        got = yield [
            Ask(({"role": "user", "content": "a"},), role="x", may_fail=True),
            Ask(({"role": "user", "content": "b"},)),
        ]
        return got

    class Half(ScriptedPolicy):
        def respond(self, asks, seeds, max_tokens, sampling, done=None):
            (turn,) = super().respond(asks, seeds, max_tokens, sampling)
            done(0, dataclasses.replace(turn, stop="failed", text="gone"))

    results = []
    perform(
        ScriptedPolicy(lambda m: "yes"),
        [two()],
        ["g"],
        lambda i, this, value: results.append(value),
        seed=0,
        max_tokens=8,
        sampling=diagnose.GREEDY,
        roles={"x": Half(str)},
    )
    ((first, second),) = results
    assert isinstance(first, Failed) and "gone" in str(first) and second.text == "yes"


# Learning to write questions


def test_questions_are_told_after_others_of_their_arm_or_of_the_level_below():
    told = []

    def retell(sample, messages):
        told.append((messages[0]["content"], sample.rollout.response, sample.rollout.task.level))
        return sample

    samples = growing.round_of(growing.tasks())
    rng = np.random.default_rng(0)
    found = relabel.questions(samples, share=1.0, worth=worth.grounded, retell=retell, rng=rng)
    levels = {diagnose.question_of(t): t.level for t, _ in growing.tasks()}
    for asked, written, level in told:
        way, _, shown = asked.partition(": ")
        assert levels[written] == level == levels[shown] + (way == "Ask a harder one") and written != shown
    weights = {s.weight for s in found[len(samples) :]}
    assert weights <= {worth.grounded(k / 4) for k in (1, 2, 3)} and len({s.group for s in found[len(samples) :]}) == len(told)
    assert relabel.questions(samples, share=0.0, retell=retell, rng=rng) == samples


def test_the_worth_of_a_success_rate():
    assert [round(worth.middle(s), 3) for s in (0, 0.5, 1)] == [0.044, 1.0, 0.044]
    assert [round(worth.grounded(k / 8), 3) for k in (0, 1, 2, 3, 4, 8)] == [0, 0.080, 0.325, 0.755, 1.0, 0]
    assert [worth.regret(k / 4) for k in range(5)] == [0, 0.75, 0.5, 0.25, 0]
    assert [worth.barely(s) for s in (0, 0.2, 0.25)] == [0, 1, 0]


def test_claimed_calls_of_tools_become_a_label_that_their_verifier_reads():
    made = writing.accepted('{"name": "set_timer", "arguments": {"minutes": 12}}')
    tools = [
        {
            "name": "set_timer",
            "parameters": {"type": "dict", "properties": {"minutes": {"type": "integer"}}, "required": ["minutes"]},
        }
    ]
    parent = dataclasses.replace(sums(1)[0], verifier="tool_call", answer=made, data={"tools": tools})
    assert label.agree(parent, "set_timer(minutes=12)") and not label.agree(parent, "set_timer(minutes=13)")
    assert writing.accepted("a timer, please") is None and writing.accepted('[{"tool": 1}]') is None
    (found,) = writing.written(
        parent,
        dataclasses.replace(growing.answered(Ask(()), lambda ask: f'{{"question": "Twelve?", "answer": {made}}}')),
        "like",
        "like",
        False,
    )
    assert found.answer == made and found.data == {"tools": tools}
