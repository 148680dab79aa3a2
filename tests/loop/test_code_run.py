"""A run whose verdicts run code: the sandbox decides, its level is in every verdict, and nothing starts below what is asked."""

import pytest

from sharpen import sandbox
from sharpen.core import UserError
from sharpen.loop import loop
from sharpen.store.store import Store
from sharpen.terminal import terminal

LEVEL = sandbox.probe()
boxed = pytest.mark.skipif(LEVEL.level != "full", reason=f"the sandbox is only {LEVEL.level}: {'; '.join(LEVEL.reasons)}")
SMALL = (
    *("student=micro", "precision=fp32", "warmup_steps=3", "warmup_rows=15", "warmup_demos=2", "prompts=5", "samples=2"),
    *("replay=4", "round_steps=2", "validation=1", "test=1", "max_tokens=24"),
)


@boxed
def test_every_verdict_of_a_run_comes_from_the_sandbox(tmp_path, monkeypatch):
    monkeypatch.setenv("SHARPEN_ISOLATION", "full")
    request = loop.Request("code_quickstart", SMALL, 0, "2steps", directory=tmp_path / "run")
    loop.start(request, terminal.Quiet())
    with Store.open(tmp_path / "run") as store:
        shown = list(store.read_rollouts("warmup"))
        tried = list(store.read_rollouts("train")) + list(store.read_rollouts("test"))
    assert shown and all(s.verdict.correct and s.verdict.isolation == "full" for s in shown)
    assert len(tried) >= 20 + 20  # two steps, and a test task of each arm
    for sample in tried:  # an untrained student writes noise: judged, never our fault
        assert sample.verdict.outcome != "unscorable"
        assert sample.verdict.isolation == "full" or "no code" in sample.verdict.feedback


def test_nothing_starts_at_a_level_that_is_none(tmp_path):
    with pytest.raises(UserError, match="isolation='fuller'"):
        loop.start(
            loop.Request("code_quickstart", ("isolation=fuller",), 0, "1steps", directory=tmp_path / "run"), terminal.Quiet()
        )
    assert not (tmp_path / "run").exists()
