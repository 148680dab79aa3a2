"""Where rollouts went: each group counted once, under its cause."""

from __future__ import annotations

import json

import numpy as np
from typer.testing import CliRunner

from sharpen.cli import program
from sharpen.core import Rollout, Sample, Task, Verdict
from sharpen.report import signal
from sharpen.store import Position, Store


def samples(step: int, group: int, family: str, outcomes: str) -> list[Sample]:
    """A group, by the first letters of its outcomes."""
    names = {"c": ("correct", 1.0), "w": ("wrong", 0.0), "m": ("malformed", 0.0), "u": ("unscorable", None)}
    task = Task(({"role": "user", "content": f"{family} {step} {group}"},), "4", family, 1)
    tokens = np.arange(4, dtype=np.int32)
    return [
        Sample(
            Rollout(task, tokens, tokens > 1, np.zeros(4, np.float32), ("4",), "end", step, 0, f"{step}.{group}.{i}"),
            Verdict(*names[letter]),
            group,
        )
        for i, letter in enumerate(outcomes)
    ]


def test_each_group_is_counted_under_its_cause(tmp_path):
    with Store.create(tmp_path, {}) as store:
        first = [samples(3, g, f, o) for g, (f, o) in enumerate([("a", "ccw"), ("a", "cccu"), ("b", "www"), ("b", "mmm")])]
        first += [samples(3, 4, "b", "mw"), samples(3, 5, "a", "cu")]
        store.add_samples("train", 3, 1, [s for group in first for s in group])
        store.add_batch(3, first[0])
        store.add_step(3, "loop", 1, {})
        later = samples(4, 0, "b", "cw")
        store.add_samples("train", 4, 1, later)
        store.add_batch(4, [*later, first[0][0], first[1][0], first[1][0]])  # three replayed, one of them twice
        store.add_step(4, "loop", 1, {})
        store.commit(Position("loop", 5, 1, accepted="this"), lambda d: (d / "w").write_text("1"))
        found, late = signal.signal(store), signal.signal(store, since=4)
    whole = found["all"]
    assert [whole[f"groups_{why}"] for why in ("mixed", *signal.CAUSES)] == [2, 1, 2, 1, 1] and whole["groups"] == 7
    assert whole["rollouts"] == 3 + 3 + 3 + 3 + 2 + 1 + 2 and whole["silent"] == 5 / 7
    assert (whole["fresh"], whole["replayed"], whole["replay"]) == (5, 3, 3 / 8)
    assert list(found["arms"]) == ["b/1", "a/1"] and found["arms"]["a/1"]["groups_alone"] == 1
    assert late["all"]["groups"] == 1 and late["all"]["silent"] == 0 and late["arms"]["a/1"]["silent"] is None
    shown = CliRunner().invoke(program.app, ["signal", str(tmp_path), "--json"])
    assert shown.exit_code == 0 and json.loads(shown.stdout) == found
    assert "all\t7\t2\t1\t2\t1\t1\t71%\t8\t38%" in CliRunner().invoke(program.app, ["signal", str(tmp_path)]).stdout
