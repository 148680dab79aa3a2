"""What nobody trains on: who is asked it, when, and what becomes of a run that forgets it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
from tests import kills

from sharpen import guard, tasks
from sharpen.core import Arm, UserError
from sharpen.loop import loop, retention
from sharpen.loop.due import Due
from sharpen.models.scripted import ScriptedPolicy
from sharpen.recipes.policy_gradient import grpo
from sharpen.store.store import Store
from sharpen.tasks import jsonl
from sharpen.terminal import terminal

SMALL = dict(warmup_steps=0, prompts=2, samples=2, round_steps=1, validation=4, test=1, budget="4steps", max_tokens=8)


def written(path, family, n, splits=("train", "validation", "test")):
    line = {"family": family, "level": 1, "answer": "1", "verifier": "number"}
    rows = [{**line, "prompt": f"{family} {split} {i}", "split": split} for split in splits for i in range(n)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Words(terminal.Quiet):
    def __init__(self):
        super().__init__()
        self.said = []

    def say(self, text):
        self.said.append(text)


def going(place, tmp_path, forgets=False, fresh=True, **changes):
    """A run of a scripted model that is always right, and forgets what it knew after the first round."""
    source = jsonl(written(tmp_path / "say.jsonl", "say", 8))
    written(tmp_path / "known.jsonl", "known", 40, ("test",))

    def answer(messages):
        known = "known" in messages[-1]["content"]
        return "0" if known and forgets and policy.version > 1 else "1"

    policy = ScriptedPolicy(answer)
    slots = dict(guard=guard.sequential, retention=str(tmp_path / "known.jsonl"), retain=40) | changes
    recipe = replace(grpo.recipe(), **SMALL, **slots)
    words = Words()
    opened = Store.create(place, {}) if fresh else Store.open(place, write=True)
    with opened as store:
        loop.run(store, recipe, 0, policy, source, words, 0.0, Due(0.0))
        kept = [store.evaluation(r["round"], "retention") for r in store.rounds()]
        return words.said, [d.answer for d in store.decisions().values()], kept, store.rows("SELECT * FROM evaluations")


def test_it_is_asked_at_the_start_and_after_each_round_and_losing_it_is_harm(tmp_path):
    said, answers, kept, _ = going(tmp_path / "run", tmp_path, forgets=True)
    assert [e.accuracy for e in kept[:3]] == [1.0, 1.0, 0.0] and all(e.n == 40 for e in kept)
    assert answers[:3] == ["better", "unclear", "worse"]
    assert any("retention: 100.0% of 40" in line for line in said) and any("not practised fell by" in line for line in said)
    assert any(line.startswith("the guard has 4 validation tasks for each of 1 arms") for line in said)
    assert any(line.startswith("validation was looked at 4 times") for line in said)


def test_nobody_is_asked_where_the_guard_does_not_ask_or_there_is_nothing(tmp_path):
    for i, change in enumerate((dict(guard=guard.ratchet), dict(retention=""), dict(retain=0))):
        assert set(going(tmp_path / str(i), tmp_path, **change)[2]) == {None}


def test_killed_and_resumed_it_is_the_same(tmp_path):
    whole = going(tmp_path / "whole", tmp_path, forgets=True)
    for n in (4000, 9000):
        place = tmp_path / f"killed{n}"
        kills.attempt(partial(going, place, tmp_path, forgets=True), kills.at(n))
        found = going(place, tmp_path, forgets=True, fresh=not (place / "run.db").exists())
        assert [tuple(row) for row in found[3]] == [tuple(row) for row in whole[3]] and found[1] == whole[1]


def test_what_is_trained_on_is_no_retention(tmp_path):
    source = jsonl(written(tmp_path / "say.jsonl", "say", 8))
    ask = partial(retention.questions, source=source, seed=0)
    own = replace(grpo.recipe(), guard=guard.sequential, retention=str(tmp_path / "say.jsonl"))
    with pytest.raises(UserError, match="say/1 would be trained on too"):
        ask(own, [own])
    again = tmp_path / "again.jsonl"
    again.write_text('{"prompt": "say train 3", "answer": "1", "family": "b", "verifier": "number", "split": "test"}\n')
    other = replace(own, retention=str(again))
    assert ask(other, [other]) == {}


def test_a_brought_model_gets_the_suite_and_an_embedded_one_other_families():
    source = tasks.parse_spec("chain_sum/1,letter_counting/1")
    embedded = replace(grpo.recipe(), guard=guard.sequential)
    brought = replace(embedded, student="/somewhere/model")
    assert sorted(retention.questions(embedded, [embedded], source, 0)) == [Arm("count_bits", 1), Arm("gcd", 1)]
    suite = retention.questions(brought, [brought], source, 0)
    assert len(suite) == 8 and sum(map(len, suite.values())) == 64
