"""Help that is gone when it is learnt from: what remains is what would have been said without; a ladder; schedules."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from sharpen import curriculum, rollouts
from sharpen.core import PLAIN, Arm, Task, UserError
from sharpen.data import hints, make_batch
from sharpen.models.scripted import ScriptedPolicy
from sharpen.objectives import policy_gradient, tableau
from sharpen.recipe import call
from sharpen.recipes.guidance import ghpo
from sharpen.recipes.played import answers, asked_again
from sharpen.rollouts.driver import places
from sharpen.verify import judge, scaffolds, verify

TASK = Task(({"role": "user", "content": "7 - 3 + 9 ="},), "13", "sums", 1, solution="4 13<answer>13</answer>")
HOW = dict(seed=0, max_tokens=50, sampling=PLAIN)


def driven(rollout, replies, tasks=(TASK,) * 4, progress=0.0, **more):
    """Rollouts of the tasks by a student that says these things in turn."""
    said = iter(replies)
    student = ScriptedPolicy(lambda messages: next(said))
    bound = partial(rollout, progress=progress, **more) if "progress" in rollout_names(rollout) else partial(rollout, **more)
    return rollouts.drive(student, bound, tasks, [f"s.{i}" for i in range(len(tasks))], **HOW)


def rollout_names(rollout):
    return getattr(rollout, "func", rollout).__kwdefaults__ or getattr(rollout, "func", rollout).__code__.co_varnames


def coefficients(made):
    samples = judge(made, [0] * len(made), verify)
    batch = make_batch(samples)
    import torch

    return batch, tableau.coefficients(policy_gradient.grpo(), batch, torch.tensor(batch.sampling) + 0.1).numpy()


@pytest.mark.parametrize("what", ["beginning", "answer", "goals", "rubric"])
def test_with_the_hint_masked_tokens_and_coefficients_are_those_of_the_unhinted_text(what):
    """The same words said without help: the same tokens, the same mask, the same numbers."""
    replies = ["4 13<answer>13</answer>", "9", "<answer>13</answer>", "4"]
    shown = partial(rollouts.hints.shown, what=what, share=1.0, spread=False)
    helped, alone = driven(shown, replies), driven(rollouts.single, replies)
    (batch, c), (plain, d) = coefficients(helped), coefficients(alone)
    for name in ("tokens", "mask", "sampling", "reward", "group"):
        assert np.array_equal(getattr(batch, name), getattr(plain, name)), name
    assert np.array_equal(c, d) and c.any()
    present = driven(partial(shown, learnt="present"), replies)
    assert all(len(p.tokens) > len(h.tokens) for p, h in zip(present, helped))  # there the hint is context
    ratio = driven(partial(shown, learnt="ratio"), replies)
    assert {r.version for r in ratio} == {-1} and all(np.array_equal(r.tokens, h.tokens) for r, h in zip(ratio, helped))
    with pytest.raises(UserError, match="absent, ratio, present"):
        driven(partial(shown, learnt="gone"), replies)


def test_a_begun_answer_is_learnt_from_where_it_goes_on_and_judged_as_a_whole():
    made = driven(partial(rollouts.hints.begun, share=0.5, spread=False), ["nswer>13</answer>"] * 4)
    assert made[0].response == TASK.solution[: len(TASK.solution) // 2] + "nswer>13</answer>"
    assert all(r.n_sampled == len("nswer>13</answer>") for r in made)
    imitated = driven(partial(rollouts.hints.begun, share=0.5, spread=False, imitated=True), ["x"] * 4)
    assert imitated[0].n_sampled == int(0.5 * len(TASK.solution)) + 1


def test_the_last_of_a_group_is_never_helped_and_no_task_that_is_held_out():
    made = driven(partial(rollouts.hints.begun, share=0.75), list("abcd"))
    lengths = [len(r.response) for r in made]
    assert lengths == sorted(lengths, reverse=True) and lengths[-1] == 1 < lengths[0]
    held_out = replace(TASK, split="test")
    assert driven(rollouts.hints.begun, ["a"], (held_out,), place=(0, 4))[0].response == "a"
    assert rollouts.unaided(partial(rollouts.hints.begun, share=0.5)) is rollouts.single
    assert rollouts.unaided(partial(rollouts.hints.shown, system="S")).keywords == {"system": "S"}


def test_places_are_counted_by_group():
    other = replace(TASK, level=2)
    assert places([TASK, TASK, other, other, other]) == [(0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]


def test_a_hint_is_never_the_whole_answer_and_none_where_there_is_nothing_to_show():
    for share in (1.0, 2.0, 50.0):
        assert hints.beginning(TASK, share) == TASK.solution[:-1]
    for nothing in (replace(TASK, solution=None), replace(TASK, solution="4"), replace(TASK, solution="")):
        assert hints.beginning(nothing, 0.9) == "" and hints.hinted(nothing, share=0.9) is nothing
    assert driven(partial(rollouts.hints.begun, share=9.0, spread=False), ["!"] * 4)[0].response == TASK.solution[:-1] + "!"
    with pytest.raises(UserError, match="beginning"):
        hints.hint(TASK, "song", 0.5)


def test_schedules_by_hand():
    assert [hints.fading(p, 0.5) for p in (0, 0.25, 0.5, 0.9)] == [1, 0.5, 0, 0]
    assert hints.fading(0.2, 0.2, 125.0) == 0.5 and hints.fading(0.26, 0.2, 125.0) < 1e-3 < 1 - 1e-3 < hints.fading(0, 0.2, 125)
    assert [hints.graded(1.0, (i, 3)) for i in range(3)] == [1, 0.5, 0] and hints.graded(1.0, (0, 1)) == 0
    known = {"unaided": {"sums/1": 0.25}}
    assert hints.by_success(known, TASK, 0.5) == 0.5 and hints.by_success({}, TASK, 0.5) == 1
    with pytest.raises(UserError, match="target"):
        hints.by_success({}, TASK, 0.0)


def test_a_schedule_that_never_fades_is_said():
    assert not rollouts.hints.unfading(rollouts.hints.begun) and not rollouts.hints.unfading(rollouts.single)
    said = rollouts.hints.unfading(partial(rollouts.hints.shown, until=4.0))
    assert "75%" in said and "until=4" in said and "measured without" in said
    assert rollouts.hints.unfading(partial(rollouts.hints.shown, until=0.9, sharpness=1.0))


def test_success_without_help_is_counted_in_the_last_of_each_group():
    library: dict = {}
    helped, failed = answers(("13", 1), ("5", 0)), answers(("13", 1), ("13", 1), group=1)
    assert len(hints.noting([*helped, *failed], decay=0.5, library=library)) == 4
    assert library == {"unaided": {"sums/1": 0.25}}


def ladder(rates, samples=2):
    """One step of GHPO on tasks that are solved from such a share of their solution on: (shares that were tried, kept
    groups)."""
    made, rng, tried, asked = ghpo.recipe(), np.random.default_rng(0), [], []
    roots = [replace(TASK, prompt=({"role": "user", "content": f"{need}?"},)) for need in rates]
    chosen = [(task, samples) for task in roots]
    for _ in range(1 + made.refills):
        for task, n in chosen:
            need = float(task.prompt[0]["content"].partition("?")[0])
            right = float(hints.share_of(task) >= need)
            group = answers(*[("13", right)] * n, group=len(asked))
            tried += [replace(s, rollout=replace(s.rollout, task=task)) for s in group]
            asked.append(hints.share_of(task))
        kept = call(made.select, tried, progress=0.5)
        chosen = made.curriculum({}, [Arm("sums", 1)], len(rates), samples, rng, tried=tried, progress=0.5)
    return asked, [hints.share_of(s.rollout.task) for s in kept[::samples]]


def test_the_ladder_asks_again_only_what_failed_and_keeps_the_last_group():
    asked, kept = ladder([0.0, 0.5, 2.0])
    assert sorted(asked) == [0, 0, 0, 0.25, 0.25, 0.5, 0.5, 0.75] and sorted(kept) == [0, 0.5, 0.75]
    assert ladder([0.0, 0.0])[0] == [0, 0]


def test_before_its_time_the_ladder_helps_nobody_and_what_has_no_solution_stays_as_it_is():
    failed = asked_again(answers(("5", 0), ("6", 0)), "why?", "because")
    assert hints.climbed(failed, after=0.5, progress=0.4) == failed and not hints.climbed(failed, after=0.5, progress=0.5)
    bare = answers(("5", 0), ("6", 0))
    assert hints.climbed(bare, progress=0.9) == bare and not hints.stuck(bare, hints.LADDER)
    told = curriculum.laddered({}, [TASK.arm], 4, 2, np.random.default_rng(0), after=0.5, tried=failed, progress=0.4)
    assert told == []


def test_feedback_is_put_into_some_answers_and_learnt_as_words_that_nobody_drew():
    replies = iter(["5", "Check the sign.", "13"])
    speaker = ScriptedPolicy(lambda messages: next(replies))
    rollout = partial(rollouts.hints.advised, start=1.0, end=1.0, off=0.0, progress=0.0)
    (made,) = rollouts.drive(speaker, rollout, [TASK], ["a"], roles={"teacher": speaker}, **HOW)
    assert made.response == "5\nCheck the sign.\n13"
    given = made.sampled & (made.logprobs == 0)
    assert bytes(made.tokens[given].astype(np.uint8)).decode() == "\nCheck the sign.\n" and made.n_sampled == len(made.response)
    (alone,) = driven(rollouts.hints.advised, ["5"], (TASK,), progress=0.5)
    assert alone.response == "5"


def test_criteria_come_from_the_rubric_or_from_the_steps_and_can_cost_points():
    assert [c["value"] for c in scaffolds.criteria(TASK)] == ["4", "13"]
    assert scaffolds.by_criteria(TASK, "4 <answer>13</answer>").reward == 1.0
    assert scaffolds.by_criteria(TASK, "<answer>13</answer>").reward == 0.75  # half of the steps, and right
    assert scaffolds.points([{"weight": 2}, {"weight": -1}], [0, 1]) == -0.5
    with pytest.raises(UserError, match="above 0"):
        scaffolds.points([{"weight": -1}], [1])
    none = replace(TASK, solution=None)
    assert scaffolds.by_criteria(none, "13").reward == 1.0
