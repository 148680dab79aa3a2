"""The reference model of an objective, terms over the whole vocabulary, and passes that keep groups together."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from sharpen.core import Batch, Task, TaskSource, UserError
from sharpen.models import embedded, logprobs, policy
from sharpen.objectives import policy_gradient

NOWHERE = TaskSource("none", (), lambda arm, split, index, seed: Task((), None, "f", 1))


@pytest.fixture
def local(tmp_path) -> policy.LocalPolicy:
    """A policy that has moved away from its reference."""
    made = policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), "fp32")
    made.save(str(tmp_path / "start"))
    made.refer(str(tmp_path / "start"))
    made.update(batch(1), policy_gradient.grpo(), 5e-3)
    return made


def batch(seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 12, 8)
    mask = (np.arange(12) < lengths[:, None]).astype(np.float32)
    mask[:, :2] = 0
    ones = np.ones(8, np.float32)
    reward = np.array([0, 1] * 4, np.float32)
    return Batch(rng.integers(0, 250, (8, 12)), mask, -mask, reward, np.arange(8) // 2, ones, lengths)


def gradient(local: policy.LocalPolicy, tableau) -> torch.Tensor:
    """What `update` hands the optimizer, without taking the step; small enough not to be clipped."""
    found: list[torch.Tensor] = []
    local.optimizer.step = lambda: found.extend(p.grad.flatten().clone() for p in local.trained.values())  # type: ignore[method-assign]
    local.update(batch(), tableau, 1e-3)
    return torch.cat(found)


def logits(model) -> torch.Tensor:
    return model(torch.from_numpy(batch().tokens)).logits[:, :-1].log_softmax(-1)


def k2_pull(rows):
    """Minus the derivative of (logp - reference)² / 2."""
    return -(rows.logp - rows.reference)


def kl(found, other, tokens):
    p, q = found.log_softmax(-1), other.log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)


def nothing(rows):
    return torch.zeros_like(rows.logp)


def pulled(tableau, **parts):
    return dataclasses.replace(tableau, ratio=nothing, reference="start", **parts)


def test_an_extra_and_a_penalty_are_the_loss_written_out(local, monkeypatch):
    """Against transformers' own padded forward pass of both models; also in chunks of a few logits."""
    for chunk in (2**25, 1000):
        monkeypatch.setattr(logprobs, "CHUNK_LOGITS", chunk)
        mine, theirs = logits(local.model), logits(local.reference).detach()
        scale = torch.from_numpy(policy_gradient.token_mean(batch()))[:, None] * torch.from_numpy(batch().mask[:, 1:])
        ids = torch.from_numpy(batch().tokens[:, 1:, None])
        gap = (mine - theirs).gather(2, ids).squeeze(2)
        for tableau, loss in (
            (pulled(policy_gradient.sft(), extra=k2_pull), gap**2 / 2),
            (pulled(policy_gradient.sft(), penalty=kl), (mine.exp() * (mine - theirs)).sum(-1)),
        ):
            expected = torch.autograd.grad((scale * loss).sum(), list(local.trained.values()), retain_graph=True)
            flat = torch.cat([g.flatten() for g in expected])
            assert 0 < flat.norm() < policy.MAX_GRAD_NORM
            torch.testing.assert_close(gradient(local, tableau).double(), flat.double(), atol=1e-6, rtol=1e-4)


def test_the_reference_is_frozen_and_its_log_probabilities_are_its_own(local):
    found = logprobs.scores(local.model, batch(), np.arange(8), reference=local.reference, entropy=True)
    alone = logprobs.logprobs(local.reference, batch(), np.arange(8))
    assert found.reference is not None and not found.reference.requires_grad
    torch.testing.assert_close(found.reference, alone)
    assert (found.logp - found.reference).abs().max() > 1e-3
    entropy = -(logits(local.model).exp() * logits(local.model)).sum(-1) * torch.from_numpy(batch().mask[:, 1:])
    torch.testing.assert_close(found.entropy[:, 1:], entropy[:, : found.entropy.shape[1] - 1], atol=1e-5, rtol=1e-5)


def test_a_silent_row_is_pulled_back_too(local):
    silent = dataclasses.replace(batch(), reward=np.ones(8, np.float32))
    assert local.update(silent, policy_gradient.grpo(), 0.0)["rows_trained"] == 0
    stats = local.update(silent, dataclasses.replace(policy_gradient.grpo(), reference="start", extra=k2_pull), 0.0)
    assert stats["rows_trained"] == 8 and stats["grad_norm"] > 0


def test_without_its_reference_and_with_one_of_another_vocabulary_it_says_so(local, tmp_path):
    fresh = policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), "fp32")
    with pytest.raises(ValueError, match="compares with a reference model"):
        fresh.update(batch(), pulled(policy_gradient.sft(), extra=k2_pull), 1e-3)
    path = tmp_path / "start" / "tokenizer.json"
    known = json.loads(path.read_text())
    vocabulary = known["model"]["vocab"]
    a, b = list(vocabulary)[20:22]
    vocabulary[a], vocabulary[b] = vocabulary[b], vocabulary[a]
    path.write_text(json.dumps(known))
    with pytest.raises(UserError, match="its tokenizer is not the student's"):
        fresh.refer(str(tmp_path / "start"))


def test_together_no_group_is_cut():
    for together in (False, True):
        parts = list(logprobs.passes(batch(), np.arange(8), 8, together))
        cut = [set(batch().group[a]) & set(batch().group[b]) for a, b in zip(parts, parts[1:], strict=False)]
        assert any(cut) != together and sorted(np.concatenate(parts)) == list(range(8))
