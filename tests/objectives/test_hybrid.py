"""Worked solutions beside own answers: which prompts get one, what it counts, and the weight that is learnt."""

from __future__ import annotations

import dataclasses
import itertools
from functools import partial

import numpy as np
import pytest
import torch
from test_policy_gradient import make, sample

from sharpen.core import Batch, Tableau
from sharpen.objectives import advantage, hybrid, policy_gradient
from sharpen.objectives.tableau import active, coefficients, example

MIXED = [[1, 0, 0, 1], [1, 1, 1, 0], [0, 0, 1]]


def with_solutions(groups, seed=0):
    """A batch in which the last member of each group was put into the policy's mouth, and a drifted policy."""
    batch, logp = make(groups, seed=seed)
    last = np.array([i == len(g) - 1 for g in groups for i in range(len(g))])
    return dataclasses.replace(batch, forced=last, sampling=np.where(last[:, None], 0, batch.sampling)), logp


# ------------------------------------------------------------------------------------------------------------------- data


def test_a_failed_prompt_is_rescued_instead_or_beside():
    own = [sample(0, 0), sample(0, 0), sample(1, 1), sample(0, 1), sample(0, 2), sample(None, 2, "unscorable")]
    shown = [sample(1, group) for group in (0, 1)]  # nobody solved the task of group 2 for us
    assert hybrid.rescued(own, demos=shown) == [shown[0], *own[2:5]]
    assert hybrid.rescued(own, instead=False, demos=shown) == [*own[:2], shown[0], *own[2:5]]
    assert hybrid.rescued(own, gate=0.5, demos=shown) == [*shown, own[4]]
    assert hybrid.demonstrated(own, demos=shown) == [*own[:2], shown[0], *own[2:4], shown[1], own[4]]


def test_bursts_take_the_newest_and_leave_the_rest():
    buffer = [sample(1, 7, text="old"), sample(1, 8, text="older")]
    own = [sample(0, 0), sample(1, 1), sample(0, 2)]
    shown = [sample(1, group, text=str(group)) for group in range(3)]
    made = hybrid.in_bursts(own, 3, demos=shown, buffer=buffer)
    burst = made[3:]
    assert [s.rollout.response for s in burst] == ["older", "0", "2"] and {s.group for s in burst} == {3, 4, 5}
    assert [s.rollout.response for s in buffer] == ["old"] and made[:3] == own
    empty: list = []
    assert hybrid.in_bursts([], 3, demos=[], buffer=empty) == [] and empty == []


# ------------------------------------------------------------------------------------------------------------- objectives


def test_hpt_is_sft_where_all_failed_and_dr_grpo_where_not():
    """And GRPO has no gradient at all on the failed prompt."""
    hpt, dr_grpo = hybrid.hpt(7), policy_gradient.dr_grpo(7)
    batch, logp = make(MIXED)
    assert torch.equal(coefficients(hpt, batch, logp), coefficients(dr_grpo, batch, logp))
    alone, logp = with_solutions([[1], [1], [1]])
    assert torch.equal(coefficients(hpt, alone, logp), coefficients(policy_gradient.sft(per_token=False), alone, logp))
    assert not example(policy_gradient.grpo(), [[0, 0, 0]]).any() and not example(policy_gradient.rloo(), [[0, 0, 0]]).any()


def test_every_prompt_weighs_the_same_in_hpt():
    """By hand: two prompts; one practised, 2 rows of 2 tokens, divided by 4; one shown, 5 tokens."""
    c = example(hybrid.hpt(4), [[1, 0], [1]], lengths=[2, 2, 5], forced=[2])
    assert c[:2, 0] == pytest.approx([0.5 / 4 / 2 / 2, -0.5 / 4 / 2 / 2]) and c[2] == pytest.approx(np.full(5, 1 / 5 / 2))


