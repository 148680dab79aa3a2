"""Older rollouts: the decoupled objective is the objective itself on present ones, and weighs each token otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sharpen.core import Batch
from sharpen.objectives import decoupled, off_policy, policy_gradient, weigh


def batch(sampling, before, forced=None) -> Batch:
    sampling, before = np.array(sampling, np.float32), np.array(before, np.float32)
    n, t = sampling.shape
    mask = np.ones((n, t), np.float32)
    reward = np.array([1.0] + [0.0] * (n - 1), np.float32)
    given = np.zeros((n, t), np.int64), mask, sampling, reward, np.zeros(n, np.int64), np.ones(n, np.float32)
    return Batch(*given, np.full(n, t), before=before, forced=forced)


def test_on_present_rollouts_it_is_the_objective_itself():
    logp = torch.tensor([[-1.0, -2.0], [-0.5, -3.0]])
    one = batch([[-1.1, -1.7], [-0.9, -2.6]], [[-1.1, -1.7], [-0.9, -2.6]])
    for made in (policy_gradient.grpo(), policy_gradient.reinforce(), policy_gradient.cispo()):
        assert torch.allclose(weigh(made, one, logp)[0], weigh(decoupled(made), one, logp)[0])


def test_by_hand():
    """GRPO clips at 0.2 around the policy before the step. Token 1: ratio e^0.1, weight e^0.3; token 2: weight e^2 cut to 2."""
    older = batch([[-1.3, -3.0], [-1.0, -1.0]], [[-1.0, -1.0], [-1.0, -1.0]])
    logp = torch.tensor([[-0.9, -1.1], [-1.0, -0.5]])
    plain, found = (weigh(m, older, logp)[0] for m in (policy_gradient.grpo(), decoupled(policy_gradient.grpo())))
    scale = float(plain[1, 0])  # ratio 1 and weight 1: what a token of the wrong answer counts
    assert found[1, 0] == plain[1, 0] and found[1, 1] == pytest.approx(scale * np.exp(0.5))  # against it, no clip above
    assert found[0, 0] == pytest.approx(-scale * np.exp(0.1) * np.exp(0.3)) and plain[0, 0] == 0.0  # e^0.4 is clipped there
    assert found[0, 1] == pytest.approx(-scale * np.exp(-0.1) * 2.0)


def test_what_nobody_drew_and_what_knows_of_older_policies_is_left_alone():
    given = batch([[0.0, 0.0], [-1.0, -1.0]], [[-5.0, -5.0], [-1.0, -1.0]], np.array([True, False]))
    logp = torch.full((2, 2), -1.0)
    made = policy_gradient.reinforce()
    assert torch.equal(weigh(made, given, logp)[0], weigh(decoupled(made), given, logp)[0])
    own = off_policy.remix(progress=0.5)
    assert own.before and decoupled(own) is own


def test_of_one_update_the_policy_before_it_is_the_one_that_is_trained():
    older, logp = [[-1.3, -3.0], [-1.0, -1.5]], [[-0.9, -1.1], [-1.0, -0.5]]
    made, now = policy_gradient.grpo(), torch.tensor(logp)
    once = decoupled(made, once=True)
    assert not once.before and decoupled(made).before
    unseen = replace(batch(older, logp), before=None)
    assert torch.equal(weigh(once, unseen, now)[0], weigh(decoupled(made), batch(older, logp), now)[0])
