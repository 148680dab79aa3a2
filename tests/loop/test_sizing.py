"""What a brought model gets: sizes worked out by hand, never over what the user said, and the same again on resume."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from sharpen import guard, loop
from sharpen.guard import control
from sharpen.loop import looking, sizing
from sharpen.loop.looking import Measured
from sharpen.models import LocalPolicy, embedded
from sharpen.recipes import catalog
from sharpen.store import Store
from sharpen.tasks import parse_spec
from sharpen.terminal import Quiet

FOUND = Measured(length=30.0, limit=38, cut=0.0, answer_s=0.05, learn_s=0.05)


def recipe(**numbers):
    return replace(catalog.build("grpo"), samples=8, **numbers)


def test_the_limit_is_where_most_answers_end_for_their_tokens():
    assert looking.worthwhile(np.array([20] * 9 + [500])) == 20  # 9 / 200 > 10 / 680
    assert looking.worthwhile(np.array([20] * 7 + [500] * 3)) == 500  # seven of ten are too few to go by
    assert looking.worthwhile(np.array([300, 400, 450, 500])) == 500  # no shorter one keeps four fifths
    assert looking.worthwhile(np.array([20, 20, 20, 30, np.inf])) == 30  # one that was cut off is longer than any
    assert looking.worthwhile(np.array([20, 20, np.inf])) == looking.LONGEST


def test_a_time_budget_by_hand():
    # 38 * 1.5 = 57, up to 64. A hundred steps of 600 s are 6 s each: 6 / 0.1 / 8 = 7.5 prompts, and 8 is the least. A step
    # is then 6.4 s, and 90 % of 600 s hold 84: four rounds of 21. A fifth of 600 s is 2,400 answers: over 16 arms and
    # 2 * 2 + 1 + 4 shares, 16 each.
    assert sizing.chosen(recipe(budget="600s"), FOUND, 16, set()) == dict(
        max_tokens=64, prompts=8, round_steps=21, validation=16, test=33
    )


def test_a_guard_that_counts_its_looks_gets_what_it_needs_and_retention_its_share():
    # As above, but that each validation task has half a retention question beside it: 2 * 2 + 1.5 * (1 + 4) shares, 13 each.
    watched = partial(replace, recipe(), guard=guard.sequential)
    values = sizing.chosen(watched(budget="600s"), FOUND, 16, set())
    assert (values["validation"], values["retain"], values["test"]) == (13, 64, 26)
    assert sizing.chosen(watched(budget="60s"), FOUND, 16, set())["retain"] == 8
    long = sizing.chosen(watched(budget="1000h"), FOUND, 1, set())
    times = -(-int(1000 * 3600 * 0.9 / (40 * 8 * 0.1)) // long["round_steps"])
    assert recipe().validation < long["validation"] == guard.needed(0.05, 1, times)
    assert sizing.chosen(recipe(budget="1000h"), FOUND, 1, set())["validation"] == recipe().validation


def test_what_is_measured_before_the_sizes_are_known():
    request = loop.Request("grpo", ("samples=8", "max_tokens=512"), 0, "9m")
    supposed = sizing.supposed(request)
    assert (supposed.prompts, supposed.samples, supposed.max_tokens) == (8, 8, 512)  # of 40 prompts that `grpo` has


def test_a_slow_model_has_few_prompts_rather_than_no_steps():
    slow = replace(FOUND, answer_s=2.0, learn_s=2.0)
    values = sizing.chosen(recipe(budget="600s"), slow, 16, set())
    assert values["prompts"] == 2  # 600 s / 10 steps / 4 s / 8 samples = 1.9
    # A fifth of the budget is 60 answers, 3.75 an arm: not even one round, the least there is, with two tasks an arm.
    assert (values["round_steps"], values["validation"], values["test"]) == (8, 1, 2)


def test_a_busy_processor_does_not_take_the_prompts():
    # Twenty times as slow because others have 95 % of the cores: the prompts are those of the model alone.
    crowded = replace(FOUND, answer_s=1.0, learn_s=1.0, busy=0.05)
    assert sizing.chosen(recipe(budget="600s"), crowded, 16, set())["prompts"] == 8
    assert sizing.chosen(recipe(budget="600s"), replace(crowded, busy=1.0), 16, set())["prompts"] == 3


def test_evaluations_are_sized_by_what_their_own_answers_cost():
    # Each has a prompt of its own, which in a step several share: twice as dear, half as many.
    values = sizing.chosen(recipe(budget="600s"), replace(FOUND, look_s=0.1), 16, set())
    assert (values["validation"], values["test"]) == (8, 16)


def test_what_the_user_set_stays():
    values = sizing.chosen(recipe(budget="600s", prompts=3, max_tokens=500), FOUND, 16, {"prompts", "max_tokens"})
    assert values.keys() == {"round_steps", "validation", "test"}
    assert values["round_steps"] == 50  # 540 s / 2.4 s = 225 steps, a quarter of them is 57, and 50 the most


def test_a_budget_of_steps_is_sized_without_a_clock():
    slow = replace(FOUND, answer_s=50.0, learn_s=9.0)
    for budget in ("40steps", "200ktokens"):
        made = recipe(budget=budget)
        assert sizing.chosen(made, FOUND, 16, set()) == sizing.chosen(made, slow, 16, set())


@pytest.mark.parametrize(("budget", "tokens", "wanted"), [
    ("2h", 512, ["a step takes 6:50", "a round of 20 2:21:40", "the budget allows about 16", "max_tokens=96 --set prompts=8"]),
    ("9m", 48, ["the budget allows 1;", "--set prompts=8"]),
    ("3steps", 48, ["the budget's 3 steps take 21:15"]),
    ("1steps", 48, ["the budget's 1 step takes"]),
])  # fmt: skip
def test_what_the_first_step_says(budget, tokens, wanted):
    stats = {"tokens": 31 * 160, "rollouts": 160, "truncated": 0.0}
    made = recipe(max_tokens=tokens, prompts=40, round_steps=20)
    said = sizing.told(made, stats, 410.0, 300.0, control.parse_budget(budget))
    assert "answers are 31 tokens long" in said
    assert all(part in said for part in wanted), said


def test_a_quick_run_is_told_no_cheaper_one():
    stats = {"tokens": 31 * 64, "rollouts": 64, "truncated": 0.0}
    assert "cheaper" not in sizing.told(recipe(), stats, 4.0, 8.0, control.parse_budget("10m"))


def test_sizes_are_part_of_the_run(tmp_path):
    source = parse_spec("spell_backward/1-2")
    LocalPolicy(*embedded.build("micro", source, 0)).save(str(tmp_path / "model"))
    request = loop.Request(
        "grpo",
        ("prompts=3", "samples=2", "max_tokens=8"),
        0,
        "2steps",
        str(tmp_path / "model"),
        "spell_backward/1-2",
        tmp_path / "run",
    )
    request, size = loop.fitted(request, False, print)
    loop.start(request, Quiet(), size=size)
    with Store.open(tmp_path / "run") as store:
        settings = dict(s.split("=") for s in store.meta()["request"]["settings"])
        assert settings.keys() == {"prompts", "samples", "max_tokens", "round_steps", "validation", "test"}
        assert settings["prompts"] == "3" and int(settings["round_steps"]) <= 2
        assert len(store.steps()) == 2
    loop.resume(tmp_path / "run", Quiet())  # the recipe is what it was


def test_ways_to_ask_and_draw_are_tried_where_no_recipe_was_named_and_only_what_is_open(tmp_path):
    source = parse_spec("spell_backward/1-2")
    policy = LocalPolicy(*embedded.build("micro", source, 0))
    said: list[str] = []
    progress = Quiet()
    progress.say = said.append
    request = loop.Request("grpo", ("samples=2", "max_tokens=4", "prompts=2"), 0, "2steps")
    sized = sizing.sized(request, policy, source, progress, picked=True)
    assert {s.split("=")[0] for s in sized.settings} >= {"samples", "round_steps", "validation", "test", "lr"}
    assert any("at temperature 0.8" in text and "short sentence" not in text for text in said)  # it is told nothing
    recipe = sizing.opening(loop.build_recipe(request))
    assert sizing.open_ways(recipe, policy, {"temperature"}) == [{"prompt_suffix": "auto", "temperature": 1.0}]


def test_an_embedded_student_is_left_alone_and_a_brought_one_gets_tasks(tmp_path):
    plain = loop.Request(model="tiny")
    assert loop.fitted(plain, True, print) == (plain, None)
    made, size = loop.fitted(loop.Request("grpo", model=str(tmp_path)), True, print)
    assert (made.tasks, made.budget, made.settings) == ("arithmetic", "15m", ("samples=8",)) and size
    own = loop.Request("grpo", ("samples=4", "tasks=default"), budget="3m", model=str(tmp_path))
    assert loop.fitted(own, True, print)[0] == own
