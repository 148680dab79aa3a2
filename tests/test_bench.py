"""The benchmark against TRL compares like with like, and compares a result only with those of the same machine."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import common
import contenders
import gate
import gpu
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from sharpen.core import Batch
from sharpen.data import make_batch
from sharpen.models import policy

SHAPE = common.Shape(prompts=3, samples=4, tokens=12, ends=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    common.build_model(path, ends=True)
    return path


def test_the_tableau_is_trls_default_loss() -> None:
    """By hand: rewards 1 and 0 have mean 1/2 and sample deviation 1/√2; five tokens in all, those of the silent group too."""
    mask = np.array([[0, 1, 1], [0, 1, 0], [0, 1, 0], [0, 1, 0]], dtype=np.float32)
    ones = np.ones(4, dtype=np.float32)
    reward, group = np.array([1, 0, 1, 1], dtype=np.float32), np.array([0, 0, 1, 1])
    batch = Batch(np.zeros((4, 3), np.int64), mask, -mask, reward, group, ones, np.array([3, 2, 2, 2]))
    made = contenders.tableau()
    expected = 0.5 / (0.5**0.5 + 1e-4)
    np.testing.assert_allclose(made.advantage(batch), [expected, -expected, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(made.normaliser(batch), 1 / 5)


def test_the_gradient_read_from_the_optimizer_is_that_of_the_surrogate(model: Path) -> None:
    """Against autograd through transformers' own forward pass, row by row."""
    local = policy.LocalPolicy(*policy.load_model(model), precision="fp32")
    samples, _ = contenders.roll_out(local, contenders.tasks(SHAPE, 1), SHAPE, step=0)
    batch = make_batch(samples)
    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, local_files_only=True)
    advantage, total = contenders.tableau().advantage(batch), float(batch.mask.sum())
    for row, n in enumerate(batch.lengths):
        tokens = torch.from_numpy(batch.tokens[row, :n])[None]
        logp = plain(input_ids=tokens).logits[0, :-1].log_softmax(-1).gather(1, tokens[0, 1:, None]).squeeze(1)
        ratio = (logp - logp.detach()).exp()
        (-(advantage[row] / total) * (ratio * torch.from_numpy(batch.mask[row, 1:n])).sum()).backward()
    found, loss = gate.sharpen_gradient(local, batch)
    assert loss == pytest.approx(-float((advantage * batch.mask.sum(1)).sum()) / total, rel=1e-4)
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(found[name].float(), parameter.grad, rtol=2e-4, atol=2e-6)


@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="trl is not installed (make bench installs it)")
def test_the_gate_passes_beside_trl(model: Path) -> None:
    process, connection = contenders.started(gate.gate, replace(SHAPE, prompts=8, tokens=24), model)  # some of them end earlier
    found = contenders.ask(connection)
    process.join(900)
    assert found["passed"], found


def test_a_step_of_ours_is_made_and_taken_apart(model: Path) -> None:
    process, connection = contenders.started(contenders.sharpen_steps, SHAPE, model)
    assert set(contenders.ask(connection)) == {"seconds", "bf16"}
    made = contenders.ask(connection, "plain")
    connection.send("stop")
    process.join(900)
    assert made["trained_rows"] <= SHAPE.rows and made["tokens"] <= SHAPE.rows * SHAPE.tokens
    assert made["seconds"] >= made["generate"] + made["judge"] + made["learn"] > 0


def test_completions_have_full_length_unless_ends_are_let_fall(tmp_path: Path, model: Path) -> None:
    common.build_model(tmp_path, ends=False)
    for path, low, high in ((tmp_path, 0, 1e-4), (model, 1e-3, 1e-1)):
        loaded, tokenizer = policy.load_model(path)
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": "1 + 2"}], add_generation_prompt=True, return_tensors="pt"
        )
        with torch.inference_mode():
            probability = loaded(**ids).logits[0, -1].softmax(-1)[tokenizer.eos_token_id]
        assert low < probability < high


def test_half_of_the_prompts_are_silent_where_that_is_asked_for() -> None:
    asked = common.prompts(common.Shape(prompts=100), 10)
    worth = [common.reward(question, "abC", silent=True) for question in asked]
    assert set(worth) == {0.0, 2 / 3}
    assert 400 < worth.count(0.0) < 600
    assert common.reward(asked[0], "", silent=False) == 0.0


def test_a_result_is_compared_with_the_latest_of_the_same_machine_and_benchmark(tmp_path: Path) -> None:
    assert common.previous("a", 2, tmp_path) is None
    common.save("a", {"speed": 4.0}, 2, tmp_path)
    common.save("b", {"speed": 9.0}, 2, tmp_path)
    assert common.previous("a", 3, tmp_path) is None  # other threads: another machine
    earlier = common.previous("a", 2, tmp_path)
    assert earlier is not None
    assert common.changes(earlier[1], {"speed": 5.0, "new": 1.0}, ("speed", "new")) == ["speed: 4 → 5 (+25.0%)"]


def test_a_gpus_figures_are_compared_with_the_latest_of_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What runs on a GPU runs here too, on a model of two layers."""
    figures = gpu.measure("micro", "cpu", 1, True, (1e9, 1e9))
    assert {"decode_8", "over_transformers", "learn_tokens_per_second", "mfu", "step_seconds"} <= figures.keys()
    one = {"gpu": "NVIDIA A", "versions": {}, "shapes": {"micro": {"mfu": 0.2}}}
    gpu.record(one, True, tmp_path)
    gpu.record({**one, "shapes": {"micro": {"mfu": 0.3}}}, False, tmp_path)
    assert "mfu: 0.2 → 0.3 (+50.0%)" in capsys.readouterr().err
    assert gpu.previous("NVIDIA B", "micro", tmp_path) is None and common.previous("gpu NVIDIA A micro", 2, tmp_path) is None
