"""What entropy decides: which tokens and responses are trained, what a response earns, and how free a policy is kept."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from test_policy_gradient import make, sample

from sharpen.objectives import entropy, off_policy, policy_gradient
from sharpen.objectives.tableau import coefficients, example, weigh


def flat(samples):
    """For each sample, entropies 0, 0.1, 0.2, … of its tokens."""
    return [0.1 * np.arange(len(s.rollout.tokens)) for s in samples]


# ------------------------------------------------------------------------------------------------------------ down-sampling


@pytest.mark.parametrize("seed", range(5))
def test_the_most_varied_subset_by_brute_force(seed):
    values = np.random.default_rng(seed).normal(size=9)
    for count in range(1, 9):
        best = max(values[list(c)].var() for c in itertools.combinations(range(9), count))
        found = entropy.most_varied(values, count)
        assert len(found) == count and values[found].var() == pytest.approx(best)


def test_down_sampling_keeps_whole_groups_for_their_advantages_and_few_tokens():
    samples = [sample(r, g) for g, rewards in enumerate([(1, 0, 0, 0), (1, 1, 1, 1)]) for r in rewards]
    kept = entropy.down_sample(samples, 0.25, 1 / 3, entropy=flat(samples), progress=0.0)
    assert [s.verdict.reward for s in kept] == [s.verdict.reward for s in samples]  # nobody left the comparison
    trained = [int(s.rollout.sampled.sum()) for s in kept]
    # Two responses of tokens 1, 2, 3 with entropies .1, .2, .3, times |A| of 1.73 and 0.58: the top two are the success's last.
    assert kept[0].rollout.sampled.tolist() == [False, False, True, True] and sum(trained) == 2
    everything = entropy.down_sample(samples, 0.25, 0.5, entropy=flat(samples), progress=1.0)
    assert [s.rollout.sampled.tolist() for s in everything] == [s.rollout.sampled.tolist() for s in samples]


def test_down_sampling_leaves_out_what_could_not_be_scored():
    samples = [sample(1), sample(None, 0, "unscorable"), sample(0)]
    kept = entropy.down_sample(samples, 1.0, 1.0, entropy=flat(samples), progress=0.0)
    assert [s.verdict.reward for s in kept] == [1, 0]
    assert entropy.down_sample([samples[1]], entropy=flat([samples[1]]), progress=0.0) == []


# ------------------------------------------------------------------------------------------------------- surprising tokens


def test_surprising_tokens_by_hand():
    """-log p - c H: with c = 0 the likelihood decides alone, with c = 1 a sure mistake goes before an open question."""
    one = [sample(1, n=4)]
    logprobs, spread = [np.array([0, -3.0, -2.0, -1.0, -0.5])], [np.array([0, 2.5, 0.1, 0.1, 0.1])]

    def kept(**knobs):
        (found,) = entropy.surprising(one, entropy=spread, logprobs=logprobs, **knobs)
        return found.rollout.sampled[1:].tolist()

    assert kept(share=0.5, weight=0.0) == [True, True, False, False]
    assert kept(share=0.5, weight=1.0) == [False, True, True, False]
    assert kept(share=1.0, weight=1.0) == [True] * 4
    assert kept(share=0.0, weight=0.0) == [True, False, False, False]  # one token at least
    assert entropy.surprising([sample(0)], entropy=spread, logprobs=logprobs) == []


# ------------------------------------------------------------------------------------------------------------ window entropy


def test_window_means_look_ahead():
    assert entropy.window_means(np.array([9.0, 1, 2, 3, 4]), 2).tolist() == [1.5, 2.5, 3.5, 4, 0]
    assert entropy.window_means(np.zeros(0), 4).tolist() == []


def test_exploration_by_hand():
    """Target 4. Easy: margin 1, kappa 2, cap 0.5: D = 3 is 2 beyond, huber 2, -0.5 * 2 / 3. Wrong, enough: half."""
    assert entropy.exploration(3, 4, 0, True, 0.5) == pytest.approx(-1 / 3)
    assert entropy.exploration(1, 4, 0, True, 0.5) == 0 == entropy.exploration(-3, 4, 0, True, 0.5)
    assert entropy.exploration(9, 4, 0, True, 0.5) == -0.5  # no further than the cap
    assert entropy.exploration(-4, 4, 1, True, 0.5) < 0  # medium: straying to either side
    assert entropy.exploration(0, 4, 0, False, 0.5) == pytest.approx(0.5 * 0.5 * 0.6)
    hard = [entropy.exploration(d, 4, 2, True, 0.5) for d in range(-4, 8)]
    assert hard == sorted(hard) and hard[0] < 0 < hard[-1] <= 0.6


def test_the_reward_changes_and_the_outcome_does_not():
    samples = [sample(1, 0, n=9), sample(1, 0, n=9), sample(1, 0, n=9), sample(0, 1), sample(None, 1, "unscorable")]
    spread = [np.r_[0, np.full(9, 5.0)], *flat(samples)[1:]]
    found = entropy.window_reward(samples, quantile=0.5, entropy=spread)
    assert len(found) == 4 and [s.verdict.correct for s in found] == [True] * 3 + [False]
    # An easy prompt, solved, and the first with more open tokens than the others.
    assert found[0].verdict.reward < found[1].verdict.reward == 1
    assert found[0].verdict.parts["exploration"] == pytest.approx(found[0].verdict.reward - 1)


# ------------------------------------------------------------------------------------------------------------- objectives


def test_the_targets_penalty_is_the_derivative_of_the_distance_to_it():
    """mean over responses of weight * |mean entropy - target|, through logits, by autograd."""
    tableau = entropy.targeted(target=1.0, weight=0.7)
    batch, logp = make([[1, 0], [1, 1]], lengths=[1, 3, 2, 2])
    logits = torch.tensor(np.random.default_rng(0).normal(size=(*batch.mask.shape, 5)) * 2, requires_grad=True)
    spread = entropy.openness(logits.flatten(0, 1), None, None).view(batch.mask.shape)
    on = torch.tensor(batch.mask)
    means = (spread * on).sum(1) / on.sum(1)
    (expected,) = torch.autograd.grad((0.7 * (means - 1.0).abs()).mean(), logits, retain_graph=True)
    _, factors = weigh(tableau, batch, logp, entropy=spread.detach())
    (found,) = torch.autograd.grad((factors * spread).sum(), logits)
    torch.testing.assert_close(found, expected)
    assert (means > 1.0).any() and (means < 1.0).any()


def test_hardness_weighs_rare_successes_more():
    c = example(entropy.targeted(weight=0.0, hardness=1.0), [[1, 0, 0, 0], [1, 1, 1, 0]]).sum(1)
    plain = example(policy_gradient.grpo(), [[1, 0, 0, 0], [1, 1, 1, 0]]).sum(1)
    assert c / plain == pytest.approx([1.75] * 4 + [1.25] * 4)


def view(tableau, batch, logp):
    """Factors of the penalty, without the normaliser."""
    _, factors = weigh(tableau, batch, logp)
    return (factors / torch.tensor(policy_gradient.sequence_mean(batch))[:, None]).numpy()


def test_the_adaptive_bonus_is_uniform_at_equal_covariance_and_bounded():
    """scale / T for each of T tokens; never more than scale over a response, nor than the cap on one token."""
    batch, _ = make([[1, 0]], lengths=[4, 4])
    level = torch.full(batch.mask.shape, -1.0, dtype=torch.float64)
    assert view(entropy.adaptive(weight=1.0), batch, level)[:, 1:5] == pytest.approx(np.full((2, 4), -2.5))
    steep = level.clone()
    steep[0, 2] = 1000.0
    found = view(entropy.adaptive(weight=1.0), batch, steep)
    assert found[0, 2] == -5 and -found[0].sum() <= 10 + 1e-9
    assert view(entropy.adaptive(weight=1.0, cap=50.0), batch, steep)[0, 2] == pytest.approx(-10)


def test_covariance_by_hand():
    """A group of two, advantages ±1, two tokens each: mean advantage 0, log-probabilities -1, -3 and -2, -2, mean -2."""
    batch, _ = make([[1, 0], [1, 0]], lengths=[2, 2, 2, 2])
    logp = torch.full(batch.mask.shape, -2.0, dtype=torch.float64)
    logp[0, 1:3] = torch.tensor([-1.0, -3.0])
    logp[2:] = torch.tensor(np.random.default_rng(0).normal(size=logp[2:].shape))  # another group, which must not matter
    seen = []

    def look(rows):
        seen.append(entropy.covariance(rows))
        return torch.ones_like(rows.logp)

    weigh(dataclasses.replace(policy_gradient.grpo(), ratio=look), batch, logp)
    assert seen[0][:2, 1:3].numpy() == pytest.approx(np.array([[1, -1], [0, 0]]), abs=1e-5)


def test_clip_cov_takes_the_gradient_of_the_steepest_tokens_only():
    batch, _ = make([[1, 0]], lengths=[5, 5])
    logp = torch.full(batch.mask.shape, -1.0, dtype=torch.float64) * torch.tensor(batch.mask)
    logp[0, 3] = -0.01  # likely, and raised: nothing sharpens more
    fresh = dataclasses.replace(batch, sampling=logp.numpy())
    found, plain = (coefficients(t, fresh, logp) for t in (entropy.clip_cov(share=0.1), policy_gradient.grpo()))
    assert found[0, 3] == 0 != plain[0, 3]
    others = torch.ones_like(found, dtype=torch.bool)
    others[0, 3] = False
    assert torch.equal(found[others], plain[others])


# ------------------------------------------------------------------------------------------------- rollouts of earlier versions


def aged(reward, group, version):
    s = sample(reward, group, text=f"{version}.{group}")
    return dataclasses.replace(s, rollout=dataclasses.replace(s.rollout, version=version, id=f"{version}.{group}.{reward}"))


def test_earlier_groups_come_whole_and_only_from_the_latest_steps():
    buffer: list = []
    for version in range(6):
        fresh = [aged(r, g, version) for g in range(8) for r in (0, 1)]
        rng = np.random.default_rng(version)
        kept = off_policy.with_earlier(fresh, 0.5, 2, 0.9, progress=0.1, buffer=buffer, rng=rng)
        assert len(kept) == len(fresh) and sorted({s.group for s in kept}) == list(range(8))
        for group in range(8):
            one = [s for s in kept if s.group == group]
            assert len({s.rollout.response for s in one}) == 1 and sorted(s.verdict.reward for s in one) == [0, 1]
        ages = {version - s.rollout.version for s in kept}
        assert ages <= {0, 1, 2} and (version == 0) == (ages == {0})
        assert len({s.rollout.version for s in buffer}) == min(version + 1, 2)
        assert all(s.rollout.id == f"{s.rollout.version}.{s.group}.{s.verdict.reward}" for s in buffer)  # as they came
    fresh = [aged(1, 0, 9)]
    assert off_policy.with_earlier(fresh, 0.5, 2, 0.9, progress=0.9, buffer=buffer, rng=rng) == fresh and not buffer


def test_the_trust_region_moves_with_the_policy_before_the_step():
    """Sampled by an older policy at ratio 1.5, where GRPO's clip has long stopped; the bound is 1.5 ± 0.2."""
    tableau = off_policy.remix(kl=0.0, progress=0.0)
    batch, _ = make([[1, 0]], lengths=[2, 2])
    before = batch.sampling + np.log(1.5) * batch.mask
    ready = dataclasses.replace(batch, before=before)
    cases = {1.5: [True, True], 1.69: [True, True], 1.71: [False, True], 1.31: [True, True], 1.29: [True, False]}
    for ratio, kept in cases.items():
        found = coefficients(tableau, ready, torch.tensor(batch.sampling + np.log(ratio) * batch.mask))
        assert (found[:, 1] != 0).tolist() == kept
    assert not coefficients(policy_gradient.grpo(), batch, torch.tensor(before))[0].any()


