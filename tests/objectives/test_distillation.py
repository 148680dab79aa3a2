"""Distillation and penalties: gradients against the published divergences, what estimators of KL follow, identities."""

import dataclasses
import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch

from sharpen.core import Batch, UserError
from sharpen.objectives import distillation, penalties, policy_gradient
from sharpen.objectives.tableau import active, coefficients, example, example_penalty, weigh


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def kl(p, q):
    return (p * np.log(p / q)).sum(-1)


def jensen(q, p, b):
    middle = b * p + (1 - b) * q
    return b * kl(p, middle) + (1 - b) * kl(q, middle)


LOGITS, OTHER = np.random.default_rng(0).normal(size=(2, 4, 5)) * 2
Q0, OWN = softmax(LOGITS), np.eye(5)[LOGITS.argmax(-1)]

# Each penalty and its formula, q the distribution that is trained, p the reference's or the teacher's.
PENALTIES = {
    "forward": (distillation.distil(0.0), lambda q, p: kl(p, q)),
    "reverse": (distillation.distil(1.0), lambda q, p: kl(q, p)),
    "jensen": (distillation.distil(0.3), lambda q, p: jensen(q, p, 0.3)),
    "taid": (
        distillation.taid(0.4, progress=0.5, losses=[]),  # t = 0.7
        lambda q, p: kl(softmax(0.3 * LOGITS + 0.7 * np.log(p)), q),
    ),
    "weak_to_strong": (
        distillation.weak_to_strong(0.5, 0.1, progress=0.06),  # c = 0.3
        lambda q, p: 0.7 * kl(p, q) - 0.3 * (OWN * np.log(q)).sum(-1),
    ),
    "full_kl": (penalties.with_full_kl(policy_gradient.sft, 0.2), lambda q, p: 0.2 * kl(q, p)),
    "full_kl_towards": (penalties.with_full_kl(policy_gradient.sft, 0.2, towards=True), lambda q, p: 0.2 * kl(p, q)),
    "entropy": (penalties.with_entropy(policy_gradient.sft, 0.2), lambda q, p: 0.2 * (q * np.log(q)).sum(-1)),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_are_their_formula_and_its_derivative(name):
    tableau, formula = PENALTIES[name]
    values, gradient = example_penalty(tableau, LOGITS, OTHER)
    assert values == pytest.approx(formula(Q0, softmax(OTHER)), abs=1e-12)
    for i, j in itertools.product(range(4), range(5)):
        step = np.zeros_like(LOGITS)
        step[i, j] = 1e-6
        up, down = (formula(softmax(LOGITS + s), softmax(OTHER)).sum() for s in (step, -step))
        assert gradient[i, j] == pytest.approx((up - down) / 2e-6, abs=1e-6)
    assert np.abs(gradient).max() > 1e-2


def test_in_half_precision_a_divergence_is_computed_in_single():
    narrow = [torch.tensor(x, dtype=torch.bfloat16) for x in (LOGITS, OTHER)]
    for tableau, _ in PENALTIES.values():
        found = tableau.penalty(*narrow, torch.zeros(4, dtype=torch.int64))
        exact = tableau.penalty(*(x.double() for x in narrow), torch.zeros(4, dtype=torch.int64))
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-6)


def test_probabilities_of_zero_stay_finite():
    """A teacher and a student that are sure of different tokens: exp underflows, and 0 * log 0 counts 0."""
    sure, other = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True), torch.tensor([[0.0, 200.0, 0.0]])
    for tableau, _ in PENALTIES.values():
        loss = tableau.penalty(sure, other, torch.zeros(1, dtype=torch.int64)).sum()
        (gradient,) = torch.autograd.grad(loss, sure)
        assert torch.isfinite(loss) and torch.isfinite(gradient).all()


# ------------------------------------------------------------------------------------------- the estimators of KL, in the mean


