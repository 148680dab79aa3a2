"""Guided runs, killed and resumed: what a ladder, a schedule by success and a steered temperature keep comes back bit for
bit."""

from __future__ import annotations

import pytest
from test_resume import SETTINGS, assert_same, run_cases

from sharpen.store import Store

CASES = {
    "reverse_curriculum": (["recipe=reverse_curriculum", "target=0.5"], "library"),
    "ghpo": (["recipe=ghpo"], None),
    "acereason_11": (["recipe=acereason_11", "imitate=0", "short=0"], "notes"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_guided_run_that_is_killed_goes_on_as_if_it_never_was(tmp_path, name):
    more, kept = CASES[name]
    said = run_cases(tmp_path, [*SETTINGS, *more, "guard=always"], ["committed:3", "events:2"])
    assert "killed 1" in said
    for case in ("committed-3", "events-2"):
        assert_same(tmp_path / "whole", tmp_path / case)
    with Store.open(tmp_path / "whole") as store:
        meta = store.meta()
    assert kept is None or meta[kept].get("unaided" if kept == "library" else "temperature")
