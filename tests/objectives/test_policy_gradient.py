"""Objectives: coefficients against the published surrogates, identities, and what must be refused."""

import dataclasses
import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch

from sharpen.core import Batch, Rollout, Sample, Task, UserError, Verdict
from sharpen.data import selection
from sharpen.objectives import advantage, policy_gradient
from sharpen.objectives.tableau import active, coefficients, example

OBJECTIVES = {
    "reinforce": policy_gradient.reinforce(),
    "reinforce_raw": policy_gradient.reinforce(baseline=False),
    "rloo": policy_gradient.rloo(),
    "grpo": policy_gradient.grpo(),
    "grpo_unbiased": policy_gradient.grpo(unbiased=True),
    "dr_grpo": policy_gradient.dr_grpo(length=7),
    "dapo": policy_gradient.dapo(),
    "sft": policy_gradient.sft(),
    "sft_rows": policy_gradient.sft(per_token=False),
    "ppo": policy_gradient.ppo(gamma=0.9, lam=0.8),
    "loop": policy_gradient.loop(),
    "loop_whole": policy_gradient.loop(whole=True),
    "gspo": policy_gradient.gspo(clip_low=0.1, clip_high=0.15),
    "cispo": policy_gradient.cispo(low=0.7, high=1.5),
    "nft": policy_gradient.nft(length=7, floor=0.5),
    "nft_std": policy_gradient.nft(length=7, std=True, floor=0.5),
    "redi": policy_gradient.redi(alpha=0.8),
}
STOPS = (
    "cispo",
    "nft",
    "nft_std",
)  # surrogates that hold a part of themselves still: these are differentiated, not differenced


def make(groups, lengths=None, weight=None, seed=0):
    """A batch with these rewards, and log-probabilities that have drifted so far that every side of a clip occurs."""
    rng = np.random.default_rng(seed)
    reward = np.array([r for group in groups for r in group], dtype=np.float64)
    rows = len(reward)
    length = np.array(lengths) if lengths is not None else rng.integers(1, 6, rows)
    width = int(length.max(initial=0)) + 2
    mask = ((np.arange(width) >= 1) & (np.arange(width) <= length[:, None])).astype(np.float64)
    sampling = rng.uniform(-3, -0.5, mask.shape) * mask
    batch = Batch(
        tokens=np.zeros(mask.shape, np.int64),
        mask=mask,
        sampling=sampling,
        reward=reward,
        group=np.repeat(rng.permutation(len(groups)), [len(g) for g in groups]),
        weight=np.ones(rows) if weight is None else np.array(weight),
        lengths=length + 1,
    )
    return batch, torch.tensor(sampling + rng.choice([-0.5, -0.1, 0.1, 0.22, 0.5], mask.shape) * mask)


MIXED = [[1, 0, 0, 1], [1, 1, 1], [0.3, 0.7], [0], [0, 0, 1]]


def sample(reward, group=0, outcome=None, text="4", n=3, task="2 + 2"):
    tokens, sampled = np.arange(n + 1, dtype=np.int32), np.arange(n + 1) > 0
    asked = Task(({"role": "user", "content": task},), "4", "sum", 1)
    rollout = Rollout(asked, tokens, sampled, np.zeros(n + 1, np.float32), (text,), "end", 0, 0, "r")
    return Sample(rollout, Verdict(outcome or ("correct" if reward == 1 else "wrong"), reward), group)


# ---------------------------------------------------------------------------------------- the published surrogates, restated


def group_rows(batch):
    return [np.flatnonzero(batch.group == g) for g in np.unique(batch.group)]


