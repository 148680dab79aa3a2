"""Every recipe that the catalog finds learns a toy task with a real, tiny model; interrupted and resumed it is bit for bit the
same run."""

from __future__ import annotations

import itertools
import json
import statistics

import pytest

from sharpen import catalog, loop, rollout, terminal
from sharpen.store import Store
from test_resume import Impatient, rows, weights

SETTINGS = (
    *("precision=fp32", "lr=0.001", "lr_end=1", "average=0", "round_steps=10", "validation=4", "test=4"),
    *("max_tokens=6", "guard=always"),
)
WARMUP = ("student=micro", "warmup_levels=3", "warmup_steps=50", "warmup_rows=32", "warmup_demos=0", "warmup_lr=0.004")
STEPS = 30
SIZES = {
    # Of some thirty tasks, fifteen subsets would have two each.
    "cures": ("prompts=16", "samples=8", "subsets=1"),
    # Four tasks a step pull a student this small to and fro.
    "view_batch": ("prompts=16", "samples=8", "views=2"),
}
SLOW = {"chain_of_hindsight": 60, "d3s": 45}  # two tongues to learn at once; a fifth of the tokens
RECIPES = [info.name for info in catalog.recipes()]


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    """Say what you were told: one to three letters. Two families, so that there are two arms, equally hard."""
    path = tmp_path_factory.mktemp("echo") / "echo.jsonl"
    words = ["".join(w) for n in (1, 2, 3) for w in itertools.product("abc", repeat=n)]
    lines = [
        {"prompt": f"Echo {w}", "answer": w, "family": ("echo", "mirror")[i % 2], "solution": w} for i, w in enumerate(words)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def warmed(echo, tmp_path_factory):
    """A student that answers every second question right: what a warm-up makes of it, made once for all recipes."""
    directory = tmp_path_factory.mktemp("warmed") / "run"
    settings = (*(s for s in SETTINGS if s != "lr=0.001"), *WARMUP, "lr=0", "prompts=16")
    loop.start(loop.Request("grpo", settings, 0, "1steps", None, str(echo), directory), terminal.Quiet())
    with Store.open(directory) as store:
        return store.checkpoint_path(store.last_commit().accepted)


def settings_of(name: str, warmed) -> tuple[str, ...]:
    made = catalog.build(name)
    size = SIZES.get(name, ("prompts=128",) if shows(made) else ("prompts=16", "samples=8"))
    if rollout.demonstrating(made.rollout) is not rollout.demonstrate:  # it asks after a mark, which its warm-up has to show
        return (*SETTINGS, *WARMUP, *size)
    return (*SETTINGS, f"student={warmed}", "warmup_steps=0", *size)


def shows(made) -> bool:
    """Whether a recipe is shown the answers instead of giving its own: then it needs as many rows as others have rollouts."""
    return made.rollout is rollout.demonstrate


@pytest.mark.parametrize("name", RECIPES)
def test_it_learns_and_resumed_is_the_same(name, echo, warmed, tmp_path):
    def request(directory: str) -> loop.Request:
        budget = f"{SLOW.get(name, STEPS)}steps"
        return loop.Request(name, settings_of(name, warmed), 0, budget, None, str(echo), tmp_path / directory)

    loop.start(request("whole"), terminal.Quiet())
    with Store.open(tmp_path / "whole") as store:
        steps = [s for s in store.steps() if s["phase"] == "loop"]
    shown = shows(catalog.build(name))  # then what it learns shows in the loss
    measured = "loss" if shown else "correct"
    first, last = (statistics.fmean(s[measured] for s in part) for part in (steps[:10], steps[-10:]))
    # Without learning (lr=1e-9) the largest rise of any recipe is 0.01.
    assert last < 0.85 * first if shown else last > first + 0.05

    with pytest.raises(KeyboardInterrupt):
        loop.start(request("stopped"), Impatient("loop", after=14))
    loop.resume(tmp_path / "stopped", terminal.Quiet())
    stopped, whole = rows(tmp_path / "stopped"), rows(tmp_path / "whole")
    stopped.pop("commits"), whole.pop("commits")  # the interruption is one commit more
    assert stopped == whole
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")
