"""Loss and gradient equal those of TRL, to 1e-5 in float32, after each difference that is named here.

Common to all: sharpen minimises -(c * logp) with fixed coefficients, whose gradient is the surrogate's; the surrogate's value
is worked out beside it. The sampling log-probabilities of its batch are handed to TRL as those of the old policy.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from sharpen.core import Batch, Tableau, Task, TaskSource
from sharpen.models import embedded, logprobs, policy
from sharpen.objectives import advantage, policy_gradient
from sharpen.objectives.tableau import weigh

pytest.importorskip("trl", reason="TRL is not installed: pip install 'sharpen[dev]'")
import trl_losses

NOWHERE = TaskSource("none", (), lambda arm, split, index, seed: Task((), None, "f", 1))
LONGEST = 9  # tokens a completion; what Dr. GRPO divides by
# TRL divides by the deviation of a sample (n - 1) plus 1e-4.
TRL_NORMALISED = partial(advantage.normalised, unbiased=True, eps=1e-4)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("student")
    policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), "fp32").save(str(path))
    return path


@pytest.fixture(scope="module", params=[0, 1])
def batch(request, directory) -> Batch:
    """Three groups of four, the last silent, of different lengths; a behaviour policy so far away that both clips bind."""
    rng = np.random.default_rng(request.param)
    lengths = rng.integers(5, 3 + LONGEST, 12)
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.float32)
    mask[:, :3] = 0
    tokens = rng.integers(10, 250, mask.shape)
    tokens[:, :3] = np.repeat(rng.integers(10, 250, (3, 3)), 4, axis=0)
    reward = np.concatenate([rng.permutation([0, 1, 0, 1]), rng.permutation([0.0, 0.25, 1, 0]), [1, 1, 1, 1]]).astype(
        np.float32
    )
    ones, group = np.ones(12, np.float32), np.arange(12) // 4
    made = Batch(tokens, mask, -mask, reward, group, ones, lengths)
    local = policy.LocalPolicy(*policy.load_model(directory), "fp32")
    drift = rng.choice([-0.4, -0.1, 0.05, 0.3], mask.shape).astype(np.float32)
    return replace(made, sampling=(local.logprobs(made) - drift) * mask)


def ours(directory, batch: Batch, tableau: Tableau) -> dict[str, torch.Tensor]:
    """The gradient of what `update` minimises."""
    local = policy.LocalPolicy(*policy.load_model(directory), "fp32")
    return dict(zip(local.trained, [-g for g in local.direction(batch, tableau)], strict=True))


def surrogate(directory, batch: Batch, tableau: Tableau, value) -> float:
    """Minus the sum of normaliser * value(advantage, ratio, logp) over trained tokens."""
    model, _ = policy.load_model(directory)
    with torch.no_grad():
        logp = logprobs.logprobs(model, batch, np.arange(len(batch))).double()
    width = logp.shape[1]
    mask, old = torch.from_numpy(batch.mask[:, :width]), torch.from_numpy(batch.sampling[:, :width])
    credit = torch.from_numpy(tableau.advantage(batch))[:, None]
    scale = torch.from_numpy(tableau.normaliser(batch))[:, None] * mask
    weigh(tableau, batch, logp)  # and it is one that is accepted
    return -float((scale * value(credit, (logp - old).exp(), logp)).sum())


def clipped(credit, ratio, logp, low=0.2, high=0.2):
    return torch.minimum(ratio * credit, ratio.clamp(1 - low, 1 + high) * credit)


def grpo(**knobs) -> Tableau:
    return replace(policy_gradient.grpo(**knobs), advantage=TRL_NORMALISED)


CASES = {
    # name: (our tableau, the value of its surrogate, TRL's settings)
    "grpo": (grpo(), clipped, dict(loss_type="grpo")),
    # TRL's "bnpo" is the mean over the tokens of the batch.
    "token_mean": (grpo(per_token=True), clipped, dict(loss_type="bnpo")),
    # TRL keeps silent groups in the count of tokens, and samples no further; ours leave the count unless told.
    "dapo": (
        replace(policy_gradient.dapo(drop_silent=False), advantage=TRL_NORMALISED),
        partial(clipped, high=0.28),
        dict(loss_type="dapo", epsilon_high=0.28),
    ),
    "dr_grpo": (
        policy_gradient.dr_grpo(LONGEST),
        clipped,
        dict(loss_type="dr_grpo", scale_rewards="none", max_completion_length=LONGEST),
    ),
    # TRL's epsilon_high of this loss is the bound itself.
    "cispo": (
        replace(policy_gradient.cispo(high=1.2), advantage=TRL_NORMALISED),
        lambda credit, ratio, logp: ratio.clamp(max=1.2) * credit * logp,
        dict(loss_type="cispo", epsilon_high=1.2),
    ),
    "gspo": (
        replace(policy_gradient.gspo(clip_low=0.02, clip_high=0.03), advantage=TRL_NORMALISED),
        None,
        dict(loss_type="grpo", importance_sampling_level="sequence", epsilon=0.02, epsilon_high=0.03),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_grpo_and_its_kin(name, directory, batch):
    tableau, value, more = CASES[name]
    loss, theirs = trl_losses.policy_gradient("grpo", directory, batch, **more)
    assert trl_losses.distance(ours(directory, batch, tableau), theirs) < 1e-5
    if value is not None:
        assert surrogate(directory, batch, tableau, value) == pytest.approx(loss, rel=1e-5, abs=1e-6)


def test_rloo_of_several_updates(directory, batch):
    """TRL clips the ratio of the whole response: `loop(whole=True)`. A clip that binds nowhere and ratio 1 make it `rloo`."""
    loss, theirs = trl_losses.policy_gradient("rloo", directory, batch, epsilon=0.2)
    whole = policy_gradient.loop(whole=True)
    assert trl_losses.distance(ours(directory, batch, whole), theirs) < 1e-5
    model, _ = policy.load_model(directory)
    with torch.no_grad():
        logp = logprobs.logprobs(model, batch, np.arange(12)).double().numpy()
    ratio = np.exp(((logp - batch.sampling[:, : logp.shape[1]]) * batch.mask[:, : logp.shape[1]]).sum(1))
    credit = advantage.leave_one_out(batch)
    assert -np.minimum(ratio * credit, ratio.clip(0.8, 1.2) * credit).mean() == pytest.approx(loss, rel=1e-5)
    fresh = replace(
        batch, sampling=np.pad(logp, ((0, 0), (0, batch.mask.shape[1] - logp.shape[1]))).astype(np.float32) * batch.mask
    )
    loss, theirs = trl_losses.policy_gradient("rloo", directory, fresh)
    assert trl_losses.distance(ours(directory, fresh, policy_gradient.rloo()), theirs) < 1e-5


def test_sft(directory, batch):
    loss, theirs = trl_losses.supervised(directory, batch)
    tableau = policy_gradient.sft()
    assert trl_losses.distance(ours(directory, batch, tableau), theirs) < 1e-5
    assert surrogate(directory, batch, tableau, lambda credit, ratio, logp: credit * logp) == pytest.approx(loss, rel=1e-5)


def test_it_would_notice(directory, batch):
    """One wrong constant, of 1e-3, is a hundred times the tolerance."""
    _, theirs = trl_losses.policy_gradient("grpo", directory, batch, loss_type="grpo")
    other = replace(policy_gradient.grpo(), advantage=partial(advantage.normalised, unbiased=True, eps=2e-3))
    assert trl_losses.distance(ours(directory, batch, other), theirs) > 1e-4
