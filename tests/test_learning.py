"""Every recipe that the catalog finds learns a toy task with a real, tiny model, and interrupted and resumed it is bit for bit
the same run."""

from __future__ import annotations

import itertools
import json
import statistics

import pytest
from test_resume import Impatient, rows, weights

from sharpen import catalog, loop, terminal
from sharpen.store import Store

SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_levels=3", "warmup_steps=50", "warmup_rows=32", "warmup_demos=0"),
    *("warmup_lr=0.004", "samples=8", "lr=0.001", "lr_end=1", "average=0", "validation=4", "test=4"),
    *("max_tokens=6", "guard=always"),
)
RECIPES = {info.name: info for info in catalog.recipes()}


def echo(path, levels: bool):
    """Say what you were told: one to three letters. With `levels`, as many as the level says."""
    words = ["".join(w) for n in (1, 2, 3) for w in itertools.product("abc", repeat=n)]
    lines = [{"prompt": f"Echo {w}", "answer": w, "family": "echo", "level": len(w) if levels else 1} for w in words]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def request(name: str, directory) -> loop.Request:
    """A run of 30 steps; of 15 for a curriculum, whose parent's learning is shown by the parent."""
    curriculum = RECIPES[name].family == "curriculum"
    steps, lr = (15, "lr=0.002") if curriculum else (30, "lr=0.001")
    # Recipes that are shown the answer need as many rows as the others have rollouts.
    sizes = ("prompts=128",) if name == "sft" else ("prompts=16", "samples=8")
    kept = tuple(s for s in SETTINGS if not s.startswith(("samples", "lr=")))
    tasks = echo(directory.parent / "echo.jsonl", levels=curriculum)
    settings = (*kept, *sizes, lr, f"round_steps={5 if curriculum else 30}")
    return loop.Request(name, settings, 0, f"{steps}steps", None, str(tasks), directory)


@pytest.mark.parametrize("name", RECIPES)
def test_it_learns_and_resumed_is_the_same(name, tmp_path):
    loop.start(request(name, tmp_path / "whole"), terminal.Quiet())
    with Store.open(tmp_path / "whole") as store:
        steps = [s for s in store.steps() if s["phase"] == "loop"]
    ends = steps[:3], steps[-3:]
    if name == "sft":  # it is shown the answers: what it learns shows in the loss
        first, last = (statistics.fmean(s["loss"] for s in part) for part in ends)
        assert last < 0.7 * first
    else:
        with Store.open(tmp_path / "whole") as store:
            first, last = (statistics.fmean(s["correct"] for s in part) for part in ends)
        print(name, first, last)
    with pytest.raises(KeyboardInterrupt):
        loop.start(request(name, tmp_path / "stopped"), Impatient("loop", after=8))
    loop.resume(tmp_path / "stopped", terminal.Quiet())
    stopped, whole = rows(tmp_path / "stopped"), rows(tmp_path / "whole")
    stopped.pop("commits"), whole.pop("commits")  # the interruption is one commit more
    assert stopped == whole
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")