def expected(tableau, theta, reference):
    """Mean over the policy's own draws of coefficient * grad log policy, on a softmax: what a step follows."""
    theta = theta.clone().requires_grad_()
    logp = theta.log_softmax(0)
    n = len(theta)
    one, rows = np.ones((n, 1)), np.arange(n)
    batch = Batch(np.zeros((n, 1), np.int64), one, -one, np.zeros(n), rows, np.ones(n), np.ones(n, int))
    c = coefficients(tableau, batch, logp.detach()[:, None], reference=reference.log_softmax(0)[:, None])[:, 0] * n
    return torch.autograd.grad((logp.detach().exp() * c * logp).sum(), theta)[0].numpy()


def gradient_of(function, theta):
    theta = theta.clone().requires_grad_()
    return torch.autograd.grad(function(theta.log_softmax(0)), theta)[0].numpy()


THETA, REFERENCE = (torch.tensor(np.random.default_rng(s).normal(size=6)) for s in (1, 2))
Q = REFERENCE.log_softmax(0)
REVERSE = gradient_of(lambda p: (p.exp() * (p - Q)).sum(), THETA)  # of KL(policy || reference)
FORWARD = gradient_of(lambda p: (Q.exp() * (Q - p)).sum(), THETA)  # of KL(reference || policy)


@pytest.mark.parametrize("estimator, follows", [("k1", 0 * REVERSE), ("k2", REVERSE), ("k3", FORWARD)])
def test_what_each_estimator_of_kl_follows(estimator, follows):
    """k1 nothing, k2 KL(policy || reference), k3 KL(reference || policy): not what their values are estimates of."""
    tableau = penalties.with_kl(policy_gradient.sft, 0.7, estimator)
    tableau = dataclasses.replace(tableau, advantage=distillation.nothing)
    assert expected(tableau, THETA, REFERENCE) == pytest.approx(-0.7 * follows, abs=1e-12)
    assert np.abs(REVERSE).max() > 0.1 and np.abs(REVERSE - FORWARD).max() > 0.05


@pytest.mark.parametrize(
    "estimator, value",
    [("k1", lambda g: g), ("k2", lambda g: g**2 / 2), ("k3", lambda g: torch.expm1(-g) + g)],
)
def test_an_extra_is_minus_the_derivative_of_its_estimate(estimator, value):
    gap = torch.linspace(-2, 2, 9, dtype=torch.float64).requires_grad_()
    (by_gap,) = torch.autograd.grad(value(gap).sum(), gap)
    zero, one = torch.zeros(9, 1, dtype=torch.float64), np.ones((9, 1))
    batch = Batch(np.zeros((9, 1), np.int64), one, -one, np.zeros(9), np.zeros(9, int), np.ones(9), np.ones(9, int))
    found = coefficients(penalties.with_kl(policy_gradient.grpo, 0.3, estimator), batch, gap.detach()[:, None], reference=zero)
    assert found[:, 0].numpy() * 9 == pytest.approx(-0.3 * by_gap.numpy(), abs=1e-12)


def test_on_policy_distillation_follows_the_reverse_divergence():
    """It is k2 as a loss, and in the mean the gradient of KL(student || teacher) over the whole vocabulary."""
    assert expected(distillation.on_policy(), THETA, REFERENCE) == pytest.approx(-REVERSE, abs=1e-12)
    _, full = example_penalty(distillation.distil(1.0), THETA[None], REFERENCE[None])
    assert full[0] == pytest.approx(REVERSE, abs=1e-12)


def test_k3_far_below_the_reference_stays_finite():
    zero = torch.zeros(1, 1)
    one = np.ones((1, 1))
    batch = Batch(np.zeros((1, 1), np.int64), one, -one, np.ones(1), np.zeros(1, int), np.ones(1), np.ones(1, int))
    found = coefficients(penalties.with_kl(policy_gradient.grpo, 1.0), batch, zero - 1000, reference=zero)
    assert float(found) == pytest.approx(math.exp(20), rel=1e-5)


