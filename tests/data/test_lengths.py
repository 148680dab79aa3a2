"""What length is worth, by hand; braked answers; and what a search tried, as samples."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from sharpen.core import Branch, Turn
from sharpen.data import lengths, trees
from sharpen.objectives import example, preferences, steps
from sharpen.recipes.played import answers


def rewards(samples):
    return [round(s.verdict.reward, 6) for s in samples]


@pytest.mark.parametrize("progress, budget", [(0.0, 256), (0.249, 256), (0.25, 179), (0.5, 125), (0.75, 87), (1.0, 87)])
def test_the_papers_budgets(progress, budget):
    """Three drops from 256 to 87: factor 0.70."""
    assert round(lengths.budget_at(progress, 256, 87, 3)) == budget


def test_a_budget_pays_for_right_for_length_and_for_form_and_without_weights_nothing_changes():
    group = answers(("4", 1.0), ("5", 0.0), tokens=(22, 33))
    paid = partial(lengths.within_budget, start=22, end=22, drops=0, correct=0.6, length=0.3, form=0.1, progress=0.0)
    assert rewards(paid(group)) == [1.0, round(0.3 * 0.5 + 0.1, 6)]
    same = lengths.within_budget(group, correct=1.0, length=0.0, form=0.0, progress=0.3)
    assert all(a is b for a, b in zip(same, group, strict=True))


def test_a_wrong_short_answer_has_no_bonus_in_any_mode_and_a_wrong_long_one_pays():
    """Lengths 2, 6: shares 1/2 and -1/2; the mode's weight is 0, 1/2 or 1."""
    group = answers(("5", 0.0), ("5", 0.0), tokens=(2, 6))
    weight = lengths.MODES[lengths.mode_of(group[0].rollout.task)].weight
    assert rewards(lengths.by_mode(group, leak=0.0, progress=1.0)) == [0.0, round(-0.5 * weight, 6)]
    leaking = answers(("4 wait", 1.0), ("4", 1.0), tokens=(2, 2))
    assert rewards(lengths.by_mode(leaking, leak=0.5, progress=1.0)) == [0.5, 1.5]
    tasks = [replace(group[0].rollout.task, answer=str(i)) for i in range(60)]
    modes = [lengths.mode_of(task) for task in tasks]
    assert set(modes) == set(lengths.MODES) and modes == [lengths.mode_of(task) for task in tasks]


@pytest.mark.parametrize(
    "text, found",
    [
        ("no block", 0),
        ("<Parallel><Path>a</Path><Path>b</Path></Parallel> <Summary>s</Summary>" * 2, 2),
        ("<Parallel><Path>a</Path></Parallel><Summary>s</Summary>", None),  # one way is none
        ("<Parallel><Path>a</Path><Path>b</Path></Parallel>", None),  # no summary
        ("<Path>a</Path>", None),
        ("<Parallel><Path>a<Path>b</Path></Path></Parallel><Summary>s</Summary>", None),
        ("<Parallel><Path>a</Path><Path>b</Parallel></Path><Summary>s</Summary>", None),
        ("<Summary>s</Summary>", None),
        ("</Parallel>", None),
    ],
)
def test_forms_of_parallel_blocks(text, found):
    assert lengths.blocks(text) == found


TEXT = "2 and 2. That is 4. Wait, let me check. But is it? It is 4. So 4."


def test_overthinking_counts_steps_behind_the_first_right_one_and_words_that_mark_it():
    parts = lengths.steps_of(TEXT)
    assert "".join(parts) == TEXT and len(parts) == 6
    words = len(TEXT.split())
    assert lengths.overthinking(parts, "4") == pytest.approx(0.9 * (1 - 2 / 6) + 0.1 * 3 / words)  # Wait, check, But
    assert lengths.overthinking(parts, "7") == 0.0 and lengths.overthinking([], "4") == 0.0


