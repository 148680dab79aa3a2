"""Every example of CONTRIBUTING is run: each is as short as it says that things are, and does what stands beside it."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from sharpen import core, guard, models, objectives, recipe, rollouts, verify
from sharpen.core import Arm, Ask, Check, Evaluation, Role, Sampling, Score, Scored, Task, Verdict
from sharpen.data import keep_correct, lessons
from sharpen.guard import handover
from sharpen.objectives import policy_gradient, rewards
from sharpen.recipes import staging, validation
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import sft
from sharpen.verify import learnt

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
LONGEST = 25  # lines of an example
TASK = Task(({"role": "user", "content": "17 * 23 ="},), "391", "products", 1, data={"question": "17 * 23?"})


def examples() -> Iterator[str]:
    """The blocks of code, in the order of the page: lines that are indented by four or more."""
    lines: list[str] = []
    for line in [*TEXT.splitlines(), "."]:
        if line.startswith("    ") or (lines and not line):
            lines.append(line)
        elif lines:
            yield textwrap.dedent("\n".join(lines)).strip()
            lines = []


def example(begins: str) -> dict[str, Any]:
    """What the one example that has such a line defines; with what its text takes as imported, and nothing else."""
    (source,) = [found for found in examples() if re.search(rf"^{begins}", found, re.MULTILINE)]
    known = [*vars(core).items(), *vars(recipe).items()]
    space = {name: value for name, value in known if not name.startswith("_")}
    space |= dict(Any=Any, partial=partial, replace=replace, Tensor=torch.Tensor, keep_correct=keep_correct)
    space |= dict(guard=guard, handover=handover, learnt=learnt, lessons=lessons, objectives=objectives, staging=staging)
    space |= dict(policy_gradient=policy_gradient, rewards=rewards, rollouts=rollouts, verify=verify, grpo=grpo, sft=sft)
    space |= dict(parent=grpo.recipe())
    for part in ast.parse(source).body:
        if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):  # an expression stands for its value
            space["value"] = eval(compile(ast.Expression(part.value), "CONTRIBUTING.md", "eval"), space)
        else:
            future = ast.parse("from __future__ import annotations").body
            exec(compile(ast.Module([*future, part], []), "CONTRIBUTING.md", "exec"), space)
    return space


def driven(rollout, said, roles=None):
    policy = models.ScriptedPolicy(said)
    (made,) = rollouts.drive(policy, rollout, [TASK], ["a"], seed=0, max_tokens=32, sampling=Sampling(), roles=roles or {})
    return made


def test_every_example_is_short_and_one_of_those_below():
    tried = (
        "make check",
        "def recipe.clip",
        "def by_three",
        "def simpler",
        "def debated",
        "def liked",
        "def polite",
        "def halved",
    )
    tried += ("def twice_from", "def contrasted", "def recipe.imitate", "def solved_once")
    found = list(examples())
    assert len(found) == len(tried) and all(re.search(rf"^{t}", s, re.MULTILINE) for t, s in zip(tried, found))
    assert all(len(source.splitlines()) <= LONGEST for source in found)


def test_a_method_is_its_parent_at_its_neutral_knobs():
    made = example("def recipe.clip")
    validation.validate(made["recipe"]())
    assert recipe.identities(made["recipe"](**made["NEUTRAL"])) == recipe.identities(
        replace(grpo.recipe(), objective=partial(policy_gradient.grpo, clip_high=0.2))
    )


def test_a_guard_has_three_answers():
    judge, arm = example("def by_three")["by_three_tasks"], Arm("a", 1)
    few, many = (Evaluation({arm: (True,) * n + (False,) * (9 - n)}) for n in (1, 5))
    assert [judge(*pair).answer for pair in ((few, many), (few, few), (many, few))] == ["better", "unclear", "worse"]


def test_what_a_rival_says_carries_no_loss():
    made = example("def debated")
    rival = models.ScriptedPolicy(lambda messages: "I doubt it")
    rollout = driven(made["debated"], lambda messages: f"answer {len(messages)}", {"rival": rival})
    assert len(rollout.turns) == 2 and {span.author for span in rollout.spans} == {""}
    assert [turn.author for turn in rollout.others] == ["rival"]
    validation.validate(replace(grpo.recipe(), rollout=made["debated"], roles=(Role("rival", bound="student"),)))


def test_a_learnt_reward_keeps_the_verifiers_outcome():
    made = example("def liked")
    asked = made["liked"](TASK, "390")
    assert isinstance(next(asked), Check) and isinstance(asked.send(Verdict("wrong", 0.0)), Score)
    try:
        asked.send(Scored([0.0]))
    except StopIteration as end:
        assert (end.value.outcome, end.value.reward) == ("wrong", 0.5)
    validation.validate(replace(grpo.recipe(), verify=made["liked"], roles=(made["value"],)))


def test_a_judge_is_asked_and_an_environment_steps():
    made = example("def polite")
    asked = made["polite"](TASK, "Thank you")
    assert next(asked).role == "judge"
    try:
        asked.send(SimpleNamespace(text="Yes."))
    except StopIteration as end:
        assert end.value == Verdict("correct", 1.0)
    assert made["Maze"]().step("north").done


def test_a_shape_is_a_function_of_the_turns_rewards():
    made = example("def halved")
    assert made["halved"]([1.0, 1.0, 0.0]) == [0.5, 1.0, 0.0]
    validation.validate(made["value"])


def test_two_ways_from_one_beginning():
    rollout = driven(example("def twice_from")["twice_from"], lambda messages: "a longer answer than sixteen tokens are")
    assert rollout.stop in ("end", "length") and rollout.n_sampled > 0


def test_a_hook_sets_two_contexts_against_each_other():
    made = example("def contrasted")
    step = SimpleNamespace(logits=torch.tensor([[2.0, 0.0]]), beside=(torch.tensor([[2.0, 2.0]]),))
    assert made["contrasted"](step).tolist() == [[2.0, -1.0]]
    ask = next(made["without_trust"](TASK))
    assert isinstance(ask, Ask) and ask.hook.beside[0].messages[0]["content"] == "17 * 23?"


def test_stages_are_a_value_and_one_stage_is_its_recipe():
    made = example("def recipe.imitate")
    staging.validate(made["recipe"]())
    (only,) = made["recipe"](**made["NEUTRAL"]).stages
    assert recipe.identities(only.recipe) == recipe.identities(grpo.recipe()) and only.share == 1


def test_a_buffer_is_filled_and_asked_for_by_name():
    made = example("def solved_once")["solved_once"]
    said = SimpleNamespace(turns=("391",), task=TASK)
    right, wrong = (
        SimpleNamespace(verdict=Verdict(*found), rollout=said, group=0) for found in (("correct", 1.0), ("wrong", 0.0))
    )
    buffer: list = []
    assert recipe.asked_for(made) == {"buffer", "progress"}
    assert made([right, wrong], buffer=buffer, progress=0.1) == [right] and buffer == [right]
    assert made([right], buffer=buffer, progress=0.9) == [right, right] and len(buffer) == 2
