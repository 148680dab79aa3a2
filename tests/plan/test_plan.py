"""Plans: what fits, what is cheapest, what a fitted device predicts, and what to type."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sharpen import plan as planning
from sharpen.core import UserError
from sharpen.plan import Load, Plan, annealed, best, cost, simulated
from sharpen.plan.cost import learning_memory

SEVEN, H100, LOAD = planning.shape("7b"), planning.device("h100"), Load()


def test_memory_by_part_is_what_is_held():
    one, eight = (learning_memory(Plan(1, n), SEVEN) for n in (1, 8))
    n = SEVEN.parameters
    assert one["master and optimizer"] == 12 * n == 8 * eight["master and optimizer"]  # float32 weights and two moments
    rough = learning_memory(Plan(1, 1, bits=8), SEVEN)["master and optimizer"]
    table = SEVEN.vocabulary * SEVEN.width  # keeps 32 bits; a block of 256 numbers has a scale of 4 bytes
    assert rough == pytest.approx(4 * n + 8 * table + (2 + 8 / 256) * (n - table))
    assert one["weights"] == eight["weights"] == 2 * n  # gathered whole for a step
    assert one["gradients"] == 4 * n > learning_memory(Plan(1, 1, lora=32), SEVEN)["gradients"] * 100
    assert (
        learning_memory(Plan(1, 1, micro=4096), SEVEN)["activations"]
        < 2.1 * learning_memory(Plan(1, 1, micro=2048), SEVEN)["activations"]
    )
    assert cost(Plan(1, 1), SEVEN, H100, LOAD).why == "learning needs 141 GB a device"
    assert cost(Plan(1, 1), SEVEN, H100, replace(LOAD, reference=True)).why == "learning needs 156 GB a device"


def test_what_does_not_fit_is_not_planned_and_adapters_come_where_whole_weights_do_not_fit():
    assert best(SEVEN, H100, LOAD, 16)[0].lora == 0
    assert best(SEVEN, H100, LOAD, 1)[0].lora == 32
    assert best(planning.shape("70b"), H100, LOAD, 8) is None


def test_annealing_finds_what_looking_at_all_finds():
    for devices in (8, 16):
        everything = best(SEVEN, H100, LOAD, devices, 0)
        assert annealed(SEVEN, H100, LOAD, devices, 0, None, 1)[1].step <= everything[1].step * 1.02


def test_more_devices_never_cost_more_and_being_ahead_hides_the_shorter_part():
    steps = [best(SEVEN, H100, LOAD, n, 0)[1].step for n in (8, 16, 32)]
    assert steps == sorted(steps, reverse=True)
    plan = Plan(8, 8, tensor=2, lora=32)
    slow, fast = (cost(replace(plan, ahead=k), SEVEN, H100, LOAD) for k in (0, 1))
    assert fast.step < slow.step and fast.step >= max(fast.seconds["generate"], fast.seconds["learn"])


@pytest.mark.parametrize("devices", [16, 1024])
def test_the_formula_is_near_what_a_simulation_with_drawn_lengths_says(devices):
    load = Load(rows=16 * devices)
    plan, price = best(SEVEN, H100, load, devices)
    assert simulated(plan, SEVEN, H100, load, 2) == pytest.approx(price.step, rel=0.15)


def test_a_device_is_fitted_to_measurements_and_predicts_them():
    decoded = [(rows, 0.002 + 1e-5 * rows) for rows in (4, 16, 64)]
    learnt = [(tokens, 0.05 + 2e-4 * tokens) for tokens in (256, 1024)]
    here = planning.measure.fitted(decoded, learnt, 1e6, 1e18)
    small = planning.Shape("small", 1e6, 2, 64, 64, 256)
    found = planning.cost(Plan(1, 1, together=True, micro=10**9, recompute=False), small, here, Load(64, 16, 24, 24, False))
    assert found.seconds["generate"] == pytest.approx(24 * (0.002 + 64e-5) + 16 * 16 * 2e-4 / 3, rel=0.01)  # 16 prompts
    assert found.seconds["learn"] == pytest.approx(0.05 + 2e-4 * 64 * 28, rel=0.01)


def test_sizes_devices_and_commands():
    assert planning.shape("13b").parameters == 13e9
    with pytest.raises(UserError, match="neither a size"):
        planning.shape("seven")
    with pytest.raises(UserError, match="Did you mean 'h100'"):
        planning.device("h10")
    said = planning.commands(Plan(4, 4, tensor=2, lora=16, ahead=1), "M", H100, LOAD)
    assert "torchrun --nnodes 1 --nproc-per-node 4 -m sharpen run grpo --model M" in said and "--max-loras 3" in said
    assert "http://node0:8000,http://node0:8001 --shard fsdp --ahead 1" in said and "--set lora=16" in said
    assert "--set prompts=128 --set samples=4" in said  # the rows that were planned for
