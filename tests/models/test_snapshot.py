"""What is written of a copied policy is the policy of that moment, whatever has become of it since."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sharpen.core import Batch, TaskSource
from sharpen.models import embedded, policy, save_soon, saving
from sharpen.models.snapshot import copied
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
    assert save_soon(local, str(tmp_path / "now")) is None  # a processor has nothing to gain
    local.update(batch(2), policy_gradient.grpo(), 1e-2)
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
