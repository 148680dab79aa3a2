"""Rankings, principles and sharpening: coefficients are the gradients of the losses that the docstrings name."""

import numpy as np
import pytest
import torch

from sharpen.core import Batch, UserError
from sharpen.objectives import contrast, weigh


def batch_of(reward, group, lengths):
    n, width = len(reward), max(lengths)
    mask = (np.arange(width) < np.array(lengths)[:, None]).astype(float)
    ones = np.ones(n)
    return Batch(np.zeros((n, width), int), mask, -mask, np.array(reward, float), np.array(group), ones, np.array(lengths))


def gradient(loss, batch, logp):
    logp = logp.clone().requires_grad_()
    loss(logp).backward()
    return -logp.grad * torch.tensor(batch.mask)


def agrees(tableau, batch, logp, loss, reference=None):
    found = weigh(tableau, batch, logp, reference=reference)[0]
    return torch.allclose(found, gradient(loss, batch, logp), atol=1e-9)


def drawn(shape, seed=0):
    return torch.tensor(-np.random.default_rng(seed).uniform(0.2, 3.0, shape))


@pytest.mark.parametrize("margin, nll", [(0.0, 1.0), (0.3, 0.5), (5.0, 0.0)])
def test_ranked_is_the_gradient_of_rrhf(margin, nll):
    lengths, group, reward = [2, 3, 1, 4, 2], [0, 0, 0, 1, 1], [1.0, 0.5, 0.0, 0.0, 1.0]
    batch = batch_of(reward, group, lengths)
    logp, mask = drawn((5, 4)), torch.tensor(batch.mask)

    def loss(x):
        s = (x * mask).sum(1) / mask.sum(1)
        pairs = [(i, j) for i in range(5) for j in range(5) if group[i] == group[j] and reward[i] > reward[j]]
        return (sum((s[j] - s[i] + margin).clamp(min=0) for i, j in pairs) - nll * (s[0] + s[4])) / 2

    assert agrees(contrast.ranked(margin, nll), batch, logp, loss)


@pytest.mark.parametrize("per_token", [True, False])
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_mutual_is_the_gradient_of_info_nce_in_whatever_order_the_rows_come(per_token, order):
    batch = batch_of(order, [0] * 4, [3, 1, 2, 2])
    logp, mask = drawn((4, 3), 1), torch.tensor(batch.mask)

    def loss(x):
        s = (x * mask).sum(1) / (mask.sum(1) if per_token else 1)
        m = s[torch.tensor(np.argsort(order))].reshape(2, 2)
        return -(m.log_softmax(1).diagonal().mean() + m.log_softmax(0).diagonal().mean()) / 2

    assert agrees(contrast.mutual(per_token), batch, logp, loss)


def test_answers_that_have_nothing_to_do_with_principles_cost_log_n_and_more_is_never_lost():
    m = torch.zeros(3, 3)
    assert np.isclose(float(-m.log_softmax(1).diagonal().mean()), np.log(3))
    found = weigh(contrast.mutual(), batch_of(range(9), [0] * 9, [1] * 9), torch.zeros(9, 1))[0].reshape(3, 3)
    assert torch.allclose(found.sum(0), torch.zeros(3), atol=1e-6) and torch.allclose(found.sum(1), torch.zeros(3), atol=1e-6)


def test_sharpened_rewards_come_to_rest_at_the_sharper_distribution_only():
    """On a table of four answers, all of them in the group: the gradient is 0 at base^(1 + 1 / beta) and nowhere beside."""
    base = torch.tensor([[0.4], [0.3], [0.2], [0.1]], dtype=torch.float64).log()
    batch = batch_of([0] * 4, [0] * 4, [1] * 4)
    for beta in (0.5, 1.0, 4.0):
        best = ((1 + 1 / beta) * base).log_softmax(0)
        still = weigh(contrast.sharpened(beta), batch, best, reference=base)[0]
        beside = weigh(contrast.sharpened(beta), batch, (1.5 * best).log_softmax(0), reference=base)[0]
        assert torch.allclose(still, torch.zeros(4, 1, dtype=torch.float64), atol=1e-9) and beside.abs().max() > 0.01
        assert beside[0] < 0 < beside[-1]  # too sharp: the likeliest is lowered


def test_a_group_of_one_and_settings_of_nothing():
    alone = batch_of([1.0, 0.0], [0, 1], [2, 2])
    logp = drawn((2, 2))
    assert not weigh(contrast.sharpened(), alone, logp, reference=logp)[0].any()
    for made in (lambda: contrast.sharpened(0.0), lambda: contrast.ranked(-1.0)):
        with pytest.raises(UserError):
            made()
