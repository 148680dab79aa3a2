"""What is written of a copied policy is the policy of that moment, whatever has become of it since."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sharpen.core import Batch, TaskSource
from sharpen.models import embedded, policy, save_soon, saving
from sharpen.models.snapshot import Lent, copied
from sharpen.objectives import policy_gradient

NOWHERE = TaskSource("none", (), lambda arm, split, index, seed: None)  # type: ignore[arg-type,return-value]


def batch(seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    mask = np.tile((np.arange(12) > 3).astype(np.float32), (8, 1))
    reward, ones = (np.arange(8) % 3).astype(np.float32), np.ones(8, np.float32)
    return Batch(rng.integers(0, 250, (8, 12)), mask, -mask, reward, np.arange(8) // 4, ones, np.full(8, 12))


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_a_copy_is_written_as_it_was(tmp_path: Path) -> None:
    local = policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), "fp32")
    local.extrapolate(0.5)
    local.update(local.prepare(batch(0), policy_gradient.ppo()), policy_gradient.ppo(), 1e-3)
    local.update(batch(1), policy_gradient.grpo(), 1e-3)
    then = copied(local)
    (tmp_path / "lent").mkdir()
    rest = save_soon(local, str(tmp_path / "lent"))
    local.save(str(tmp_path / "now"))
    assert not files(tmp_path / "lent"), "nothing is written before somebody asks for it"
    local.update(batch(2), policy_gradient.grpo(), 1e-2)
    assert rest is not None and local.lent is None
    assert rest() is None and files(tmp_path / "lent") == files(tmp_path / "now"), "whoever changes the weights waits for it"
    saving.write(then, saving.state(then), str(tmp_path / "later"))
    assert files(tmp_path / "later") == files(tmp_path / "now")
    local.save(str(tmp_path / "after"))
    assert files(tmp_path / "after") != files(tmp_path / "now")


def test_adapters_are_merged_before_the_policy_learns_on(tmp_path: Path) -> None:
    """Merging borrows the model's layers for a moment; what is left for later is only to be written."""
    local = policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), "fp32", lora=4)
    local.update(batch(0), policy_gradient.grpo(), 1e-2)
    then = copied(local)
    state = saving.state(then)
    local.save(str(tmp_path / "now"))
    local.update(batch(1), policy_gradient.grpo(), 1e-2)
    latest = {n: p.detach().clone() for n, p in local.model.named_parameters()}
    saving.write(then, state, str(tmp_path / "later"))
    assert files(tmp_path / "later") == files(tmp_path / "now")
    assert all((p == latest[n]).all() for n, p in local.model.named_parameters())


def changes(local: policy.LocalPolicy, tmp_path: Path) -> dict[str, Callable[[], object]]:
    local.save(str(tmp_path / "other"))
    return {
        "a step": lambda: local.update(batch(2), policy_gradient.grpo(), 1e-2),
        "going back": lambda: local.load(str(tmp_path / "other")),
        "extrapolation": lambda: local.extrapolate(0.5),
        "the mean": lambda: local.averaged().__enter__(),
    }


@pytest.mark.parametrize("change", ["a step", "going back", "extrapolation", "the mean"])
def test_whatever_changes_weights_waits_for_who_reads_them(change: str, tmp_path: Path) -> None:
    local = policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), "fp32", 0.9)
    local.update(batch(1), policy_gradient.grpo(), 1e-3)
    made = changes(local, tmp_path)[change]
    (tmp_path / "lent").mkdir()
    rest = save_soon(local, str(tmp_path / "lent"))
    local.save(str(tmp_path / "now"))
    made()
    assert rest is not None
    rest()
    assert files(tmp_path / "lent") == files(tmp_path / "now")


def test_a_step_while_the_weights_are_read_waits_until_they_are() -> None:
    said: list[str] = []
    begun, go = threading.Event(), threading.Event()

    def write() -> None:
        begun.set()
        assert go.wait(900)
        said.append("written")

    lent = Lent(write)
    writer, changer = threading.Thread(target=lent), threading.Thread(target=lambda: (lent.back(), said.append("changed")))
    writer.start()
    assert begun.wait(900)
    changer.start()
    go.set()
    for thread in (writer, changer):
        thread.join(900)
    assert said == ["written", "changed"]


def test_what_fails_is_told_to_who_commits_and_not_to_who_learns() -> None:
    def full() -> None:
        raise OSError(28, "no space")

    lent = Lent(full)
    lent.back()
    with pytest.raises(OSError, match="no space"):
        lent()