def published(name, batch):
    """(surrogate to be maximised, as a function of (B, T) log-probabilities) straight from the papers, one loop per sum."""
    B, mask, r = len(batch), torch.tensor(batch.mask), batch.reward
    A = np.zeros(B)
    for rows in group_rows(batch):
        for i in rows:
            others = [r[j] for j in rows if j != i]
            std = r[rows].std(ddof=1 if name == "grpo_unbiased" and len(rows) > 1 else 0)
            if name.removesuffix("_whole") in ("rloo", "loop"):
                A[i] = r[i] - np.mean(others) if others else 0
            elif name in ("grpo", "grpo_unbiased", "dapo"):
                A[i] = (r[i] - r[rows].mean()) / (std + 1e-6)
            elif name == "dr_grpo":
                A[i] = r[i] - r[rows].mean()
            if name in ("gspo", "cispo"):
                A[i] = (r[i] - r[rows].mean()) / (std + 1e-6)
    if name.startswith("reinforce"):
        A = r - (r.mean() if name == "reinforce" else 0)
    if name.startswith("sft"):
        A = np.ones(B)
    if name == "redi":
        A = np.where(r > 0, 1.0, -0.8)
    if name == "ppo":
        A = gae_by_hand(batch, 0.9, 0.8)
    p = np.array([r[batch.group == g].mean() for g in batch.group])
    spread = [i for rows in group_rows(batch) if np.ptp(r[rows]) > 0 for i in rows]

    def surrogate(logp):
        total = 0.0
        for i in range(B):
            rho = torch.exp(logp[i] - torch.tensor(batch.sampling[i]))
            clipped = rho.clamp(0.8, 1.28 if name == "dapo" else 1.2)
            a = torch.as_tensor(A[i])
            ppo = (torch.minimum(rho * a, clipped * a) * mask[i]).sum()
            likelihood = (logp[i] * mask[i] * a).sum()
            gap = ((logp[i] - torch.tensor(batch.sampling[i])) * mask[i]).sum()
            row, whole = torch.exp(gap / mask[i].sum()), torch.exp(gap)
            weighed = (rho.clamp(0.7, 1.5).detach() * a * logp[i] * mask[i]).sum()
            term = {
                "grpo": ppo / mask[i].sum() / B,
                "dr_grpo": ppo / 7 / B,
                "dapo": ppo / mask[spread].sum() if i in spread else 0.0,
                "sft": likelihood / mask.sum(),
                "sft_rows": likelihood / mask[i].sum() / B,
                "redi": likelihood / mask[i].sum() / B,
                "ppo": ppo / mask.sum(),
                "loop": ppo / B,
                "loop_whole": torch.minimum(whole * a, whole.clamp(0.8, 1.2) * a) / B if name == "loop_whole" else 0.0,
                "gspo": torch.minimum(row * a, row.clamp(0.9, 1.15) * a) / B if name == "gspo" else 0.0,
                "cispo": weighed / mask.sum(),
                "nft": -(nft_loss(rho, r[i], p[i], name == "nft_std") * mask[i]).sum() / 7 / B,
            }.get(name.removesuffix("_unbiased").removesuffix("_std"), likelihood / B)
            total = total + batch.weight[i] * term
        return total

    return surrogate


def gae_by_hand(batch, gamma, lam):
    """Forwards and by the definition: the sum of (gamma lam)^l times the l-th later error, whitened over trained tokens."""
    A = np.zeros(batch.mask.shape)
    for i in range(len(batch)):
        at = np.flatnonzero(batch.mask[i])
        value = np.zeros(len(at) + 1)
        value[:-1] = 0 if batch.values is None else batch.values[i, at]
        pay = np.eye(1, len(at), len(at) - 1)[0] * batch.reward[i] if len(at) else []
        errors = [pay[k] + gamma * value[k + 1] - value[k] for k in range(len(at))]
        A[i, at] = [sum((gamma * lam) ** m * e for m, e in enumerate(errors[k:])) for k in range(len(at))]
    on = batch.mask > 0
    return np.where(on, (A - A[on].mean()) / (A[on].std() + 1e-8), 0)