def test_ahpo_and_hpt_agree_on_a_failed_prompt_and_differ_on_a_mixed_one():
    """On the first AHPO keeps a practice term that is 0; on the second HPT shows nothing and AHPO goes on practising."""
    failed = example(hybrid.ahpo(), [[0, 0, 1]], lengths=[3, 3, 3], forced=[2])
    assert failed[2] == pytest.approx(example(hybrid.hpt(3), [[1]], lengths=[3], forced=[0])[0]) and not failed[:2].any()
    mixed = example(hybrid.ahpo(weight=0.5), [[1, 0, 1]], forced=[2])
    assert mixed[:2] == pytest.approx(example(policy_gradient.grpo(), [[1, 0]]))
    assert mixed[2] == pytest.approx(0.5 * failed[2, :1].repeat(2) * 3 / 2)


def published(name, batch, shape=0.1):
    """The surrogates as the papers have them, one loop per sum; worked solutions have no behaviour policy (1)."""
    mask, r, B = torch.tensor(batch.mask), batch.reward, len(batch)

    def surrogate(logp):
        total = 0.0
        for i in range(B):
            rows = np.flatnonzero(batch.group == batch.group[i])
            A = (r[i] - r[rows].mean()) / (r[rows].std() + 1e-6)
            rho = torch.exp(logp[i] - torch.tensor(batch.sampling[i]))
            p = torch.exp(logp[i])
            own = torch.minimum(rho * A, rho.clamp(0.8, 1.2) * A)
            shown = {"luffy": p / (p + shape) * A, "srft": p * A + 0.5 * logp[i]}[name]
            total = total + ((shown if batch.forced[i] else own) * mask[i]).sum() / mask[i].sum() / B
        return total

    return surrogate


@pytest.mark.parametrize("name, tableau", [("luffy", hybrid.luffy(0.1)), ("srft", hybrid.srft(0.5))])
def test_coefficients_are_the_derivative_of_the_published_surrogate(name, tableau):
    batch, logp = with_solutions(MIXED)
    surrogate, h = published(name, batch), 1e-6
    found = coefficients(tableau, batch, logp)
    at = logp.clone().requires_grad_()
    assert found.numpy() == pytest.approx(torch.autograd.grad(surrogate(at), at)[0].numpy(), abs=1e-12)
    for b, t in itertools.product(range(0, 11, 2), range(1, 4)):
        up, down = logp.clone(), logp.clone()
        up[b, t] += h
        down[b, t] -= h
        assert float(found[b, t]) == pytest.approx(float(surrogate(up) - surrogate(down)) / (2 * h), abs=1e-6)
    assert found[batch.forced].abs().sum() > 0.05 and found[~batch.forced].abs().sum() > 0.1


@pytest.mark.parametrize("tableau", [hybrid.hpt(7), hybrid.ahpo(), hybrid.luffy(), hybrid.srft()])
def test_a_batch_in_slices_is_the_batch_at_once(tableau):
    batch, logp = with_solutions(MIXED)
    whole = coefficients(tableau, batch, logp)
    for rows in np.array_split(np.random.default_rng(0).permutation(len(batch)), 4):
        assert torch.equal(coefficients(tableau, batch, logp[rows], rows), whole[rows])
    assert active(tableau, batch)[batch.forced].all()


def test_the_unified_estimator_is_the_gradient_of_the_common_objective_for_any_reference():
    """J = E_pi[r] - mu KL(demonstrations || pi), by a change of measure to whatever policy: r + mu * pi_b / pi, over pi_ref.

    UPGE, arXiv 2509.04419. One draw of each outcome, weighed by its probability under the reference, is the expectation.
    """
    rng = np.random.default_rng(0)
    theta = torch.tensor(rng.normal(size=7), requires_grad=True)
    reward, shown, mu = torch.tensor(rng.random(7)), torch.tensor(rng.normal(size=7)).softmax(0), 0.3
    pi = theta.softmax(0)
    (true,) = torch.autograd.grad(pi @ reward - mu * (shown * (shown / pi).log()).sum(), theta)
    for seed in range(4):
        reference = torch.tensor(np.random.default_rng(seed).normal(size=7)).softmax(0)
        chosen = theta.log_softmax(0)[:, None]
        credit = (reward + mu * shown / theta.detach().softmax(0)).numpy()
        ones, old = np.ones((7, 1)), reference.log().numpy()[:, None]
        batch = Batch(np.zeros((7, 1), int), ones, old, credit, np.arange(7), 7 * reference.numpy(), np.ones(7))
        unified = Tableau(advantage.raw, policy_gradient.sequence_sum, policy_gradient.token_ratio, policy_gradient.no_clip)
        (found,) = torch.autograd.grad((coefficients(unified, batch, chosen) * chosen).sum(), theta)
        assert found.numpy() == pytest.approx(true.numpy(), abs=1e-9)