def test_without_weight_a_penalty_is_not_there():
    """So that a recipe at its neutral knobs costs nothing: no reference is loaded, no silent row is run."""
    for made in (
        penalties.with_kl(policy_gradient.grpo, 0.0),
        penalties.with_full_kl(policy_gradient.grpo, 0.0),
        penalties.with_entropy(policy_gradient.grpo, 0.0),
    ):
        assert made.extra is None and made.penalty is None and not made.reference
    with pytest.raises(UserError, match="Did you mean 'k3'"):
        penalties.with_kl(policy_gradient.grpo, 0.1, "k33")


def test_silent_groups_are_pulled_and_taught_too():
    one = np.ones((4, 2))
    batch = Batch(np.zeros((4, 2), np.int64), one, -one, np.ones(4), np.zeros(4, int), np.ones(4), np.full(4, 2))
    for tableau in (
        penalties.with_kl(policy_gradient.grpo),
        penalties.with_full_kl(policy_gradient.grpo),
        penalties.with_entropy(policy_gradient.grpo),
        distillation.distil(),
        distillation.on_policy(),
    ):
        assert active(tableau, batch).all()
    assert not active(policy_gradient.grpo(), batch).any()


# ------------------------------------------------------------------------------------------------------------- distillation


def test_generalised_jensen_between_its_two_limits():
    for beta, limit in ((1e-6, 0.0), (1 - 1e-6, 1.0)):
        scale = beta if limit == 0 else 1 - beta
        near = example_penalty(distillation.distil(beta), LOGITS, OTHER)[0] / scale
        assert near == pytest.approx(example_penalty(distillation.distil(limit), LOGITS, OTHER)[0], rel=1e-4)
    half = [example_penalty(distillation.distil(0.5), *pair)[0] for pair in ((LOGITS, OTHER), (OTHER, LOGITS))]
    assert half[0] == pytest.approx(half[1]) and (half[0] <= math.log(2)).all()
    for bad in (-0.1, 1.1, math.nan):
        with pytest.raises(UserError, match="from 0"):
            distillation.distil(bad)


def test_taid_from_nothing_to_the_forward_divergence():
    """No gradient at t = 0, that of KL(teacher || student) at t = 1, and t times it while the gap is small."""

    def gradient(t, other=OTHER):
        penalty = partial(distillation.interpolated, t=t)
        return example_penalty(distillation.taught(penalty), LOGITS, other)[1]

    assert np.abs(gradient(0.0)).max() < 1e-15
    forward = example_penalty(distillation.distil(0.0), LOGITS, OTHER)[1]
    assert gradient(1.0) == pytest.approx(forward, abs=1e-15)
    near = LOGITS + 1e-4 * OTHER
    for t in (0.25, 0.5):
        assert gradient(t, near) == pytest.approx(t * gradient(1.0, near), rel=1e-3, abs=1e-9)


def interpolation(losses, progress, alpha=5e-4):
    return distillation.interpolation(losses, progress, 0.4, alpha, 0.99)


def test_the_share_of_the_teacher_rises_with_the_budget_and_sooner_while_the_loss_falls():
    assert interpolation([], 0.0) == 0.4 and interpolation([], 1.0) == 1.0 and interpolation([0.5], 0.5) == 0.7
    losses = list(np.random.default_rng(0).random(200))
    path = [interpolation(losses[:n], n / 200, 0.05) for n in range(201)]
    assert all(b >= a for a, b in itertools.pairwise(path)) and path[-1] == 1
    assert all(t >= 0.4 + 0.6 * n / 200 - 1e-12 for n, t in enumerate(path))
    falling, rising = ([r**n for n in range(50)] for r in (0.5, 2.0))
    assert interpolation(falling, 0.1, 0.05) > interpolation(rising, 0.1, 0.05) > 0.46
    # By hand, three losses: t = 0.4, then m = 0.01 * 0.5, then m = 0.99 * 0.005 + 0.01 * (-1); no line at progress 0.
    m, t = 0.005, 0.4
    t += 0.1 / (1 + math.exp(-m)) * (1 - t)
    m = 0.99 * m - 0.01
    t += 0.1 / (1 + math.exp(-m)) * (1 - t)
    assert interpolation([1.0, 0.5, 1.0], 0.0, 0.1) == pytest.approx(t)
    assert 0 < interpolation([0.0, 0.0], 0.0) < 1  # a loss of zero is no division by it