def nft_loss(rho, reward, p, std, floor=0.5):
    """Section 3.2: likelihood of the positive policy on right answers, of the implicit negative one on wrong answers."""
    weight = math.sqrt((1 - p) / p) if std and 0 < p < 1 else 1 - p
    if reward > p:
        return -weight * torch.log(rho)
    if reward == p:  # a silent group: no side to take
        return 0 * rho
    q = min(max(p, 0.02), 0.98)
    negative = (1 - q * rho) / (1 - q)
    floored = negative + (negative.clamp(min=floor) - negative).detach()
    return -weight * torch.log(floored)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_coefficients_are_the_derivative_of_the_published_surrogate(name):
    rewards = [g for g in MIXED if g != [0.3, 0.7]] + [[0, 1]] if name.startswith("nft") else MIXED  # right or wrong
    batch, logp = make(rewards, weight=np.linspace(0.5, 2, 13))
    if name == "ppo":
        batch = dataclasses.replace(batch, values=np.random.default_rng(5).random(batch.mask.shape) * batch.mask)
    found = coefficients(OBJECTIVES[name], batch, logp)
    surrogate, h = published(name, batch), 1e-6
    at = logp.clone().requires_grad_()
    (exact,) = torch.autograd.grad(surrogate(at), at)
    assert found.numpy() == pytest.approx(exact.numpy(), abs=1e-12)
    assert found.abs().sum() > 0.1  # and not because both are zero
    for b, t in [] if name in STOPS else itertools.product(range(0, 13, 2), range(1, 4)):
        up, down = logp.clone(), logp.clone()
        up[b, t] += h
        down[b, t] -= h
        assert float(found[b, t]) == pytest.approx(float(surrogate(up) - surrogate(down)) / (2 * h), abs=1e-6)


# ---------------------------------------------------------------------------------------------------------------- identities