def test_a_ratio_to_one_is_dynamic_fine_tuning():
    """With pi_ref = 1 in the denominator, as SRFT has for worked solutions, SFT becomes sg[p] log p (arXiv 2508.05629)."""
    c = example(
        dataclasses.replace(policy_gradient.sft(), ratio=policy_gradient.token_ratio), [[1]], ratio=np.e * 0.3, forced=[0]
    )
    assert c == pytest.approx(np.full((1, 2), 0.3 / 2))


# -------------------------------------------------------------------------------------------------- a weight that is learnt


def test_the_meta_gradient_is_that_of_utility_after_one_step():
    """A finite difference of a quadratic utility through theta' = theta + step * ((1 - mu) practice + mu imitation)."""
    rng = np.random.default_rng(0)
    theta, goal, practice, imitation = (torch.tensor(rng.normal(size=5)) for _ in range(4))
    step, h = 1e-4, 1e-3

    def utility(mu):
        return float(-((theta + step * ((1 - mu) * practice + mu * imitation) - goal) ** 2).sum())

    difference = (utility(0.5 + h) - utility(0.5 - h)) / (2 * h)
    found = hybrid.utility_by_weight([-2 * (theta - goal)], [practice], [imitation], step)
    assert found == pytest.approx(difference, rel=1e-3)


@pytest.mark.parametrize("better, limit", [("imitation", 0.95), ("practice", 0.05)])
def test_the_weight_goes_to_the_loss_whose_solution_is_best(better, limit):
    """A policy whose utility is a quadratic around the solution of one of the two losses."""
    centre = {"imitation": torch.tensor([3.0, 0.0]), "practice": torch.tensor([0.0, 3.0])}

    class Toy:
        """Asked in AMFT's order: utility, practice, imitation."""

        def __init__(self):
            self.theta, self.asked = torch.zeros(2), 0

        def entropies(self, batch):
            return np.zeros(batch.mask.shape), np.full(batch.mask.shape, 0.5)

        def direction(self, batch, tableau):
            at = (better, "practice", "imitation")[self.asked % 3]
            self.asked += 1
            return [centre[at] - self.theta]

    batch, _ = with_solutions(MIXED)
    toy, notes = Toy(), {}
    for _ in range(60):
        hybrid.amft(7, rate=0.1, every=2, policy=toy, batch=batch, notes=notes)
        mu = notes["mu"]
        toy.theta += 0.02 * (mu * (centre["imitation"] - toy.theta) + (1 - mu) * (centre["practice"] - toy.theta))
    assert notes["mu"] == limit and notes["steps"] == 60


def test_entropy_above_its_target_is_shown_more_and_the_sign_is_a_switch():
    batch, _ = with_solutions(MIXED)

    class Open:
        def entropies(self, batch):
            return np.zeros(batch.mask.shape), batch.mask * 2.0

    for sign in (1, -1):
        notes: dict = {}
        hybrid.amft(7, entropy_rate=sign * 0.1, target=1.0, every=99, policy=Open(), batch=batch, notes=notes)
        assert notes["mu"] == pytest.approx(0.5 + sign * 0.1)


def test_mu_weighs_the_two_losses():
    made = partial(hybrid.imitating, policy_gradient.dr_grpo(7))
    batch, logp = with_solutions(MIXED)
    own, shown, half = (coefficients(made(*w), batch, logp) for w in ((1.0, 0.0), (0.0, 1.0), (0.25, 0.75)))
    torch.testing.assert_close(half, 0.25 * own + 0.75 * shown)
    assert own.any() and shown.any() and not own[batch.forced].any() and not shown[~batch.forced].any()
