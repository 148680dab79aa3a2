"""An adapter by itself and what it lies on: the same model as when both were one, and nothing else under its name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.models import zoo
from tests.models.test_snapshot import batch

from sharpen.core import Batch, UserError
from sharpen.models import LocalPolicy, base, load_model, saving
from sharpen.models.loading import load_weights
from sharpen.objectives import policy_gradient


def adapted(path: Path, precision: str = "fp32", average: float = 0.0) -> LocalPolicy:
    """A student with adapters on the model of a directory, which knows what they lie on."""
    made = LocalPolicy(*load_model(path), precision, average, device="cpu", lora=2)
    made.base = base.of(path, precision)
    return made


def learnt(policy: LocalPolicy) -> LocalPolicy:
    rows: Batch = batch(0)
    for _ in range(2):
        policy.update(rows, policy_gradient.grpo(), 1e-2)
    return policy


@pytest.mark.parametrize(("kind", "precision"), [("llama", "fp32"), ("llama", "bf16"), ("gpt2", "fp32"), ("mixtral", "fp32")])
def test_what_is_loaded_is_bit_for_bit_what_would_have_been_merged(kind, precision, tmp_path):
    path = zoo.directory(tmp_path / "model", kind)
    local = learnt(adapted(path, precision))
    merged = {
        name: t.clone() for name, t in saving.adapters.merged(local.model, saving.weights(local.model, local.trained)).items()
    }
    local.save(str(tmp_path / "saved"))
    assert not list((tmp_path / "saved").glob("model*")) and not (tmp_path / "saved" / "tokenizer.json").exists()
    again, tokenizer = load_model(tmp_path / "saved")
    there = again.state_dict()
    assert there.keys() == merged.keys() and all(torch.equal(there[n], merged[n]) for n in merged)
    assert {p.requires_grad for p in again.parameters()} == {True}
    assert tokenizer.get_vocab() == local.tokenizer.get_vocab()


def test_a_policy_goes_on_from_its_adapter_bit_for_bit_with_a_running_mean_too(tmp_path):
    path = zoo.directory(tmp_path / "model", "llama")
    for average in (0.0, 0.9):
        local = learnt(adapted(path, average=average))
        place = tmp_path / f"saved-{average}"
        local.save(str(place))
        again = adapted(path, average=average)
        again.load(str(place))
        held = load_file(place / "optimizer.safetensors").keys()
        assert any(name.startswith("latest:") for name in held) == bool(average), "nothing is written twice"
        for policy in (local, again):
            learnt(policy)
        for a, b in zip((*local.trained.values(), *local.mean), (*again.trained.values(), *again.mean), strict=True):
            assert torch.equal(a, b)


def test_another_base_is_refused_and_a_copy_elsewhere_is_not(tmp_path):
    path = zoo.directory(tmp_path / "model", "llama")
    place = tmp_path / "run" / "checkpoints" / "000001"
    learnt(adapted(path)).save(str(place))
    (tmp_path / "run" / "run.db").touch()
    before = load_weights(place).state_dict()
    export = shutil.copytree(place, tmp_path / "export")
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"gone from .*model\. Put that model back\.$"):
        load_model(export)
    with pytest.raises(UserError, match=r"gone from .*model\. Put that model back, or a copy of it into .*run/base\."):
        load_model(place)
    shutil.copytree(tmp_path / "elsewhere", tmp_path / "run" / "base")
    assert all(torch.equal(t, before[n]) for n, t in load_weights(place).state_dict().items()), (
        "its hash says that it is the same"
    )
    flipped = tmp_path / "run" / "base" / "model.safetensors"
    content = bytearray(flipped.read_bytes())
    content[-1] ^= 1
    flipped.write_bytes(content)
    with pytest.raises(UserError, match=r"run/base/model\.safetensors has changed\. Put that model back"):
        load_model(place)
    (tmp_path / "elsewhere").rename(path)
    load_model(place)  # one of them is right
    again = adapted(path)
    again.base = base.of(tmp_path / "run" / "base", "fp32")
    with pytest.raises(UserError, match="is an adapter of another model than .*: model.safetensors differs"):
        again.load(str(place))


def test_a_damaged_adapter_is_said_so(tmp_path):
    path = zoo.directory(tmp_path / "model", "llama")
    place = tmp_path / "saved"
    learnt(adapted(path)).save(str(place))
    with pytest.raises(UserError, match="this run trains whole weights"):
        LocalPolicy(*load_model(path), "fp32", device="cpu").load(str(place))
    config = json.loads((place / "adapter_config.json").read_text())
    for rank, said in ((3, "does not fit it"), (10**12, "does not say the adapter's rank")):
        (place / "adapter_config.json").write_text(json.dumps({**config, "r": rank}))
        with pytest.raises(UserError, match=said):
            load_model(place)
    (place / "base.json").write_text('{"path": "x", "sums": {"../a": "b"}, "precision": "fp32"}')
    with pytest.raises(UserError, match="does not say what the adapter lies on"):
        load_model(place)
