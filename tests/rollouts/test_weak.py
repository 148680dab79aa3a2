"""What other models say as if the student had said it; contexts to be followed or not; tags that may be left out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from sharpen import rollouts, tasks
from sharpen.core import PLAIN, Arm, Task
from sharpen.data import noisy, weak
from sharpen.models.scripted import ScriptedPolicy
from sharpen.recipes.played import answers
from sharpen.rollouts import contexts, tags
from sharpen.tasks.facts import SLICES, known
from sharpen.verify import judge, untagged, verify

TASK = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1, verifier="number", solution="2 2<answer>4</answer>")
CHAIN = tasks.step_chain().draw(Arm("step_chain", 2), "train", 0, 0)


def driven(rollout, reply, weak_reply=None, listed=(TASK,), **offers):
    roles = dict.fromkeys(("weak", "pupil", "closed_book", "base"), ScriptedPolicy(weak_reply or reply))
    bound = partial(rollout, **offers)
    how = dict(seed=0, max_tokens=60, sampling=PLAIN, roles=roles)
    return rollouts.drive(ScriptedPolicy(reply), bound, listed, [str(i) for i in range(len(listed))], **how)


def test_the_weak_models_words_are_the_students_and_what_is_held_out_is_its_own():
    (made,) = driven(rollouts.weak.labelled, lambda m: "own", lambda m: "weak")
    assert (made.response, made.stop) == ("weak", "forced") and [t.author for t in made.others] == ["weak"]
    (held,) = driven(rollouts.weak.labelled, lambda m: "own", lambda m: "weak", (replace(TASK, split="test"),))
    assert held.response == "own" and rollouts.unaided(rollouts.weak.labelled) is rollouts.single


@pytest.mark.parametrize("said, learnt", [("so <answer>4</answer>", 2), ("<answer>4</answer>", 1), ("<answer>5</answer>", 0)])
def test_both_answers_are_learnt_where_they_come_to_the_same(said, learnt):
    (made,) = driven(rollouts.weak.agreed, lambda m: "<answer>4</answer>", lambda m: said)
    own = [turn for turn in made.others if not turn.author]
    kept = weak.told(judge([made], [0], verify))
    assert len(kept) * (len(own) + 1) == learnt


def test_one_of_a_group_is_the_weak_models():
    made = driven(rollouts.weak.opposed, lambda m: "own", lambda m: "weak", (TASK,) * 3)
    assert [r.response for r in made] == ["weak", "own", "own"] and [r.stop for r in made] == ["forced", "end", "end"]
    assert driven(rollouts.weak.opposed, lambda m: "own", lambda m: "weak")[0].response == "own"  # alone: nothing to oppose


def test_a_chain_and_its_steps_are_asked_each_by_itself():
    teacher = noisy.Steps(0.0)
    (made,) = driven(rollouts.weak.decomposed, lambda m: "own", teacher, (CHAIN,))
    own = [turn for turn in made.others if not turn.author]
    assert len(own) == 3 and made.response == CHAIN.solution
    parts = rollouts.weak.steps_of(CHAIN)
    assert [turn.text for turn in own] == [part.solution for part in parts]
    assert parts[-1].answer == CHAIN.answer and all(part.level == 0 for part in parts)
    (alone,) = driven(rollouts.weak.decomposed, lambda m: "own", teacher, (TASK,))
    assert alone.response == "I do not know." and not [turn for turn in alone.others if not turn.author]


def test_a_solution_is_worth_what_a_pupil_makes_of_it_and_its_outcome_stays():
    source = noisy.sums(1)
    task = source.draw(Arm("chain_sum", 1), "train", 0, 0)

    def pupil(messages):
        """Does sums if the example did, else says 1."""
        return noisy.sum_in(messages[-1]["content"]) if "good" in messages[1]["content"] else "1"

    worth = {}
    for said in (f"good {task.answer}", "bad 5", "good 5"):
        (made,) = driven(rollouts.weak.by_teaching, lambda m, said=said: said, pupil, (task,), source=source)
        worth[said] = (made.by.reward, made.by.outcome, made.by.parts["taught"])
    assert [v[0] for v in worth.values()] == [1.0, 0.0, 1.0]
    assert [v[1] for v in worth.values()] == ["correct", "wrong", "wrong"]
    exam = rollouts.weak.exam_of(task, 3, source)
    assert len(exam) == 3 and all(other.prompt != task.prompt for other in exam)
    nothing = replace(source, draw=lambda *_: task)
    (lost,) = driven(rollouts.weak.by_teaching, lambda m: "4", pupil, (task,), source=nothing)
    assert lost.stop == "failed" and "examine" in lost.response


def test_kafts_slices_on_a_world_of_facts():
    """The context is followed where it is about the question; beside the point, and without one, the answer is the model's
    own."""
    source = tasks.facts()
    drawn = {s: source.draw(Arm(f"fact_{s}", 1), "train", 1, 0) for s in SLICES}
    told = driven(contexts.slices, lambda m: "x", lambda m: "mine", tuple(drawn.values()))
    said = dict(zip(drawn, (r.response for r in told), strict=True))
    assert said["closed"] == said["irrelevant"] == "mine"
    assert said["relevant"] == drawn["relevant"].answer and said["counterfactual"] == drawn["counterfactual"].answer
    gold = driven(partial(contexts.slices, own=False), lambda m: "x", lambda m: "mine", tuple(drawn.values()))
    assert gold[list(drawn).index("irrelevant")].response == drawn["irrelevant"].answer


def test_rates_of_three_students_on_facts():
    """After the slices both rates are 1; one that copies any context has 1 and 0; one that reads none has 0 and 1."""
    source = tasks.facts()
    listed = [source.draw(Arm(f"fact_{s}", 2), "test", i, 0) for s in ("counterfactual", "irrelevant") for i in range(20)]
    own = [known(*asked(task)[::-1]) for task in listed]

    def rates(said):
        samples = [
            replace(s, rollout=replace(s.rollout, task=task, turns=(text,)), verdict=verify(task, text))
            for task, text, s in zip(listed, said, answers(*[("", 0)] * len(listed)), strict=True)
        ]
        return contexts.controllability(samples), contexts.robustness(samples, own)

    read = [task.prompt[0]["content"].partition(": ")[2].partition("\n")[0] for task in listed]
    both = [r if t.data["slice"] == "counterfactual" else o for t, r, o in zip(listed, read, own, strict=True)]
    assert rates(both) == (1.0, 1.0) and rates(read) == (1.0, 0.0) and rates(own) == (0.0, 1.0)


def asked(task):
    thing, person = task.prompt[0]["content"].rpartition("\n\n")[2].split(". ")[1].rstrip("?").split(" of ")
    return thing, person


def test_tags_are_left_out_of_questions_and_never_of_answers():
    (made,) = driven(partial(tags.tagged, whole=0.0, some=0.0), lambda m: "")
    assert made.response == "<tags>family=sums level=1 form=number words=2</tags>2 2<answer>4</answer>"
    asked_with = bytes(made.tokens[~made.sampled].astype("uint8")).decode()
    assert asked_with.endswith("2 + 2 = <tags>family=sums level=1 form=number words=2</tags>")
    (bare,) = driven(partial(tags.tagged, whole=1.0), lambda m: "")
    assert "<tags>" not in bytes(bare.tokens[~bare.sampled].astype("uint8")).decode() and bare.response == made.response
    (without,) = driven(partial(tags.tagged, own=False), lambda m: "")
    assert without.response == TASK.solution
    held = replace(TASK, split="test")
    (free,) = driven(tags.tagged, lambda m: m[-1]["content"], None, (held,))
    (fixed,) = driven(partial(tags.tagged, fixed="words=9"), lambda m: m[-1]["content"], None, (held,))
    assert free.response == "2 + 2 =" and fixed.response == "2 + 2 = <tags>words=9</tags>"
    left = [tags.dropped(dict.fromkeys("abcdefgh", "1"), str(i), 0.0, 0.5) for i in range(300)]
    assert abs(sum(map(len, left)) / 2400 - 0.5) < 0.05 and tags.dropped({"a": "1"}, "k", 0, 0.5) == tags.dropped(
        {"a": "1"}, "k", 0, 0.5
    )


def test_the_verdict_is_on_what_comes_behind_the_tags():
    assert untagged(TASK, "<tags>words=4</tags>4").correct and untagged(TASK, "4").correct
    assert not untagged(TASK, "<tags>words=4</tags>5").correct and not untagged(TASK, "<tags>words=4").correct
    assert (
        tags.read("<tags>family=sums level=1</tags>4")
        == {"family": "sums", "level": "1"}
        == tags.read(" <tags>family=sums level=1</tags>")
    )
    assert tags.accuracy([TASK, TASK], ["<tags>family=sums</tags>", "4"]) == 0.5 and tags.read("4") == {}
