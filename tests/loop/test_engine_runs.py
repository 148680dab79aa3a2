"""A run whose student is answered for by an engine is the run of one process, bit for bit; what goes wrong there stops it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sharpen import loop, models, tasks
from sharpen.core import FatalDiagnosis
from sharpen.models import embedded
from sharpen.serve import contract
from sharpen.store import Store
from sharpen.terminal import terminal

SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_steps=3", "warmup_rows=8", "warmup_levels=1", "warmup_demos=0", "prompts=2"),
    *("samples=3", "round_steps=2", "validation=2", "test=2", "max_tokens=8", "unreadable_limit=1", "guard=always"),
)


def run(recipe: str, directory: Path, fault: str | None, steps: int = 2, settings: tuple[str, ...] = ()) -> list:
    """All rollouts and the accepted weights; `fault` None: in one process."""
    servers = []
    if fault is not None:
        student = models.LocalPolicy(*embedded.build("micro", tasks.parse_spec("chain_sum/1"), 3), "fp32", device="cpu")
        servers = [contract.Server(contract.Engine(student, "student", fault)).begin()]
    try:
        asked = (*SETTINGS, *settings)
        engines = tuple(server.url for server in servers)
        request = loop.Request(recipe, asked, 3, f"{steps}steps", None, "chain_sum/1", directory, engines=engines)
        loop.start(request, terminal.Quiet())
    finally:
        for server in servers:
            server.stop()
    with Store.open(directory) as store:
        rows = store.rows("SELECT id, tokens, logprobs, version FROM rollouts ORDER BY id")
        folder = store.verified(store.last_commit().accepted)
        return [*map(tuple, rows), *(file.read_bytes() for file in sorted(folder.glob("*.safetensors")))]


@pytest.mark.parametrize("recipe", ["grpo", "ppo", "online_dpo"])
def test_through_an_engine_it_is_the_same_run(tmp_path, recipe):
    assert run(recipe, tmp_path / "here", None) == run(recipe, tmp_path / "there", "")
    assert len(list((tmp_path / "there" / "published").iterdir())) <= 3


def test_weights_that_are_not_loaded_stop_the_run(tmp_path):
    with pytest.raises(FatalDiagnosis, match=r"^stale_weights .*should run version \d+"):
        run("grpo", tmp_path / "run", "stale_weights", 6, ("lr=0.01", "objective=sft"))
    with Store.open(tmp_path / "run") as store:  # what was answered by them was not learnt from
        assert max(version for (version,) in store.rows("SELECT version FROM rollouts")) < 3 + 6
