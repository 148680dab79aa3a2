"""Controls: pure functions of a method, each without the one thing that it is to be without."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from sharpen import curriculum, rollouts
from sharpen.core import Arm, Ask, Task, UserError
from sharpen.loop import signature
from sharpen.recipe import SLOTS, Recipe, Stages, call, describe, opening
from sharpen.recipes import catalog, controls, validation

QUICKSTART = catalog.build("quickstart")


def differs(one: Recipe, other: Recipe) -> set[str]:
    return {f.name for f in fields(Recipe) if describe(getattr(one, f.name)) != describe(getattr(other, f.name))}


@pytest.mark.parametrize("name", controls.CONTROLS)
@pytest.mark.parametrize("recipe", ["quickstart", "frontier", "tulu", "rft", "looptool"])
def test_a_control_is_a_recipe_that_can_run_and_begins_as_the_method_does(recipe, name):
    method = catalog.build(recipe)
    try:
        made = controls.made(name, method)
    except UserError as error:
        assert "has no control" in str(error) and recipe in ("frontier", "tulu", "looptool", "rft")
        return
    for part in [made] if isinstance(made, Recipe) else [stage.recipe for stage in made.stages]:
        for slot in SLOTS:
            validation.callable_as(slot, getattr(part, slot))
    assert signature(opening(made), 0) == signature(opening(method), 0)  # so they share one warm-up
    assert str(controls.made(name, method)) == str(made)


def test_each_control_changes_what_it_says_and_nothing_else():
    made = {name: controls.made(name, QUICKSTART) for name in controls.CONTROLS}
    assert differs(made["untrained"], QUICKSTART) == {"control"}
    assert differs(made["even"], QUICKSTART) == {"curriculum"} and made["even"].curriculum is curriculum.uniform
    assert differs(made["shuffled"], QUICKSTART) == {"shuffled"}
    kept = {"guard", "lr", "lr_end", "average", "round_steps", "budget", "control", "tasks", "verify"}
    assert not kept & differs(made["solutions"], QUICKSTART)
    assert made["solutions"].prompts == QUICKSTART.prompts * QUICKSTART.samples + QUICKSTART.replay  # as long
    assert made["prompt"].select([1, 2]) == []  # nothing is ever learnt from


def test_a_method_of_stages_has_them_too():
    staged = catalog.build("tulu")
    assert isinstance(staged, Stages)
    made = controls.made("shuffled", staged)
    assert isinstance(made, Stages) and [s.recipe.shuffled for s in made.stages] == [s.recipe.samples > 1 for s in made.stages]
    assert [s.share for s in made.stages] == [s.share for s in staged.stages]
    assert isinstance(controls.made("untrained", staged), Recipe)


def test_what_a_method_cannot_have_is_told():
    with pytest.raises(UserError, match="no control 'even': it practises every arm alike already"):
        controls.made("even", catalog.build("grpo"))
    with pytest.raises(UserError, match="no control 'shuffled': it has one answer to a task"):
        controls.made("shuffled", catalog.build("sft"))
    with pytest.raises(UserError, match="no control 'solutions': .* asks for library"):
        controls.made("solutions", catalog.build("promst"))
    with pytest.raises(UserError, match="no control 'shufled'. Did you mean 'shuffled'"):
        controls.made("shufled", QUICKSTART)


def test_a_control_without_learning_stops_by_its_rounds():
    rounds = [{"round": i} for i in range(9)]
    made = controls.made("untrained", QUICKSTART)
    assert made.control(rounds[:1]) == "0 rounds were made"
    prompt = controls.made("prompt", QUICKSTART)
    n = len(rollouts.INSTRUCTIONS) - 1
    assert prompt.control(rounds[:n]) is None and prompt.control(rounds[: n + 1]) is not None


def test_an_instruction_stands_behind_the_question_and_none_is_the_first():
    task = Task(({"role": "system", "content": "s"}, {"role": "user", "content": "2 + 2?"}), "4", "sum", 1)
    asked = next(call(rollouts.instructed, task, kept={}))
    assert isinstance(asked, Ask) and asked.messages == task.prompt
    told = next(call(rollouts.instructed, task, kept={"instruction": np.array([3])}))
    assert told.messages[-1]["content"] == f"2 + 2?\n\n{rollouts.INSTRUCTIONS[3]}" and told.messages[0] == task.prompt[0]
    pictured = replace(task, prompt=({"role": "user", "content": [{"type": "image"}]},))
    told = next(call(rollouts.instructed, pictured, kept={"instruction": np.array([3])}))
    assert told.messages == ({"role": "system", "content": rollouts.INSTRUCTIONS[3]}, *pictured.prompt)


def test_every_instruction_is_tried_once_and_what_is_kept_says_which():
    arms, seen = [Arm("a", 1), Arm("b", 1)], []
    for done in range(len(rollouts.INSTRUCTIONS) - 1):
        kept: dict = {"instruction": np.array([0])}
        (choice,) = controls.next_instruction({}, arms, 1, 1, np.random.default_rng(done), kept=kept, totals={arms[0]: done})
        assert choice[1] == 1 and choice[0] in arms
        seen.append(int(kept["instruction"][0]))
    assert seen == list(range(1, len(rollouts.INSTRUCTIONS)))
