"""Every recipe that the catalog finds learns a toy task with a real, tiny model; interrupted and resumed it is bit for bit the
same run."""

from __future__ import annotations

import itertools
import json
import statistics

import pytest

from sharpen import catalog, loop, terminal
from sharpen.recipe import first_objective
from sharpen.store import Store
from test_resume import Impatient, rows, weights

SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_levels=3", "warmup_steps=50", "warmup_rows=32", "warmup_demos=0"),
    *("warmup_lr=0.004", "lr=0.001", "lr_end=1", "average=0", "round_steps=10", "validation=4", "test=4"),
    *("max_tokens=6", "guard=always"),
)
STEPS = 30
SIZES = {
    # Recipes that are shown the answer need as many rows as the others have rollouts.
    "sft": ("prompts=128",),
    # Of some thirty tasks, fifteen subsets would have two each.
    "cures": ("prompts=16", "samples=8", "subsets=1"),
}
# One pair a prompt, of its extremes, needs more prompts rather than more answers to each.
SIZES |= {info.name: ("prompts=32", "samples=4") for info in catalog.recipes() if info.family == "preference"}
RECIPES = [info.name for info in catalog.recipes()]


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    """Say what you were told: one to three letters. Two families, so that there are two arms, equally hard."""
    path = tmp_path_factory.mktemp("echo") / "echo.jsonl"
    words = ["".join(w) for n in (1, 2, 3) for w in itertools.product("abc", repeat=n)]
    families = ("echo", "mirror")
    lines = [{"prompt": f"Echo {w}", "answer": w, "solution": w, "family": families[i % 2]} for i, w in enumerate(words)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def teacher(echo, tmp_path_factory):
    """The directory of a student of the same vocabulary that has been shown the answers for longer."""
    directory = tmp_path_factory.mktemp("teacher") / "run"
    settings = ["warmup_steps=200" if s.startswith("warmup_steps") else s for s in SETTINGS]
    loop.start(loop.Request("sft", tuple(settings), 0, "1steps", None, str(echo), directory), terminal.Quiet())
    with Store.open(directory) as store:
        return store.checkpoint_path(store.last_commit().accepted)


@pytest.mark.parametrize("name", RECIPES)
def test_it_learns_and_resumed_is_the_same(name, echo, tmp_path, request):
    taught = first_objective(catalog.build(name)).reference == "teacher"
    more = (f"teacher={request.getfixturevalue('teacher')}",) if taught else ()

    def asked(directory: str) -> loop.Request:
        settings = (*SETTINGS, *SIZES.get(name, ("prompts=16", "samples=8")), *more)
        return loop.Request(name, settings, 0, f"{STEPS}steps", None, str(echo), tmp_path / directory)

    loop.start(asked("whole"), terminal.Quiet())
    with Store.open(tmp_path / "whole") as store:
        steps = [s for s in store.steps() if s["phase"] == "loop"]
    measured = "loss" if name == "sft" else "correct"  # it is shown the answers: what it learns shows in the loss
    first, last = (statistics.fmean(s[measured] for s in part) for part in (steps[:5], steps[-5:]))
    assert last < 0.7 * first if name == "sft" else last > first + 0.08

    with pytest.raises(KeyboardInterrupt):
        loop.start(asked("stopped"), Impatient("loop", after=14))
    loop.resume(tmp_path / "stopped", terminal.Quiet())
    stopped, whole = rows(tmp_path / "stopped"), rows(tmp_path / "whole")
    stopped.pop("commits"), whole.pop("commits")  # the interruption is one commit more
    assert stopped == whole
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")
