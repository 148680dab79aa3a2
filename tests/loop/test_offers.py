"""What can be asked for by name: every name in every slot, nothing for nobody, and nothing of a step that was not learnt."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sharpen import data, guard, objectives, rollouts
from sharpen.core import Sample, UserError, growth
from sharpen.curriculum import state, uniform
from sharpen.loop import loop, offers
from sharpen.loop.due import Due
from sharpen.loop.offers import Moment
from sharpen.models.scripted import ScriptedPolicy
from sharpen.recipe import SLOTS, first_objective
from sharpen.recipes.policy_gradient import grpo
from sharpen.store.store import Store
from sharpen.tasks import jsonl
from sharpen.terminal import terminal

SMALL = dict(warmup_steps=0, prompts=2, samples=2, round_steps=1, validation=1, test=1, retain=2, budget="2steps", max_tokens=8)
WORK = {
    "curriculum": uniform,
    "rollout": rollouts.single,
    "select": data.keep_all,
    "objective": objectives.policy_gradient.sft,
    "guard": guard.always,
    "control": guard.never,
    "grow": growth.nothing,
}


def asking(slot: str, names, seen: dict):
    """The slot's usual function, which asks for these names and shows what it was given."""

    def function(*given, **named):
        seen.setdefault(slot, []).append(named)
        return WORK[slot](*given)

    only = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    function.__signature__ = inspect.Signature([inspect.Parameter("given", inspect.Parameter.VAR_POSITIONAL), *only])
    return function


def going(tmp_path, recipe):
    line = {"family": "say", "level": 1, "solution": "<answer>1</answer>"}
    lines = [
        {**line, "prompt": f"say {s}{i}", "answer": "1", "split": s} for s in ("train", "validation", "test") for i in "123"
    ]
    path = tmp_path / "say.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    with Store.create(tmp_path / "run", {}) as store:
        policy = ScriptedPolicy(lambda messages: "<answer>1</answer>")
        loop.run(store, recipe, 0, policy, jsonl(path), terminal.Quiet(), 0.0, Due(120))


def test_every_slot_is_given_everything_that_is_listed_for_it(tmp_path):
    seen: dict = {}
    slots = {slot: asking(slot, offers.names(slot), seen) for slot in WORK}
    going(tmp_path, replace(grpo.recipe(), **slots, **SMALL))
    assert set(WORK) == set(seen)  # who judges gives `turns` to a verifier: test_events.py
    assert {slot for offer in offers.OFFERS.values() for slot in offer.slots} == {*WORK, "verify"}
    # An objective is also called to see what reference it needs, without a policy.
    seen["objective"] = [named for named in seen["objective"] if named["policy"] is not None]
    for slot, calls in seen.items():
        last = calls[-1]
        assert set(last) == set(offers.names(slot)) and all(value is not None for value in last.values()), slot
    chosen, selected, learnt = (seen[slot][-1] for slot in ("curriculum", "select", "objective"))
    assert [c["progress"] for c in seen["guard"]] == [0.5, 1.0] and chosen["progress"] == learnt["progress"] == 0.5
    assert len(chosen["evaluations"]) == 3  # the list itself: the start, and two rounds by now
    assert {str(arm): n for arm, n in chosen["totals"].items()} == {"say/1": 8}
    assert len(selected["demos"]) == 2 and selected["decode"](np.array([104, 105])) == "hi"
    assert [len(rows) for rows in (selected["entropy"], selected["logprobs"])] == [4, 4]
    assert isinstance(selected["buffer"], list) and learnt["losses"] == [0.0] and learnt["notes"] == {}
    told = selected["retell"](selected["demos"][0], [{"role": "user", "content": "again"}])
    assert isinstance(told, Sample) and told.rollout.parent == selected["demos"][0].rollout.id


@pytest.mark.parametrize("slot", SLOTS)
def test_what_there_is_not_is_refused_before_the_run_and_what_there_is_is_named(slot):
    recipe = replace(grpo.recipe(), **{slot: asking(slot, ["crystal_ball"], {})})
    has = ", ".join(offers.names(slot)) or "nothing"
    with pytest.raises(UserError, match=f"asks for crystal_ball, and the loop offers that slot {has}"):
        offers.check(recipe)
    offers.check(replace(recipe, **{slot: asking(slot, offers.names(slot), {})}))


def test_the_lists_that_other_rooms_have_are_the_same():
    """A bandit gives a curriculum what the loop does, but for what only a model knows; an objective is known before a step."""
    assert {*state.NAMES, "progress", "embed", "tried", "angles", "worked"} == set(offers.names("curriculum"))
    first_objective(replace(grpo.recipe(), objective=asking("objective", offers.names("objective"), {})))


def test_contributing_has_the_list():
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert offers.listing() in text, "the table there is not that of offers.listing(): put it in"


def held(**slots):
    """Just enough of a run to keep things."""
    kept = state.State(kept={"a": np.zeros(2)})
    return SimpleNamespace(recipe=replace(grpo.recipe(), **slots), state=kept, notes={"deep": [1]}, buffer=["s"], steps=[])


def test_nothing_is_made_for_nobody():
    moment = Moment(held(), 0, 1, 0.5)
    for slot in WORK:
        assert set(moment.offered(slot)) == set(offers.names(slot)) and not any(moment.offered(slot).values())
        assert moment.bound(slot) is getattr(moment.this.recipe, slot)
    assert moment.made == {} and [offers.asked(moment.this.recipe, where) for where in ("json", "arrays")] == [[], []]


def test_what_a_step_wrote_is_the_runs_only_once_it_has_learnt():
    this = held()
    moment = Moment(this, 0, 1, 0.5)
    moment.get("kept")["a"] += 1  # in place
    moment.get("notes")["deep"].append(2)
    moment.get("buffer").append("t")
    assert (this.state.kept["a"].tolist(), this.notes, this.buffer) == ([0, 0], {"deep": [1]}, ["s"])
    live = this.state.kept, this.notes, this.buffer
    moment.adopt()
    assert (this.state.kept["a"].tolist(), this.notes, this.buffer) == ([1, 1], {"deep": [1, 2]}, ["s", "t"])
    assert all(a is b for a, b in zip(live, (this.state.kept, this.notes, this.buffer), strict=True))


def test_more_samples_make_anew_what_select_is_given_and_nothing_else():
    moment = Moment(held(), 0, 1, 0.5)
    moment.get("kept")["a"] += 1
    moment.get("buffer").append("t")
    moment.see(["another"], ["task"])
    assert moment.get("kept")["a"].tolist() == [1, 1] and moment.get("buffer") == ["s"] and moment.samples == ["another"]
