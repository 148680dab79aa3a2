"""Every recipe that the catalog finds learns a toy task with a real, tiny model, and learns it the same way twice."""

from __future__ import annotations

import itertools
import json
import statistics

import pytest

from sharpen import catalog, loop, terminal
from sharpen.store import Store

SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_levels=3", "warmup_steps=50", "warmup_rows=32", "warmup_demos=0"),
    *("warmup_lr=0.004", "samples=8", "lr=0.001", "lr_end=1", "average=0", "round_steps=30", "validation=4", "test=4"),
    *("max_tokens=6", "guard=always"),
)
STEPS = 30


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    """Say what you were told: one to three letters."""
    path = tmp_path_factory.mktemp("echo") / "echo.jsonl"
    words = ["".join(w) for n in (1, 2, 3) for w in itertools.product("abc", repeat=n)]
    lines = [{"prompt": f"Echo {w}", "answer": w, "family": "echo"} for w in words]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def train(recipe: str, echo, directory) -> list[dict]:
    # Recipes that are shown the answer need as many rows as the others have rollouts.
    prompts = "prompts=128" if recipe == "sft" else "prompts=16"
    settings = (*SETTINGS, prompts) if recipe != "sft" else (*(s for s in SETTINGS if s != "samples=8"), prompts)
    loop.start(loop.Request(recipe, settings, 0, f"{STEPS}steps", None, str(echo), directory), terminal.Quiet())
    with Store.open(directory) as store:
        return [s for s in store.steps() if s["phase"] == "loop"]


@pytest.mark.parametrize("name", [info.name for info in catalog.recipes()])
def test_it_learns_and_twice_the_same(name, echo, tmp_path):
    steps = train(name, echo, tmp_path / "once")
    if name == "sft":  # it is shown the answers: what it learns shows in the loss
        first, last = (statistics.fmean(s["loss"] for s in part) for part in (steps[:5], steps[-5:]))
        assert last < 0.7 * first
    else:
        first, last = (statistics.fmean(s["correct"] for s in part) for part in (steps[:5], steps[-5:]))
        assert last > first + 0.08
    again = train(name, echo, tmp_path / "twice")
    assert steps == again