def test_kl_convex_is_the_gradient_of_the_sum_of_two_divergences():
    """In expectation over a softmax: share * KL(pi || base) + (1 - share) * KL(pi || before), by autograd."""
    rng = np.random.default_rng(0)
    theta = torch.tensor(rng.normal(size=5), requires_grad=True)
    base, before = (torch.tensor(rng.normal(size=5)).log_softmax(0) for _ in range(2))
    logp = theta.log_softmax(0)
    kl = [(logp.exp() * (logp - other)).sum() for other in (base, before)]
    (expected,) = torch.autograd.grad(0.75 * kl[0] + 0.25 * kl[1], theta, retain_graph=True)
    batch, _ = make([[1]] * 5, lengths=[1] * 5)
    p = logp.exp().detach().numpy()
    ones, then = np.ones((5, 1)), before.numpy()[:, None]
    batch = dataclasses.replace(batch, mask=ones, sampling=0 * ones, weight=5 * p, before=then)
    tableau = dataclasses.replace(off_policy.remix(kl=1.0, until=0.5, progress=0.25), normaliser=policy_gradient.sequence_sum)
    c = coefficients(tableau, batch, logp.detach()[:, None], reference=base[:, None])
    (found,) = torch.autograd.grad(-(c * logp[:, None]).sum(), theta)
    torch.testing.assert_close(found, expected)
    assert [off_policy.remix(progress=q).extra.keywords["share"] for q in (0, 0.125, 0.25, 1)] == [1, 0.75, 0.5, 0.5]