@pytest.mark.parametrize("n", [2, 3, 5, 16])
def test_rloo_is_centred_times_n_over_n_minus_one(n):
    batch, _ = make([np.random.default_rng(n).random(n), [0, 1] * (n // 2 + 1)])
    size = np.array([len(batch.group[batch.group == g]) for g in batch.group])
    assert advantage.leave_one_out(batch) == pytest.approx(advantage.centred(batch) * size / (size - 1), abs=1e-12)


def test_on_policy_grpo_without_std_is_centred_reinforce_over_the_tokens_of_a_row():
    batch, _ = make(MIXED)
    found = coefficients(policy_gradient.grpo(std=False), batch, torch.tensor(batch.sampling)).numpy()
    by_hand = advantage.centred(batch)[:, None] * batch.mask / batch.mask.sum(1, keepdims=True) / len(batch)
    assert found == pytest.approx(by_hand, abs=1e-15)


def test_two_responses_are_a_contrastive_pair():
    pair, _ = make([[1, 0]])
    assert advantage.normalised(pair, eps=0).tolist() == [1, -1]
    assert advantage.normalised(pair) == pytest.approx([1, -1], abs=3e-6)
    assert advantage.normalised(pair, unbiased=True) == pytest.approx([0.5**0.5, -(0.5**0.5)], abs=3e-6)  # torch.std


@pytest.mark.parametrize("right", range(1, 8))
def test_binary_rewards_give_the_odds(right):
    p = right / 8
    batch, _ = make([[1] * right + [0] * (8 - right)])
    found = advantage.normalised(batch, eps=0)
    assert found[0] == pytest.approx(math.sqrt((1 - p) / p)) and found[-1] == pytest.approx(-math.sqrt(p / (1 - p)))
    assert np.abs(found).mean() == pytest.approx(2 * math.sqrt(p * (1 - p)))  # what SEC is fed
    assert np.abs(advantage.centred(batch)).mean() == pytest.approx(2 * p * (1 - p))


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize(
    "name, bias", [("rloo", lambda k: 1.0), ("reinforce_raw", lambda k: 1.0), ("reinforce", lambda k: (k - 1) / k)]
)
def test_expected_gradient_on_a_softmax_by_enumeration(name, bias, k):
    """All outcomes of k draws from a softmax over three answers: the mean gradient is that of the expected reward, times
    (k - 1) / k where the baseline contains the response itself."""
    theta = torch.tensor([0.3, -0.7, 0.1], dtype=torch.float64, requires_grad=True)
    reward = torch.tensor([0.0, 1.0, 0.4], dtype=torch.float64)
    (true,) = torch.autograd.grad(theta.softmax(0) @ reward, theta)
    logp = theta.log_softmax(0)
    total = torch.zeros(())
    for drawn in itertools.product(range(3), repeat=k):
        chosen = logp[list(drawn)][:, None]
        batch, _ = make([[float(reward[i]) for i in drawn]], lengths=[1] * k)
        batch = dataclasses.replace(batch, mask=np.ones((k, 1)), sampling=chosen.detach().numpy())
        c = coefficients(OBJECTIVES[name], batch, chosen)
        total = total + chosen.detach().sum().exp() * (c * chosen).sum()
    (found,) = torch.autograd.grad(total, theta)
    assert found.numpy() == pytest.approx(bias(k) * true.numpy(), abs=1e-12)


def test_rejection_sampling_is_the_policy_gradient_of_zero_one_rewards():
    """E[1[right] ∇ log π]: SFT on the kept rows, which are single tokens here, is raw REINFORCE up to the scale."""
    samples = [sample(r, n=1) for r in (1, 0, 0, 1, 0)]
    kept = selection.keep_correct(samples)
    assert [s.verdict.reward for s in kept] == [1, 1]
    raw = example(policy_gradient.reinforce(baseline=False), [[1, 0, 0, 1, 0]], [1] * 5)[:, 0]
    supervised = example(policy_gradient.sft(), [[1, 1]], [1] * 2)[:, 0]
    assert raw[[0, 3]] * 5 / 2 == pytest.approx(supervised) and not raw[[1, 2, 4]].any()


@pytest.mark.parametrize("p", [1 / 8, 1 / 2, 3 / 4])
def test_nft_on_policy_is_dr_grpo_or_grpo_with_the_populations_deviation(p):
    """At ratio 1 the coefficient is w on right answers and -w p / (1 - p) on wrong, for w = 1 - p and sqrt((1 - p) / p)."""
    right = round(8 * p)
    batch, _ = make([[1] * right + [0] * (8 - right)], lengths=[3] * 8)
    on_policy = torch.tensor(batch.sampling)
    for nft, other, w in (
        (policy_gradient.nft(7), policy_gradient.dr_grpo(7), 1 - p),
        (policy_gradient.nft(3, std=True), policy_gradient.grpo(), math.sqrt((1 - p) / p)),
    ):
        found = coefficients(nft, batch, on_policy).numpy()
        assert found == pytest.approx(coefficients(other, batch, on_policy).numpy(), rel=1e-5)
        assert found[-1, 1] / found[0, 1] == pytest.approx(-p / (1 - p))
        assert found[0, 1] * 8 * (7 if nft.advantage is advantage.centred else 3) == pytest.approx(w)


def test_nft_off_policy_is_capped_by_its_floor():
    """-w p R / max(1 - p R, floor (1 - p)): floor 1 makes it -w p R / (1 - p) above R = 1; without, it explodes at 1 / p."""
    rewards, w, p = [[1, 0]], 0.5, 0.5
    for floor, ratio, expected in ((1.0, 1.5, 1.5), (1.0, 0.5, 0.5 * 0.5 / 0.75), (1e-9, 1.98, 0.5 * 1.98 / 0.01)):
        found = example(policy_gradient.nft(2, floor=floor), rewards, ratio=ratio)[:, 0] * 2 * 2
        assert found == pytest.approx([w, -w * expected * p / (1 - p)], rel=1e-6)


def test_nft_at_its_optimum_stands_still():
    """Infinite data on one token: where policy = sampler conditioned on success, the expected gradient is 0; elsewhere not."""
    old, right = np.array([0.1, 0.2, 0.3, 0.4]), np.array([1, 0, 1, 0])
    p, draws = float(old @ right), np.round(old * 1000).astype(int)
    best = torch.tensor(old * right / p).clamp(min=1e-12)
    for policy, still in ((best, True), (torch.tensor([0.4, 0.0, 0.6, 0.0]).clamp(min=1e-12), False)):
        theta = policy.log().requires_grad_()
        chosen = theta.log_softmax(0).repeat_interleave(torch.tensor(draws))[:, None]
        batch, _ = make([np.repeat(right, draws)], lengths=[1] * 1000)
        old_logp = np.repeat(np.log(old), draws)[:, None]
        batch = dataclasses.replace(batch, mask=np.ones((1000, 1)), sampling=old_logp)
        c = coefficients(policy_gradient.nft(1, floor=1e-9), batch, chosen)
        (found,) = torch.autograd.grad((c * chosen).sum(), theta)
        assert (found.abs().max() < 1e-6) == still


def test_on_policy_the_clipped_objectives_coincide_up_to_their_aggregation():
    """Rows of equal length make the aggregations equal too; PPO without values and whitening on rewards that are advantages."""
    batch, _ = make([[1, 0, 0, 1], [1, 0, 0, 0]], lengths=[4] * 8)
    on_policy = torch.tensor(batch.sampling)
    found = [
        coefficients(t, batch, on_policy) for t in (policy_gradient.grpo(), policy_gradient.gspo(), policy_gradient.cispo())
    ]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=1e-15)
    credited = dataclasses.replace(batch, reward=advantage.normalised(batch))
    ppo = coefficients(policy_gradient.ppo(gamma=1.0, lam=1.0, whiten=False), credited, on_policy)
    torch.testing.assert_close(ppo, found[0], rtol=0, atol=1e-15)


def test_beyond_the_clip_cispo_goes_on_where_ppo_has_stopped():
    assert not example(policy_gradient.grpo(), [[1, 0]], ratio=3.0)[0].any()
    cispo, near = (example(policy_gradient.cispo(high=1.2), [[1, 0]], ratio=r)[0] for r in (3.0, 1.0))
    assert cispo == pytest.approx(1.2 * near)


def test_loop_on_one_pass_is_rloo():
    batch, _ = make(MIXED)
    for whole in (False, True):
        found = coefficients(policy_gradient.loop(whole=whole), batch, torch.tensor(batch.sampling))
        assert torch.equal(found, coefficients(policy_gradient.rloo(), batch, torch.tensor(batch.sampling)))


# ------------------------------------------------------------------------------------------------------ accumulation, layout


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_batch_in_slices_is_the_batch_at_once(name):
    """Bit for bit, whatever the order of the rows and with padding cut off: normalisers never see a micro-batch."""
    batch, logp = make(MIXED, weight=np.linspace(0.5, 2, 13))
    whole = coefficients(OBJECTIVES[name], batch, logp)
    in_slices = torch.cat([coefficients(OBJECTIVES[name], batch, logp[s], s) for s in (slice(0, 5), slice(5, 13))])
    assert torch.equal(in_slices, whole)
    for rows in np.array_split(np.random.default_rng(0).permutation(13), 4):
        width = int(batch.lengths[rows].max())
        part = coefficients(OBJECTIVES[name], batch, logp[rows, :width], rows)
        assert torch.equal(part, whole[rows, :width]) and not whole[rows, width:].any()


def test_cutting_off_a_trained_token_is_refused():
    batch, logp = make(MIXED)
    with pytest.raises(ValueError, match="does not cover"):
        coefficients(policy_gradient.grpo(), batch, logp[:, :3])
    with pytest.raises(ValueError, match="does not cover"):
        coefficients(policy_gradient.grpo(), batch, logp[:5], slice(0, 4))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_order_of_rows_and_names_of_groups_do_not_matter(name):
    batch, logp = make(MIXED, weight=np.linspace(0.5, 2, 13))
    order = np.random.default_rng(1).permutation(13)
    shuffled = Batch(
        **{f.name: getattr(batch, f.name) for f in dataclasses.fields(Batch) if f.name not in ("tokens",)}, tokens=batch.tokens
    )
    shuffled = dataclasses.replace(
        shuffled,
        **{k: getattr(batch, k)[order] for k in ("tokens", "mask", "sampling", "reward", "weight", "lengths")},
        group=1000 - 7 * batch.group[order],
    )
    whole = coefficients(OBJECTIVES[name], batch, logp)
    found = coefficients(OBJECTIVES[name], shuffled, logp[order])
    assert found.numpy() == pytest.approx(whole[order].numpy(), abs=1e-15)


def test_weight_multiplies_the_gradient_and_nothing_else():
    one, logp = make(MIXED)
    weight = np.linspace(0, 3, 13)
    scaled = dataclasses.replace(one, weight=weight)
    for tableau in OBJECTIVES.values():
        a, b = coefficients(tableau, one, logp).numpy(), coefficients(tableau, scaled, logp).numpy()
        assert b == pytest.approx(a * weight[:, None], abs=1e-15)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_active_rows_are_those_with_a_gradient(name):
    batch, _ = make(MIXED, lengths=[0, *[3] * 12], weight=[1] * 12 + [0])
    on_policy = coefficients(OBJECTIVES[name], batch, torch.tensor(batch.sampling))
    assert active(OBJECTIVES[name], batch).tolist() == (on_policy != 0).any(1).tolist()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_batches_of_nothing(name):
    """No rows, a row without trained tokens, and all groups silent: numbers, never a division by zero."""
    empty, logp = make([])
    assert coefficients(OBJECTIVES[name], empty, logp).shape == logp.shape
    silent, logp = make([[1, 1], [0, 0]], lengths=[0, 3, 0, 2])
    found = coefficients(OBJECTIVES[name], silent, logp)
    assert torch.isfinite(found).all() and not found[[0, 2]].any()
    assert bool(found.any()) == name.startswith(("sft", "reinforce", "redi", "ppo"))


def test_half_precision_log_probabilities_give_single_precision_coefficients():
    batch, logp = make(MIXED)
    found = coefficients(policy_gradient.grpo(), batch, logp.bfloat16())
    assert found.dtype == torch.float32 and not found.requires_grad
    exact = coefficients(policy_gradient.grpo(), batch, logp.bfloat16().double())
    assert found.numpy() == pytest.approx(exact.numpy(), rel=1e-5, abs=1e-8)


# -------------------------------------------------------------------------------------------------------------- degenerate


@pytest.mark.parametrize(
    "name", ["rloo", "grpo", "grpo_unbiased", "dr_grpo", "dapo", "loop", "gspo", "cispo", "nft", "nft_std"]
)
def test_a_group_of_one_or_without_variance_is_exactly_zero(name):
    """0.1 + 0.1 + 0.1 is not 0.3: the mean of equal rewards may miss them by a rounding error, and a deviation of 1e-17
    would then blow it up."""
    batch, logp = make([[1], [0.1] * 3, [0.7] * 7, [1, 0]])
    assert not advantage.normalised(batch, eps=0)[:11].any()  # and no 0 / 0
    found = coefficients(OBJECTIVES[name], batch, logp)
    assert not found[:11].any() and found[11:].any()


def test_an_unscorable_member_changes_no_advantage():
    scored = [sample(1), sample(0), sample(0), sample(0.5)]
    broken = Sample(scored[0].rollout, Verdict("unscorable", None), 0)
    for mixed in ([broken, *scored], [*scored[:2], broken, *scored[2:], broken]):
        kept = selection.keep_all(mixed)
        assert kept == scored
        batch, _ = make([[s.verdict.reward for s in kept]])
        assert advantage.normalised(batch, eps=0) == pytest.approx(np.array([5, -3, -3, 1]) / 8 / 0.41457809879442)


@pytest.mark.parametrize(
    "sign, ratio, kept",
    [
        (1, 1.19, True),
        (1, 1.21, False),  # raised enough
        (1, 0.5, True),  # pessimistic side: moved against the advantage, and must come back
        (-1, 0.81, True),
        (-1, 0.79, False),  # lowered enough
        (-1, 2.0, True),  # pessimistic side
    ],
)
def test_clip_stops_only_what_has_gone_far_enough(sign, ratio, kept):
    rewards = [[1, 0]] if sign == 1 else [[0, 1]]
    found = example(policy_gradient.grpo(std=False), rewards, ratio=ratio)[0]
    # Advantage ±1/2, over two rows of two tokens: ±1/8 times the ratio.
    assert found == pytest.approx([sign * ratio / 8 if kept else 0] * 2)


def test_dapo_clips_higher_above_and_not_below():
    rewards = [[1, 0]]
    found = {r: example(policy_gradient.dapo(), rewards, ratio=r)[:, 0] != 0 for r in (1.27, 1.29, 0.81, 0.79)}
    assert {r: f.tolist() for r, f in found.items()} == {
        1.27: [True, True],
        1.29: [False, True],
        0.81: [True, True],
        0.79: [True, False],
    }


def test_aggregation_by_hand_on_lengths_one_and_three():
    rewards, lengths = [[1, 0], [1, 1]], [1, 3, 2, 2]

    def first(tableau):
        return example(tableau, rewards, lengths)[:2, 0]

    # Advantages ±1 (std) or ±1/2 (centred) or ±1 (leave one out); the silent group has four of the eight tokens.
    assert first(policy_gradient.grpo()) == pytest.approx([1 / 4, -1 / 12], abs=1e-6)  # a row counts 1/4, however long
    assert first(policy_gradient.grpo(per_token=True)) == pytest.approx([1 / 8, -1 / 8], abs=1e-6)
    assert first(policy_gradient.dapo()) == pytest.approx([1 / 4, -1 / 4], abs=1e-6)  # and the silent group's are not counted
    assert first(policy_gradient.dr_grpo(length=3)) == pytest.approx([1 / 24, -1 / 24])
    assert first(policy_gradient.rloo()) == pytest.approx([1 / 4, -1 / 4])  # every token gets the response's whole weight
    assert first(policy_gradient.sft()) == pytest.approx([1 / 8, 1 / 8])
    assert first(policy_gradient.sft(per_token=False)) == pytest.approx([1 / 4, 1 / 12])


def test_a_ratio_beyond_float_stays_finite():
    batch, _ = make([[0, 1]], lengths=[1, 1])
    far = torch.tensor(batch.sampling + 1000 * batch.mask).float()
    found = coefficients(policy_gradient.grpo(), batch, far)
    assert torch.isfinite(found).all() and float(found[0, 1]) == pytest.approx(-math.exp(20) / 2, rel=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_is_not_finite_is_refused_by_row(name):
    batch, logp = make(MIXED)
    tableau = OBJECTIVES[name]
    for bad in (math.nan, math.inf, -math.inf):
        for field in ("reward", "weight", "sampling"):
            broken = getattr(batch, field).copy()
            broken[[2, 9]] = bad if field != "sampling" else np.where(batch.mask[[2, 9]] > 0, bad, 0)
            with pytest.raises(ValueError, match=r"2, 9$"):
                coefficients(tableau, dataclasses.replace(batch, **{field: broken}), logp)
        broken = logp.clone()
        broken[9, 1] = bad
        with pytest.raises(ValueError, match="log-probability of a trained token is not finite in rows 9$"):
            coefficients(tableau, batch, broken[7:], slice(7, None))  # the batch's row, not the slice's
        broken = torch.where(torch.tensor(batch.mask) > 0, logp, bad)  # untrained places may hold anything
        padded = dataclasses.replace(batch, sampling=np.where(batch.mask > 0, batch.sampling, bad))
        assert torch.equal(coefficients(tableau, padded, broken), coefficients(tableau, batch, logp))


def test_many_bad_rows_are_counted_and_not_all_listed():
    batch, _ = make([[math.nan] * 20])
    with pytest.raises(ValueError, match=r"20 of 20 rows: 0, 1, 2, 3, 4, 5, 6, 7, …$"):
        advantage.centred(batch)


# -------------------------------------------------------------------------------------------------------------------- data


def test_keep_correct_keeps_order_and_may_be_empty():
    samples = [sample(1, text="a"), sample(0.9), sample(1, text="b"), sample(0)]
    assert selection.keep_correct(samples) == [samples[0], samples[2]]
    assert selection.keep_correct([sample(0)]) == []
    assert selection.keep_all([Sample(samples[0].rollout, Verdict("unscorable", None), 0)]) == []


def test_distinct_keeps_one_of_each_response_to_a_task():
    texts = ["2+2=4", "4", "2 + 2 = 4", "4"]
    samples = [sample(1, text=t) for t in texts] + [sample(1, text="4", task="1 + 3")]
    assert selection.keep_correct(samples, distinct=True) == [samples[0], samples[1], samples[4]]
    assert selection.keep_correct(samples) == samples


def test_soft_overlong_by_hand():
    """Limit 20, the last fifth is 16 to 20: free up to 16, then 1/8 a token of a penalty of 1/2."""
    lengths = [1, 16, 17, 18, 20, 25]
    samples = [sample(1, n=n) for n in lengths]
    found = selection.soft_overlong(samples, limit=20)
    assert [s.verdict.reward for s in found] == pytest.approx([1, 1, 0.875, 0.75, 0.5, 0.5])
    assert [s.verdict.correct for s in found] == [True] * 6 and found[4].verdict.parts["overlong"] == -0.5
    assert samples[4].verdict.reward == 1 and found[0] is samples[0]
    assert selection.soft_overlong([sample(0, n=20)], limit=20, penalty=1)[0].verdict.reward == -1
    for bad in (dict(limit=0), dict(limit=20, cache=0), dict(limit=20, cache=1.5)):
        with pytest.raises(UserError, match="soft_overlong"):
            selection.soft_overlong(samples, **bad)


def test_objectives_print_as_they_are_called():
    from sharpen.recipe import describe

    assert describe(partial(policy_gradient.dapo, clip_high=0.3)) == "dapo(clip_high=0.3)"