def test_whole_distributions_teach_more_from_the_same_tokens_than_the_tokens_do():
    """A teacher of the student's own kind, 40 prompts with one token each. Held out is KL(teacher || student) on 500 others."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        teacher, shown, other = (torch.tensor(rng.normal(size=(n, m))) for n, m in ((6, 5), (40, 6), (500, 6)))
        tokens = torch.tensor([rng.choice(5, p=p) for p in (shown @ teacher).softmax(1).numpy()])
        one = np.ones((40, 1))
        batch = Batch(np.zeros((40, 1), np.int64), one, -one, one[:, 0], np.arange(40), one[:, 0], one[:, 0])
        left, best = {}, {}
        for name, tableau in (("distribution", distillation.distil(0.0)), ("tokens", policy_gradient.sft())):
            student, gaps = torch.zeros(6, 5, dtype=torch.float64), []
            for _ in range(150):
                student = student.requires_grad_()
                logits = shown @ student
                chosen = logits.log_softmax(1).gather(1, tokens[:, None])
                c, factors = weigh(tableau, batch, chosen.detach(), reference=chosen.detach())
                loss = -(c * chosen).sum()
                if tableau.penalty is not None:
                    loss = loss + (factors[:, 0] * tableau.penalty(logits, shown @ teacher, tokens)).sum()
                (gradient,) = torch.autograd.grad(loss, student)
                student = (student - 0.5 * gradient).detach()
                gaps.append(kl(*((other @ w).softmax(1).numpy() for w in (teacher, student))).mean())
            left[name], best[name] = gaps[-1], min(gaps)
        assert left["distribution"] < 0.05 and best["tokens"] > 0.1  # stopped where it would have been best


def between_two(tableau_at, steps=150):
    """Where a student that can only shift its one bump ends, and the share of its answers near either of the teacher's two."""
    x = torch.linspace(-4, 4, 41, dtype=torch.float64)
    teacher = (0.6 * torch.exp(-2 * (x - 2) ** 2) + 0.4 * torch.exp(-2 * (x + 2) ** 2)).log()[None]
    place = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([place], lr=0.1)
    for step in range(steps):
        logits = -2 * (x - place)[None] ** 2
        loss = tableau_at(step / steps).penalty(logits, teacher, torch.zeros(1, dtype=torch.int64)).sum()
        (place.grad,) = torch.autograd.grad(loss, place)
        optimizer.step()
    return place.item(), float(logits.detach().softmax(1)[0, (x.abs() - 2).abs() <= 1].sum())


def test_a_student_too_small_for_its_teacher_does_better_by_reverse_kl():
    """Forward KL matches the mean, 0.6 * 2 - 0.4 * 2, where the teacher says nothing, and TAID comes there too; reverse KL
    takes the larger bump, and so does halfway between."""
    forward, reverse, half = (between_two(lambda _, b=beta: distillation.distil(b)) for beta in (0.0, 1.0, 0.5))
    moving = between_two(lambda progress: distillation.taid(0.4, progress=progress, losses=[]))
    assert forward == pytest.approx((0.4, 0.08), abs=0.05) and moving == pytest.approx(forward, abs=0.1)
    for found in (reverse, half):
        assert found == pytest.approx((2.0, 0.95), abs=0.02)


def spoken(tableau, lr, length, steps=60):
    """Steps until all tokens are right three times in five, or None: from an even start over five tokens, 64 answers a step, a
    reward at the end, and a teacher who says the right token with probability 0.94."""
    rng, theta, ones = np.random.default_rng(0), torch.zeros(length, 5, dtype=torch.float64), np.ones((64, length))
    teacher = torch.tensor([0.94, 0.015, 0.015, 0.015, 0.015], dtype=torch.float64).log()
    for step in range(1, steps + 1):
        said = np.stack([rng.choice(5, 64, p=p) for p in theta.softmax(1).numpy()], 1)
        theta = theta.requires_grad_()
        logp = theta.log_softmax(1)[np.arange(length), said]
        right, group = (said == 0).all(1).astype(float), np.repeat(np.arange(8), 8)
        batch = Batch(said, ones, logp.detach().numpy(), right, group, ones[:, 0], ones[:, 0])
        c = coefficients(tableau, batch, logp.detach(), reference=teacher[said] if tableau.reference else None)
        (gradient,) = torch.autograd.grad((c * logp).sum(), theta)
        theta = (theta + lr * gradient).detach()
        if theta.softmax(1)[:, 0].prod() > 0.6:
            return step
    return None


