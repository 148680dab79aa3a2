"""The warm-up: it ends when enough is right, and the loop begins where it would have begun after all of its steps."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sharpen import tasks, verify
from sharpen.core import Sample
from sharpen.loop import loop, warmup
from sharpen.models.scripted import ScriptedPolicy
from sharpen.rollouts import UNTOLD
from sharpen.store.store import Store
from sharpen.terminal import terminal

SMALL = (
    *("student=micro", "precision=fp32", "warmup_steps=9", "warmup_rows=4", "warmup_demos=0", "warmup_until=0.5"),
    *("prompts=2", "samples=2", "validation=1", "test=1", "round_steps=1", "max_tokens=4", "retain=0", "unreadable_limit=1"),
)


def test_a_warm_up_ends_at_the_first_look_that_finds_enough(tmp_path, monkeypatch):
    looks = []

    def enough(this, arms, step):
        looks.append(step)
        return step >= 4

    monkeypatch.setattr(warmup, "LOOK", 2)
    monkeypatch.setattr(warmup, "enough", enough)
    request = loop.Request("grpo", SMALL, 0, "1steps", None, "step_chain", tmp_path / "run")
    loop.start(request, terminal.Quiet())
    with Store.open(tmp_path / "run") as store:
        steps = store.rows("SELECT step, phase FROM steps ORDER BY step")
    assert looks == [2, 4] and [tuple(s) for s in steps] == [*((i, "warmup") for i in range(4)), (9, "loop")]


@pytest.mark.parametrize(
    ("right", "wanted", "found"), [(1.0, 0.5, True), (0.0, 0.5, False), (0.5, 0.5, True), (0.5, 0.6, False)]
)
def test_enough_is_a_share_of_new_training_questions_that_are_answered_at_once(right, wanted, found):
    source, asked = tasks.step_chain(2), []

    def answer(messages):
        asked.append(messages[-1]["content"])
        start, _, rest = asked[-1].removeprefix("Start at ").partition(", count mod 10: ")
        number = (int(start) + sum(map(int, rest.split()))) % 10
        return f"<answer>{number if len(asked) <= right * warmup.LOOKED else 'x'}</answer>"

    def judged(made, numbers):
        return [Sample(one, verify.verify(one.task, one.response), 0) for one in made]

    recipe = SimpleNamespace(warmup_until=wanted, max_tokens=9)
    this = SimpleNamespace(source=source, seed=0, recipe=recipe, policy=ScriptedPolicy(answer), roles={}, asking=UNTOLD)
    this.judges, this.progress = SimpleNamespace(judge=judged), SimpleNamespace(say=lambda text: None)
    assert warmup.enough(this, source.arms, 25) is found
    first = set(asked)
    warmup.enough(this, source.arms, 50)
    assert len(first) > 100 and len(first & set(asked[warmup.LOOKED :])) < 20  # other questions at the next look
