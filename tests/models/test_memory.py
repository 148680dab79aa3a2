"""A GPU's memory that ends, scripted: a layer that raises what torch raises there."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sharpen.core import Batch, TaskSource, UserError
from sharpen.models import embedded, logprobs, memory, policy
from sharpen.models.engine import generate
from sharpen.objectives import policy_gradient

NOWHERE = TaskSource("none", (), lambda arm, split, index, seed: None)  # type: ignore[arg-type,return-value]


@pytest.fixture
def local() -> policy.LocalPolicy:
    return policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), "fp32", micro_tokens=400)


def batch(rows: int = 64) -> Batch:
    rng = np.random.default_rng(0)
    lengths = rng.integers(10, 20, rows)
    mask = (np.arange(20) < lengths[:, None]) & (np.arange(20) > 3)
    reward, group = (rng.random(rows) < 0.5).astype(np.float32), np.arange(rows) // 4
    return Batch(
        rng.integers(0, 250, (rows, 20)),
        mask.astype(np.float32),
        -mask.astype(np.float32),
        reward,
        group,
        np.ones(rows),
        lengths,
    )


def ends(model, when) -> None:
    """From now on the model runs out of memory at each use of its first layer for which when(number of the use, tokens)."""
    uses: list[int] = []

    def look(module, given):
        uses.append(len(given[0]))
        if when(len(uses), uses[-1]):
            raise torch.OutOfMemoryError("CUDA out of memory (scripted)")

    model.model.layers[0].mlp.down_proj.register_forward_pre_hook(look)


def test_a_pass_that_does_not_fit_is_halved_to_the_same_gradient(local):
    """The second pass fails, when the first has left its gradient; the step begins again with passes of 256 tokens."""
    whole = local.direction(batch(), policy_gradient.dapo())
    ends(local.model, lambda use, tokens: tokens > 300 and use > 1)
    with pytest.warns(UserWarning, match="out of GPU memory: passes have 256 tokens"):
        halved = local.direction(batch(), policy_gradient.dapo())
    for a, b in zip(halved, whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-7)
    assert local.micro_tokens == 256
    local.direction(batch(), policy_gradient.dapo())  # and stays so, without another word


def test_what_is_only_looked_at_is_halved_too(local):
    whole = local.logprobs(batch())
    ends(local.model, lambda use, tokens: tokens > 300)
    with pytest.warns(UserWarning, match="out of GPU memory"):
        np.testing.assert_allclose(local.logprobs(batch()), whole, atol=1e-5)


def test_where_nothing_fits_the_cure_is_named_and_nothing_is_left_behind(local):
    ends(local.model, lambda use, tokens: True)
    with pytest.warns(UserWarning), pytest.raises(UserError, match="recompute=true"):
        local.update(batch(), policy_gradient.dapo(), 1e-3)
    assert all(p.grad is None for p in local.trained.values())


def test_generation_that_does_not_fit_goes_on_in_halves_with_the_same_answers(local):
    rng = np.random.default_rng(0)
    asked = [generate.Request(rng.integers(5, 200, 3 + i % 4).astype(np.int32), i, 1 + i) for i in range(12)]
    whole = generate.generate(local.model, asked, [-1], 0, compile=False)
    ends(local.model, lambda use, tokens: 6 < tokens < 12)  # once rows have left, some answers are there already
    with pytest.warns(UserWarning, match="generating them in two halves"):
        halved = generate.generate(local.model, asked, [-1], 0, compile=False)
    assert [m.tokens.tolist() for m in halved] == [m.tokens.tolist() for m in whole]
    ends(local.model, lambda use, tokens: True)
    with pytest.warns(UserWarning), pytest.raises(UserError, match="does not hold one row"):
        generate.generate(local.model, asked, [-1], 0, compile=False)


def test_even_passes_are_of_like_size():
    data = batch()
    sizes = [int(data.lengths[rows].sum()) for rows in logprobs.passes(data, np.arange(64), 400)]
    even = [int(data.lengths[rows].sum()) for rows in logprobs.passes(data, np.arange(64), 400, even=True)]
    assert sum(sizes) == sum(even) and len(even) == len(sizes)
    assert min(sizes) < 200 and min(even) > 0.8 * max(even) and max(even) <= 400


def test_a_pass_has_as_many_tokens_as_a_gpu_has_room_for():
    """By hand for Qwen2.5-0.5B: a layer keeps 4 * 896 + (2 * 14 + 2 * 2) * 64 + 2 * 4864 = 15,360 numbers of a token."""
    shape = dict(hidden_size=896, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2, intermediate_size=4864)
    there = SimpleNamespace(device=torch.device("cuda"), dtype=torch.bfloat16, config=SimpleNamespace(**shape))
    assert memory.pass_tokens(there, False) == 8 * 10**9 // (15360 * 24 * 2)
    assert memory.pass_tokens(there, True) == memory.GPU_TOKENS


def test_a_pass_is_as_long_as_its_activations_fit():
    def tokens(layers: int, dtype: torch.dtype, recompute: bool = False) -> int:
        config = SimpleNamespace(num_hidden_layers=layers, hidden_size=576, intermediate_size=1536)
        return memory.pass_tokens(SimpleNamespace(config=config, dtype=dtype, device=torch.device("cpu")), recompute)

    # 30 layers * (9 * 576 + 3.5 * 1536) numbers a token, of four bytes: 1,267,200 bytes; 2**29 of them are 423 tokens.
    assert tokens(45, torch.bfloat16) == 847  # half the bytes, and half as much again of the layers and of the room
    assert tokens(30, torch.float32) == 423
    assert tokens(30, torch.float32, recompute=True) == 1536
    assert tokens(3, torch.float32) == 1536  # the embedded student's size is bounded by speed alone
    assert tokens(3000, torch.float32) == 256
    other = SimpleNamespace(config=SimpleNamespace(), dtype=torch.float32, device=torch.device("cpu"))
    assert memory.pass_tokens(other, False) == 1536


def test_offloading_what_is_nowhere_is_an_error():
    with pytest.raises(UserError, match="leave it out"):
        policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), "fp32", device="cpu", offload=True)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_a_policy_holds_is_told_by_part(precision, monkeypatch):
    """N weights: 4 N bytes of them and of gradients, 8 N of moments; in bf16 their image has 2 N more."""
    local = policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), precision, device="cpu")
    n = sum(p.numel() for p in local.model.parameters())
    assert memory.held(local).get("the optimizer's moments") is None and memory.told(local) == ""
    local.update(batch(), policy_gradient.dapo(), 1e-3)
    assert memory.told(local) == ""  # too little for a word
    monkeypatch.setattr(memory, "TOLD", 0)
    assert "the optimizer's moments" in memory.told(local)
    fresh = policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), precision, device="cpu")
    assert memory.told(fresh) == ""  # there are no moments before the first update
    found = memory.held(local)
    moments = found.pop("the optimizer's moments")
    assert 8 * n < moments < 8 * n + 1000  # each tensor counts its steps
    image = {f"weights that run in {precision}": 2 * n} if precision == "bf16" else {}
    assert found == {"trained weights": 4 * n, "their gradients": 4 * n} | image


def test_what_the_allocator_keeps_beyond_what_is_needed_is_given_back():
    """Blocks below its threshold for mapping, freed but for the last one, stay with the process until they are given back."""
    if (libc := memory._glibc()) is None:
        pytest.skip("the allocator is not glibc's")
    libc.malloc_trim(0)  # what tests before this one have left

    def work() -> tuple[int, bytearray]:
        """Bytes that are kept unused, and the block that is still in use."""
        before, blocks = memory.resident(), [bytearray(b"x") * 100_000 for _ in range(2000)]
        last = bytearray(b"x") * 100_000
        del blocks
        return memory.resident() - before, last

    place = memory.Unused(more=100 * 2**20, share=0.0)
    place.give_back()
    noted, (left, last) = place.needed, work()
    assert left > 150 * 2**20 and noted
    place.give_back()
    assert memory.resident() < noted + 50 * 2**20 and len(last) == 100_000
    kept, last = work()  # what every step needs is left to it
    place.give_back()
    assert place.needed > noted + kept - 50 * 2**20
    again, last = work()
    place.give_back()
    assert again < 50 * 2**20 and memory.resident() > noted + kept - 50 * 2**20
    libc.malloc_trim(0)
    both = memory.Unused(more=100 * 2**20, share=0.0, places=2)
    both.give_back()  # where little is needed …
    kept, last = work()
    both.give_back()  # … and where more is: what stays for the one is not given back at the other
    both.give_back()
    assert kept > 150 * 2**20 and memory.resident() > noted + kept - 50 * 2**20