def test_a_braked_answer_reads_a_little_more_that_it_does_not_learn_and_stops():
    """By characters: each is a token here. Cut where the score passes 0.2, behind the third step; the fourth is read."""
    sample = answers((TEXT, 1.0))[0]

    def retell(sample, messages):
        text = sample.rollout.response
        n = len(text)
        tokens = np.array([0, *text.encode()], np.int32)
        made = replace(sample.rollout, tokens=tokens, sampled=np.arange(n + 1) > 0, logprobs=np.zeros(n + 1, np.float32))
        return replace(sample, rollout=made)

    decode = lambda tokens: bytes(tokens.astype(np.uint8)).decode()  # noqa: E731
    (braked,) = lengths.braked([sample], retell=retell, decode=decode)
    kept, redundant = lengths.braking(TEXT, "4", 0.2, 0.05)
    assert kept == "2 and 2. That is 4." and redundant == " Wait, let me check."
    assert braked.rollout.response == f"{kept}{redundant}{lengths.BRAKE}\n<answer>4</answer>"
    learnt = decode(braked.rollout.tokens[braked.rollout.sampled])
    assert learnt == f"{kept}{lengths.BRAKE}\n<answer>4</answer>"
    (plain,) = lengths.braked(answers(("It is 4.", 1.0)), retell=retell, decode=decode)
    assert plain.rollout.response == "It is 4."


# Trees


def tried(*branches):
    """A sample whose search tried these (parent, start, value, visits)."""
    on = np.ones(8, bool)
    turns = [Turn(f"{i}", np.arange(8, dtype=np.int32) + i, on, -on.astype(np.float32), "end") for i in range(len(branches))]
    made = tuple(Branch(t, start, parent, value, n) for t, (parent, start, value, n) in zip(turns, branches, strict=True))
    (sample,) = answers(("4", 1.0))
    return replace(sample, rollout=replace(sample.rollout, branches=made))


def test_siblings_are_paired_behind_their_parting_and_labelled_by_their_visits():
    sample = tried((-1, 2, 0.9, 3), (-1, 2, 0.1, 1), (-1, 2, 0.5, 9), (0, 5, 0.7, 2), (0, 5, 0.7, 2))
    better, worse = trees.sibling_pairs([sample])  # the two under the first are worth the same: no pair
    assert (better.rollout.turns, worse.rollout.turns) == (("0",), ("1",))
    assert (better.verdict.reward, worse.verdict.reward) == (0.75, 0.25) and better.group == worse.group
    assert better.rollout.sampled.tolist() == [False] * 2 + [True] * 6 and better.rollout.spans[0].start == 2
    hard = trees.sibling_pairs([sample], soft=False)
    assert [s.verdict.reward for s in hard] == [1.0, 0.0] and not trees.sibling_pairs([sample], margin=0.8)


def test_the_loss_of_visits_is_dpo_where_labels_are_sure_and_finds_its_minimum_at_the_log_ratio_of_visits():
    """-(1-a) log sigma(b h) - a log sigma(-b h): its minimum is b h = log((1 - a) / a), with the visits' ratio: 3 to 1."""
    sure = example(steps.by_visits(0.1), [[1, 0]])
    assert np.allclose(sure, example(preferences.dpo(0.1), [[1, 0]]))
    import torch

    a, b = 0.25, 0.5
    h = torch.tensor(np.log(3) / b)
    pull = b * (torch.sigmoid(-b * h) - a)
    assert float(pull) == pytest.approx(0.0, abs=1e-7)
    assert not example(steps.by_visits(0.1), [[0.5, 0.5]]).any()  # as likely the wrong way round


def test_steps_become_groups_of_their_own_and_a_lone_one_teaches_nothing():
    sample = tried((-1, 2, 1.0, 1), (-1, 2, 0.0, 1), (-1, 6, 1.0, 1))
    made = trees.step_samples([sample])
    assert [(s.group, s.verdict.reward, s.rollout.n_sampled) for s in made] == [(0, 1.0, 3), (1, 1.0, 6), (1, 0.0, 6)]
    assert [s.rollout.id for s in trees.step_samples([sample], whole=False)] == ["0.0.b000", "0.0.b001"]


def test_progress_is_added_to_the_groups_comparison_and_success_is_imitated():
    """MRT: alpha 0 is GRPO; THOR: alpha on rows with a positive advantage, and nothing on silent groups."""
    plain = example(steps.with_success(0.0), [[1, 0], [1, 1]])
    more = example(steps.with_success(0.1), [[1, 0], [1, 1]])
    gained = more - plain
    assert (gained[0] > 0).all() and not gained[1:].any()
    assert gained[0, 0] == pytest.approx(0.1 * plain[0, 0], rel=1e-4)  # the advantage of one right of two is 1
