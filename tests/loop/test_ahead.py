"""A run that is ahead of its learner: nothing is lost or learnt twice, long answers are neither favoured nor dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

import prefork
from sharpen import loop
from sharpen.core import UserError
from sharpen.store import Store
from sharpen.terminal import terminal

SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_steps=4", "warmup_rows=8", "warmup_levels=1", "warmup_demos=0", "prompts=3"),
    *("samples=4", "round_steps=3", "validation=2", "test=2", "max_tokens=10", "unreadable_limit=1", "guard=always"),
)


def rows(directory: Path) -> tuple[list, list]:
    """What was generated, and what each step has learnt from."""
    with Store.open(directory) as store:
        made = store.rows(
            "SELECT id, version, tokens, logprobs, n_sampled, stop FROM rollouts WHERE purpose = 'train' ORDER BY id"
        )
        learnt = store.rows("SELECT step, rollout FROM batches ORDER BY step, rollout")
        return [tuple(r) for r in made], [tuple(r) for r in learnt]


def test_versions_staleness_and_lengths(tmp_path):
    for k in (0, 2):
        request = loop.Request("grpo", SETTINGS, 3, "6steps", None, "chain_sum/1", tmp_path / str(k), ahead=k)
        loop.start(request, terminal.Quiet())
    made, learnt = rows(tmp_path / "2")
    first = 4  # behind the warm-up
    learnt = [(step, id) for step, id in learnt if step >= first]
    for id, version, *_ in made:  # step t + 2 was written by the policy of step t; the first two by the first one
        assert version == max(int(id[1:7]) - 2, first)
    assert len({id for _, id in learnt}) == len(learnt) == len(made) == 6 * 12  # each once, whatever its length or end
    with Store.open(tmp_path / "2") as store:
        assert [s["staleness"] for s in store.steps() if s["phase"] == "loop"] == [0.0, 1.0, 2.0, 2.0, 2.0, 2.0]
    plain, _ = rows(tmp_path / "0")
    assert [r for r in made if r[0].startswith(f"s{first:06d}")] == [r for r in plain if r[0].startswith(f"s{first:06d}")]
    assert {r[0] for r in made} == {r[0] for r in plain} and len(list((tmp_path / "2" / "ahead").iterdir())) <= 6


@pytest.mark.parametrize("case", ["committed:3"])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, case):
    settings = [s for s in SETTINGS if "round_steps" not in s]
    said = prefork.run(
        Path(__file__).with_name("resumed_run.py"),
        *(str(tmp_path), "recipe=grpo", "ahead=1", "commit_s=1", *settings, "round_steps=2", "--", case),
    )
    assert f"{case} killed" in said and f"{case} killed 0" not in said
    assert rows(tmp_path / "whole") == rows(tmp_path / case.replace(":", "-"))


def test_a_recipe_whose_verdict_asks_the_student_is_refused(tmp_path):
    request = loop.Request("self_judge", SETTINGS, 3, "1steps", None, "chain_sum/1", tmp_path / "a", ahead=1)
    with pytest.raises(UserError, match="--ahead is for recipes that ask nobody"):
        loop.start(request, terminal.Quiet())


def test_a_number_of_rollouts_that_follows_from_the_first_is_refused(tmp_path):
    request = loop.Request("grpo", (*SETTINGS, "early=2"), 3, "1steps", None, "chain_sum/1", tmp_path / "a", ahead=1)
    with pytest.raises(UserError, match="early=0"):
        loop.start(request, terminal.Quiet())


def test_verdicts_are_dealt_anew_ahead_too(tmp_path):
    request = loop.Request("grpo", (*SETTINGS, "shuffled=True"), 3, "2steps", None, "chain_sum/1", tmp_path / "a", ahead=1)
    loop.start(request, terminal.Quiet())
    with Store.open(tmp_path / "a") as store:
        rules = store.rows("SELECT DISTINCT v.rule FROM rollouts r JOIN verdicts v ON v.rollout = r.id WHERE purpose = 'train'")
        assert [r[0] for r in rules] == ["shuffled"]