@pytest.mark.parametrize("lr", [3.0, 10.0, 30.0])
def test_a_teacher_of_every_token_is_faster_than_a_reward_at_the_end(lr):
    """Answers of three tokens, one in 125 right at first; of six, 1 in 15,625, a reward does not get started at all."""
    assert 2 * spoken(distillation.on_policy(), lr, 3) < spoken(policy_gradient.grpo(), lr, 3)
    assert spoken(distillation.on_policy(), lr, 6) and not spoken(policy_gradient.grpo(), lr, 6)


def test_full_confidence_ignores_the_labels_and_none_is_distillation():
    def gradient(confidence, progress, weak=OTHER):
        return example_penalty(distillation.weak_to_strong(confidence, 0.1, progress=progress), LOGITS, weak)[1]

    for weak in (OTHER, -OTHER):
        assert gradient(1.0, 1.0, weak) == pytest.approx(Q0 - OWN)
    for confidence, progress in ((0.0, 1.0), (1.0, 0.0)):
        assert gradient(confidence, progress) == pytest.approx(Q0 - softmax(OTHER), abs=1e-12)
    assert gradient(0.5, 0.1) == pytest.approx(gradient(0.5, 1.0)) and not np.allclose(gradient(0.5, 0.05), gradient(0.5, 1.0))
    with pytest.raises(UserError, match="share"):
        distillation.weak_to_strong(1.5, progress=0.0)


def test_confidence_survives_systematic_errors_of_a_weak_teacher():
    """A strong model that knows the answer, and a weak one that is wrong wherever a feature is on: plain distillation recovers
    nothing there, half confidence all of it. Full confidence keeps what it had."""
    truth, region = (torch.tensor(x) for x in zip(*itertools.product((-1.0, 1.0), (0.0, 1.0)), strict=True))
    weak = torch.stack([torch.zeros(4), 0.8 * truth * (1 - 2 * region)], 1)  # sure by 69 %, and wrong in the region
    features = torch.stack([truth, truth * region], 1)

    def trained(confidence):
        w = torch.tensor([0.5, 0.0], requires_grad=True)
        for _ in range(400):
            logits = torch.stack([torch.zeros(4), features @ w], 1)
            loss = distillation.confident(logits, weak, torch.zeros(4, dtype=torch.int64), confidence).mean()
            (gradient,) = torch.autograd.grad(loss, w)
            w = (w - 0.5 * gradient).detach().requires_grad_()
        return float(((features @ w) * truth > 0).float().mean())

    weak_right = float((weak[:, 1] * truth > 0).float().mean())
    recovered = {c: distillation.performance_gap_recovered(weak_right, trained(c), 1.0) for c in (0.0, 0.5, 1.0)}
    assert weak_right == 0.5 and recovered == {0.0: 0.0, 0.5: 1.0, 1.0: 1.0}


def test_performance_gap_recovered_by_hand():
    assert distillation.performance_gap_recovered(0.6, 0.75, 0.8) == pytest.approx(0.75)
    assert distillation.performance_gap_recovered(0.6, 0.5, 0.8) == pytest.approx(-0.5)
    for ceiling in (0.6, 0.5, math.nan):
        with pytest.raises(ValueError, match="no gap"):
            distillation.performance_gap_recovered(0.6, 0.7, ceiling)


def test_rewards_are_not_read():
    for made in (distillation.distil(), distillation.on_policy()):
        assert np.array_equal(example(made, [[1, 0]], ratio=1.2), example(made, [[0.3, 7]], ratio=1.2))
