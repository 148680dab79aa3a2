"""A run whose temperature, rate, rollouts and replay follow what it shows goes on where it was, and says what it decided."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from test_resume import assert_same

from sharpen.core import UserError
from sharpen.guard import adapting
from sharpen.loop import loop
from sharpen.recipes import catalog
from sharpen.store.store import Store
from sharpen.terminal import terminal

SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_steps=20", "warmup_rows=16", "warmup_demos=0", "warmup_lr=0.004", "prompts=4"),
    *("samples=4", "early=2", "round_steps=6", "validation=8", "test=4", "max_tokens=8", "replay=4", "replay_focus=0.7"),
    *("replay_half_life=5", "adapt=all", "lr=0.02", "guard=ratchet"),
)


def run(directory: Path, pieces: bool) -> list[str]:
    said: list[str] = []
    progress = terminal.Quiet()
    progress.say = said.append
    request = loop.Request("quickstart", SETTINGS, 1, "12steps", None, "chain_sum/1-2", directory)
    loop.start(request, progress, pause=lambda: pieces)
    for _ in range(3 if pieces else 0):
        loop.resume(directory, progress, pause=lambda: True)
    return said


def test_a_run_that_follows_what_it_shows_can_be_taken_up_anywhere(tmp_path):
    said = run(tmp_path / "whole", False)
    run(tmp_path / "pieces", True)
    assert_same(tmp_path / "whole", tmp_path / "pieces")
    with Store.open(tmp_path / "whole") as store, Store.open(tmp_path / "pieces") as other:
        steps, rounds, found = (
            [s for s in store.steps() if s["phase"] == "loop"],
            store.rounds(),
            store.meta().get("adapted", []),
        )
        assert found == other.meta().get("adapted", [])
        sizes = Counter(store.rows("SELECT count(*) FROM rollouts WHERE purpose = 'train' GROUP BY step")[0])
        groups = store.rows("SELECT count(*) FROM rollouts WHERE purpose = 'train' GROUP BY step, grp")
    assert set(sizes) == {16} and min(n for (n,) in map(tuple, groups)) >= 2 and len({n for (n,) in map(tuple, groups)}) > 1
    assert {s["temperature"] for s in steps if s["round"] == 1} == {1.0, adapting.STEP}
    assert all(0 <= s["balance"] <= 1 and s["entropy"] > 0 for s in steps)
    worse = [r["round"] for r in rounds[:-1] if r["answer"] == "worse"]
    assert [c["round"] for c in found if c["name"] == "lr"] == worse
    assert sum("after round" in text for text in said) == len(found)


def test_what_makes_no_sense_is_refused():
    for settings, says in (
        (["adapt=heat"], "'heat' cannot follow a run; lr, temperature can"),
        (["replay=0", "objective=grpo", "replay_focus=0.5"], "nothing is: set replay too"),
        (["early=4"], "early=4 leaves nothing for later: it must be below samples=4"),
    ):
        with pytest.raises(UserError, match=says):
            catalog.build("quickstart", settings)
