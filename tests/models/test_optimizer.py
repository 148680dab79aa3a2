"""Moments of eight bits: a block by hand, how far they are off, and that learning, saving and resuming go on with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sharpen.core import Batch, TaskSource, UserError
from sharpen.models import embedded, optimizer, policy, test_time
from sharpen.objectives import policy_gradient

NOWHERE = TaskSource("none", (), lambda arm, split, index, seed: None)  # type: ignore[arg-type,return-value]
EXACT = "model.embed_tokens.weight"
COARSE = "model.layers.0.mlp.down_proj.weight"  # (64, 160): one block a row


def student(bits: int = 8, seed: int = 0, precision: str = "fp32", lora: int = 0) -> policy.LocalPolicy:
    made = embedded.build("micro", NOWHERE, seed)
    return policy.LocalPolicy(*made, precision, lora=lora, device="cpu", optimizer_bits=bits)


def batch(seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(10, 20, 16)
    mask = ((np.arange(20) < lengths[:, None]) & (np.arange(20) > 3)).astype(np.float32)
    ones = np.ones(16, np.float32)
    return Batch(rng.integers(5, 200, (16, 20)), mask, -5.0 * mask, rng.random(16).round(), np.arange(16) // 4, ones, lengths)


def packed(values: torch.Tensor, signed: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    codes = torch.zeros(values.shape, dtype=torch.uint8)
    scales = torch.zeros(len(values), -(-values.shape[1] // optimizer.BLOCK))
    optimizer.pack(values, codes, scales, signed)
    return optimizer.unpacked(codes, scales, signed), codes, scales


def test_a_block_by_hand():
    """Divided by 4: 1, -0.5, 0.01, 0. In the decade below 1 there are 64 parts of 0.0140625: the middle of the 29th is
    0.1 + 28.5 * 0.0140625 = 0.50078125. Next to 0.01 lie 0.01 * (1 - 0.9 / 32) = 0.00971875 and 0.01140625."""
    found, codes, scales = packed(torch.tensor([[4.0, -2.0, 0.04, 0.0], [0.0, 0.0, 0.0, 0.0]]), True)
    torch.testing.assert_close(found[0], torch.tensor([4.0, -2.003125, 0.038875, 0.0]))
    assert scales.tolist() == [[4.0], [0.0]] and not found[1].any() and codes[0, 0] == 255
    values = optimizer.tree(True)
    assert len(values) == len(values.unique()) == 256 and values[-2] == torch.tensor(1 - 0.9 / 128)
    assert values[values > 0][0] == torch.tensor(5.5e-7)  # of one part of the lowest decade, 1e-7 to 1e-6


@pytest.mark.parametrize("signed", [True, False])
def test_every_number_becomes_the_nearest_value_but_for_what_float16_loses_and_second_moments_never_vanish(signed):
    rng = np.random.default_rng(0)
    numbers = torch.tensor(rng.normal(size=(9, 700)) * 10.0 ** rng.uniform(-6, 0, (9, 700)), dtype=torch.float32)
    numbers = numbers if signed else numbers.square()
    found, _, scales = packed(numbers, signed)
    blocks = torch.nn.functional.pad(numbers, (0, 2)).view(9, 3, 234)
    assert torch.equal(scales, blocks.abs().amax(-1))
    shares = numbers / scales.repeat_interleave(234, 1)[:, :700]
    values = optimizer.tree(signed)[0 if signed else 1 :]
    nearest = (shares.unsqueeze(-1) - values).abs().amin(-1)
    off = (found - numbers).abs() / scales.repeat_interleave(234, 1)[:, :700]
    assert (off <= nearest + shares.abs() * 2**-10 + 1e-7).all()
    assert signed or (found > 0).all()


def test_the_first_update_is_torchs_and_rows_are_updated_alike_however_many_there_are():
    generator = torch.Generator().manual_seed(0)
    weights, gradient, more = (torch.randn(600, 256, generator=generator) for _ in range(3))  # more than is done at once
    parameter = torch.nn.Parameter(weights.clone())
    exact = torch.optim.AdamW([parameter], lr=1e-2, betas=(0.9, 0.98), weight_decay=0.0)
    settings, state = exact.param_groups[0], optimizer.fresh(weights)
    own, last = weights.clone(), weights[590:].clone()
    beside = optimizer.fresh(last)
    for step, g in enumerate((gradient, more)):
        for into, grads, kept in ((own, g, state), (last, g[590:], beside)):
            kept["step"] += 1
            optimizer.advance(into, grads, kept, settings)
        parameter.grad = g
        exact.step()
        assert torch.equal(own[590:], last)
        off = (own - parameter.detach()).abs()
        assert off.max() < 1e-6 if step == 0 else off.square().mean().sqrt() < 5e-4, off.square().mean().sqrt()  # of 1e-2


@pytest.mark.parametrize("kind", [{}, {"precision": "bf16"}, {"lora": 40}])
def test_learning_is_that_of_32_bits_and_goes_on_after_a_save_bit_for_bit(kind, tmp_path: Path):
    exact, local = student(32, **kind), student(8, **kind)
    losses = {p: [p.update(batch(), policy_gradient.sft(), 3e-3)["loss"] for _ in range(6)] for p in (exact, local)}
    assert losses[local][0] == losses[exact][0]
    gained = losses[exact][0] - losses[exact][-1]
    assert gained > 0.01 and abs(losses[local][-1] - losses[exact][-1]) < 0.03 * gained
    local.save(str(tmp_path))
    other = student(8, seed=0 if kind.get("lora") else 9, **kind)
    other.load(str(tmp_path))
    for one in (local, other):
        one.update(batch(1), policy_gradient.sft(), 3e-3)
    assert all(torch.equal(a, b) for a, b in zip(local.trained.values(), other.trained.values(), strict=True))
    assert len(local.optimizer.coarse) > 5


def test_a_checkpoint_holds_what_is_quantised_as_such_and_the_other_kind_is_refused(tmp_path: Path):
    for bits in (8, 32):
        local = student(bits)
        local.update(batch(), policy_gradient.sft(), 1e-3)
        local.save(str(tmp_path / str(bits)))
    held = load_file(tmp_path / "8" / "optimizer.safetensors")
    assert {k.partition(":")[0] for k in held if k.endswith(f":{COARSE}")} == {"step", *optimizer.CODES}
    assert held[f"exp_avg_8bit:{COARSE}"].dtype == torch.uint8 and held[f"exp_avg_sq_scale:{COARSE}"].shape == (64, 1)
    assert held[f"exp_avg:{EXACT}"].dtype == torch.float32
    with pytest.raises(UserError, match="moments of 32 bits, and this run's have 8. Set optimizer_bits=32"):
        student(8).load(str(tmp_path / "32"))
    with pytest.raises(UserError, match="Set optimizer_bits=8"):
        student(32).load(str(tmp_path / "8"))
    with pytest.raises(UserError, match="optimizer_bits=16: the optimizer's moments have 32 bits, or 8"):
        student(16)


def test_what_is_learnt_for_one_question_leaves_no_trace():
    local = student(8)
    local.update(batch(), policy_gradient.sft(), 1e-3)
    before = {p: {k: t.clone() for k, t in kept.items()} for p, kept in local.optimizer.state.items()}
    with test_time.adapted(local, [("1 + 1 =", "2")], steps=2, lr=1e-2):
        pass
    assert all(torch.equal(t, before[p][k]) for p, kept in local.optimizer.state.items() for k, t in kept.items())
