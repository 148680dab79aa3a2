"""Preference objectives: gradients against the published losses, identities, and pairs."""

import collections
import dataclasses
import functools
import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid

from sharpen.core import Batch, Rollout, Sample, Task, UserError, Verdict
from sharpen.data import pairs
from sharpen.objectives import games, preferences
from sharpen.objectives.tableau import active, coefficients, example, weigh

B = 0.3  # beta of every objective below
OBJECTIVES = {
    "dpo": preferences.dpo(B),
    "cdpo": preferences.dpo(B, smoothing=0.2),
    "rpo": preferences.dpo(B, nll=0.7),
    "dpo_norm": preferences.dpo(B, per_token=True),
    "ipo": preferences.ipo(B),
    "ipo_sum": preferences.ipo(B, per_token=False),
    "simpo": preferences.simpo(B, ratio=0.5),
    "spin": preferences.spin(B),
    "spin_hinge": preferences.spin(B, hinge=True),
    "exo": preferences.exo(B, smoothing=0.01),
    "dno": preferences.dno(B),
    "dno_soft": preferences.dno(B, soft=True),
    "sppo": preferences.sppo(B),
    "orpo": preferences.orpo(B, nll=0.7),
    "odds": preferences.orpo(B, nll=0.0),
    "preflexor_early": preferences.preflexor(B, 0.01, progress=0.2),
    "preflexor_late": preferences.preflexor(B, 0.01, progress=0.7),
}


def make(rewards, seed=0, weight=None):
    """A batch of groups with these rewards; log-probabilities and those of a reference, at random."""
    rng = np.random.default_rng(seed)
    reward = np.array([r for group in rewards for r in group], dtype=np.float64)
    length = rng.integers(1, 6, len(reward))
    mask = ((np.arange(8) >= 1) & (np.arange(8) <= length[:, None])).astype(np.float64)
    logp, reference = (torch.tensor(rng.uniform(-3, -0.5, mask.shape) * mask) for _ in range(2))
    weight = np.ones(len(reward)) if weight is None else np.array(weight)
    group = np.repeat(rng.permutation(len(rewards)), [len(g) for g in rewards])
    return Batch(np.zeros(mask.shape, np.int64), mask, logp.numpy(), reward, group, weight, length + 1), logp, reference


PAIRS = [[1, 0], [0.2, 0.7], [0, 1], [1, 0.5], [3, -1]]
WEIGHT = np.repeat([1, 2, 0.5, 1, 1], 2)


def published(name, batch, reference):
    """The loss of each paper, mean over pairs, one loop: a function of (B, T) log-probabilities."""
    mask = torch.tensor(batch.mask)

    def loss(logp):
        total = 0.0
        for g in np.unique(batch.group):
            w, v = sorted(np.flatnonzero(batch.group == g), key=lambda i: -batch.reward[i])
            n, m = mask[w].sum(), mask[v].sum()
            pw, pl = (logp[w] * mask[w]).sum(), (logp[v] * mask[v]).sum()
            rw, rl = (reference[w] * mask[w]).sum(), (reference[v] * mask[v]).sum()
            h, mean_h = (pw - rw) - (pl - rl), (pw - rw) / n - (pl - rl) / m
            nll = -pw / n
            q, gap = torch.sigmoid(B * h), torch.tensor(batch.reward[w] - batch.reward[v])
            odds = [p / k - torch.log1p(-torch.exp(p / k)) for p, k in ((pw, n), (pl, m))]
            exact = q * (logsigmoid(B * h) - math.log(0.99)) + (1 - q) * (logsigmoid(-B * h) - math.log(0.01))
            term = {
                "dpo": -logsigmoid(B * h),
                "cdpo": -0.8 * logsigmoid(B * h) - 0.2 * logsigmoid(-B * h),
                "rpo": -logsigmoid(B * h) + 0.7 * nll,
                "dpo_norm": -logsigmoid(B * mean_h),
                "ipo": (mean_h - 1 / (2 * B)) ** 2,
                "ipo_sum": (h - 1 / (2 * B)) ** 2,
                "simpo": -logsigmoid(B * (pw / n - pl / m) - 0.5 * B),
                "spin_hinge": torch.relu(1 - B * h),
                "exo": exact,
                "dno_soft": -torch.sigmoid(gap) * logsigmoid(B * h) - torch.sigmoid(-gap) * logsigmoid(-B * h),
                "sppo": (pw - rw - 1 / (2 * B)) ** 2 + (pl - rl + 1 / (2 * B)) ** 2,
                "odds": -B * logsigmoid(odds[0] - odds[1]),
                "orpo": 0.7 * nll - B * logsigmoid(odds[0] - odds[1]),
                "preflexor_early": nll - B * logsigmoid(odds[0] - odds[1]),
                "preflexor_late": exact,
            }.get(name, -logsigmoid(B * h))  # SPIN and DNO with hard targets are DPO with another reference
            total = total + batch.weight[w] * term / len(np.unique(batch.group))
        return total

    return loss


@pytest.mark.parametrize("name", OBJECTIVES)
def test_coefficients_are_minus_the_derivative_of_the_published_loss(name):
    batch, logp, reference = make(PAIRS, weight=WEIGHT)
    tableau = OBJECTIVES[name]
    found = coefficients(tableau, batch, logp, reference=reference if tableau.reference else None)
    loss, step = published(name, batch, reference), 1e-6
    for b, t in itertools.product(*map(range, logp.shape)):
        up, down = logp.clone(), logp.clone()
        up[b, t] += step
        down[b, t] -= step
        assert float(found[b, t]) == pytest.approx(-float(loss(up) - loss(down)) / (2 * step), abs=1e-6, rel=1e-6)
    assert found.abs().sum() > 0.1


@pytest.mark.parametrize("name", OBJECTIVES)
def test_whole_pairs_in_any_pass_and_order_give_the_same(name):
    batch, logp, reference = make(PAIRS, weight=WEIGHT)
    tableau = OBJECTIVES[name]
    assert tableau.together  # so that the trainer never cuts a pair in two
    other = reference if tableau.reference else None
    whole = coefficients(tableau, batch, logp, reference=other)
    for rows in (np.array([3, 2]), np.array([8, 9, 1, 0]), np.arange(10)[::-1].copy()):
        part = weigh(tableau, batch, logp[rows], rows, None if other is None else other[rows])[0]
        torch.testing.assert_close(part, whole[rows], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_is_no_pair_has_no_gradient_and_waters_nothing_down(name):
    """Equal sides, a row alone, a group of three, and no rows at all."""
    tableau = OBJECTIVES[name]
    others = [[1], [1, 1], [0, 0], [1, 0, 0]]
    together, logp, reference = make([*PAIRS[:1], *others])
    assert not preferences.better_or_worse(together)[2:].any()
    found = coefficients(tableau, together, logp, reference=reference if tableau.reference else None)
    assert found[:2].any() and not found[2:].any()
    alone = dataclasses.replace(
        together,
        **{k: getattr(together, k)[:2] for k in ("tokens", "mask", "sampling", "reward", "group", "weight", "lengths")},
    )
    same = coefficients(tableau, alone, logp[:2], reference=reference[:2] if tableau.reference else None)
    torch.testing.assert_close(found[:2], same)
    nothing, logp, reference = make(others)
    assert not coefficients(tableau, nothing, logp, reference=reference if tableau.reference else None).any()
    assert not active(preferences.dpo(), nothing).any()  # and costs no pass
    empty, logp, reference = make([])
    assert coefficients(tableau, empty, logp, reference=reference if tableau.reference else None).shape == logp.shape


# ---------------------------------------------------------------------------------------------------------------- identities


def on_one_token(tableau, logp, reference, reward=(1.0, 0.0)):
    """Coefficients of a pair of single tokens, by their log-probabilities."""
    one = np.ones((2, 1))
    batch = Batch(np.zeros((2, 1), np.int64), one, -one, np.array(reward), np.zeros(2, np.int64), np.ones(2), np.ones(2, int))
    other = torch.tensor([[r] for r in reference], dtype=torch.float64) if tableau.reference else None
    return coefficients(tableau, batch, torch.tensor([[x] for x in logp], dtype=torch.float64), reference=other)[:, 0].numpy()


def tabular(tableau, prefer, reference, steps=20_000, lr=0.5):
    """Log-probabilities at which the expected gradient over all pairs vanishes: y beats y' with probability prefer[y, y']."""
    theta = reference.clone().requires_grad_()
    both = list(itertools.permutations(range(len(reference)), 2))
    optimizer = torch.optim.Adam([theta], lr=lr)
    ones = np.ones((2 * len(both), 1))
    flat = np.array(both).reshape(-1)
    weight = np.repeat([float(prefer[a, b]) for a, b in both], 2)
    reward, group = np.tile([1.0, 0.0], len(both)), np.repeat(np.arange(len(both)), 2)
    batch = Batch(np.zeros(ones.shape, np.int64), ones, -ones, reward, group, weight, np.ones(len(flat), int))
    for i in range(steps):
        optimizer.param_groups[0]["lr"] = lr * 0.999**i
        logp = theta.log_softmax(0)[flat][:, None]
        c = coefficients(tableau, batch, logp.detach(), reference=reference.log_softmax(0)[flat][:, None])
        optimizer.zero_grad()
        (-(c * logp).sum()).backward()
        optimizer.step()
        if theta.grad.abs().max() < 1e-12:
            break
    return theta.detach().log_softmax(0)


def test_dpo_optimum_is_the_reward_and_ipo_stops_at_a_finite_margin():
    """Bradley-Terry preferences of a reward r: beta log(pi / ref) = r + const. IPO of two: h = (2 p - 1) / (2 beta)."""
    rng = np.random.default_rng(0)
    reward = torch.tensor(rng.normal(size=4))
    reference = torch.tensor(rng.normal(size=4)).log_softmax(0)
    found = tabular(preferences.dpo(0.5), torch.sigmoid(reward[:, None] - reward[None]), reference)
    implicit = 0.5 * (found - reference)
    assert (implicit - implicit.mean() - (reward - reward.mean())).abs().max() < 1e-4
    for p in (0.5, 0.8, 1.0):
        prefer = torch.tensor([[0, p], [1 - p, 0]])
        log_ratio = tabular(preferences.ipo(0.4), prefer, reference[:2].log_softmax(0)) - reference[:2].log_softmax(0)
        assert float(log_ratio[0] - log_ratio[1]) == pytest.approx((2 * p - 1) / 0.8, abs=1e-4)


def test_the_soft_optimum_of_dno_is_one_step_of_exponential_weights():
    """log(pi / pi_t) = r_t / eta + const: the pull vanishes there, whatever the pair."""
    reward, reference, eta = np.array([0.9, 0.35, 0.1]), np.array([-0.5, -1.5, -2.0]), 0.2
    optimum = reference + reward / eta
    for a, b in itertools.combinations(range(3), 2):
        pair = [optimum[a], optimum[b]]
        found = on_one_token(preferences.dno(eta, soft=True), pair, reference[[a, b]], reward[[a, b]])
        assert found == pytest.approx(0, abs=1e-15)
    assert on_one_token(preferences.dno(eta, soft=True), [-1, -1], [-1, -1], (0.9, 0.1))[0] > 0.01


def robust_groups(better, worse):
    """The groups of `pairs.improvements` on a pair, as (answer, the answer it follows or None)."""
    w, v = better, worse
    return [[(w, v), (v, v)], [(w, w), (v, w)], [(w, v), (w, None), (v, None), (v, w)]]


def on_scores(tableau, groups, score):
    """Coefficients of single tokens whose log-ratios are score(row), groups of rows with the better half first."""
    rows = [row for group in groups for row in group]
    one = np.ones((len(rows), 1))
    reward = np.concatenate([np.repeat([1.0, 0.0], len(group) // 2) for group in groups])
    index = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    batch = Batch(np.zeros(one.shape, np.int64), one, -one, reward, index, one[:, 0], np.ones(len(rows), int))
    logp = torch.tensor([[score(row)] for row in rows], dtype=torch.float64)
    return coefficients(tableau, batch, logp, reference=torch.zeros_like(logp))[:, 0].numpy()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_srpo_is_the_squared_error_of_what_the_saddle_point_satisfies(alpha):
    rows = [(a, b) for a in range(2) for b in (0, 1, None)]
    values = dict(zip(rows, np.random.default_rng(0).normal(size=len(rows)), strict=True))

    def loss(s):
        improver = [(B * (s[0, b] - s[1, b]) - 0.5) ** 2 for b in (0, 1)]
        both = (B * ((s[0, 1] - s[1, None]) - (s[1, 0] - s[0, None])) - 1) ** 2
        return ((1 - alpha) * sum(improver) / 2 + alpha * both) / B**2

    groups, total = robust_groups(0, 1), dict.fromkeys(rows, 0.0)
    found = on_scores(preferences.srpo(B, alpha), groups, values.__getitem__)
    for row, c in zip((row for group in groups for row in group), found, strict=True):
        total[row] += c
    for row in rows:
        up, down = values | {row: values[row] + 1e-6}, values | {row: values[row] - 1e-6}
        assert total[row] == pytest.approx(-(loss(up) - loss(down)) / 2e-6, abs=1e-6)


def test_the_expected_gradient_of_srpo_vanishes_at_the_saddle_point_and_nowhere_near():
    """Whatever the preferences, transitive or not, and whatever pairs are drawn."""
    prefer, reference = games.random_preference(4, np.random.default_rng(3)), np.array([0.4, 0.3, 0.2, 0.1])
    generator, improver = games.robust(prefer, reference, B)

    def gradient(generator):
        def score(row):
            z, y = row
            return float(np.log(generator[z] / reference[z]) if y is None else np.log(improver[y, z] / reference[z]))

        total = collections.Counter()
        for a, b in itertools.permutations(range(4), 2):
            groups = robust_groups(a, b)
            found = prefer[a, b] * on_scores(preferences.srpo(B, 0.3), groups, score)
            for row, c in zip((row for group in groups for row in group), found, strict=True):
                total[row] += c
        return np.abs(list(total.values())).max()

    assert gradient(generator) < 1e-6
    assert gradient(reference) > 0.1


def test_soft_dno_on_verdicts_is_conservative_dpo():
    """Right and wrong answers have win rates that differ by 1/2: labels smoothed by sigma(-1/2)."""
    group = [sample(r) for r in (1, 1, 0, 0, 0)]
    paired = pairs.tournament(group, demos=[])
    assert [s.verdict.reward for s in paired] == pytest.approx([0.8, 0.3])
    smoothing = 1 / (1 + math.exp(0.5))
    for h in (-2.0, 0.0, 1.0):
        soft = on_one_token(preferences.dno(B, soft=True), [h - 1, -1], [-1, -1], (0.8, 0.3))
        assert soft == pytest.approx(on_one_token(preferences.dpo(B, smoothing), [h - 1, -1], [-1, -1]), abs=1e-15)


def test_simpo_does_not_care_for_length_and_dpo_does():
    """Every token said twice: SimPO's margin, and so its pull on a whole side, stay; DPO's margin doubles."""
    batch, logp, reference = make([[1, 0]])
    twice = dataclasses.replace(
        batch, mask=np.tile(batch.mask, 2), sampling=np.tile(batch.sampling, 2), tokens=np.tile(batch.tokens, 2)
    )
    for tableau, same in ((preferences.simpo(), True), (preferences.dpo(), False)):
        other = reference if tableau.reference else None
        once = coefficients(tableau, batch, logp, reference=other).sum(1)
        again = coefficients(tableau, twice, logp.tile(2), reference=None if other is None else other.tile(2)).sum(1)
        assert torch.allclose(once, again) == same


@pytest.mark.parametrize("length", [1, 4, 7])
def test_length_normalised_dpo_on_equal_lengths_is_dpo_with_beta_over_length(length):
    batch, logp, reference = make([[1, 0], [0, 1]])
    mask = np.tile((np.arange(8) < length) * 1.0, (len(batch), 1))
    batch, logp, reference = dataclasses.replace(batch, mask=mask), logp - 0.1, reference - 0.2
    normed, plain = (
        coefficients(t, batch, logp, reference=reference)
        for t in (preferences.dpo(5.0, per_token=True), preferences.dpo(5.0 / length))
    )
    assert torch.allclose(normed, plain, rtol=0, atol=1e-12) and normed.abs().sum() > 0.1


def test_length_normalised_dpo_counts_a_side_of_twice_the_length_half():
    """Token for token: lengths 3 and 6 with the same pull on each whole side."""
    found = example(preferences.dpo(5.0, per_token=True), [[1, 0]], lengths=[3, 6], ratio=1.3)
    assert found[0, 0] == pytest.approx(-2 * found[1, 0]) and found[0, 0] > 0.1
    assert found.sum() == pytest.approx(0, abs=1e-12)


def test_a_shared_beginning_cancels_in_dpo():
    """Error-injected editing: before the first edited token both sides' tokens are the same, with opposite coefficients."""
    found = example(preferences.dpo(), [[1, 0]], lengths=[4, 4], ratio=1.3)
    assert found[0].any() and np.array_equal(found[0], -found[1])


def test_conservative_dpo_is_stationary_at_the_log_odds_of_its_labels():
    """h = log((1 - e) / e) / beta. With e from the visits of a tree search (MCTS-DPO) that is log(N_w / N_l) / beta."""
    for right, wrong in ((3, 1), (9, 1), (2, 2)):
        smoothing = wrong / (right + wrong)
        h = math.log(right / wrong) / B
        assert on_one_token(preferences.dpo(B, smoothing), [h - 5, -5], [-5, -5]) == pytest.approx(0, abs=1e-12)
        assert on_one_token(preferences.exo(B, smoothing), [h - 5, -5], [-5, -5]) == pytest.approx(0, abs=1e-12)


def test_spin_has_no_gradient_where_the_student_is_the_data():
    """The mean over y from the data and y' from the opponent of c grad log p(y) + c' grad log p(y') is 0 if all three are one
    distribution, and not where student and opponent are another."""
    data, reference = (torch.tensor(np.random.default_rng(s).normal(size=3)).log_softmax(0) for s in (0, 1))

    def expected(theta, opponent, drawn):
        theta = theta.clone().requires_grad_()
        logp, total = theta.log_softmax(0), 0.0
        for a, b in itertools.product(range(3), repeat=2):
            if a != b:  # equal sides are dropped: their gradient is zero
                c = on_one_token(preferences.spin(0.1), logp.detach()[[a, b]].tolist(), opponent[[a, b]].tolist())
                total = total + data.exp()[a] * drawn.exp()[b] * (c[0] * logp[a] + c[1] * logp[b])
        return torch.autograd.grad(total, theta)[0]

    assert expected(data, data, data).abs().max() < 1e-15
    assert expected(reference, reference, reference).abs().max() > 1e-3


@pytest.mark.parametrize(
    "tableau, rises",
    [(preferences.dpo(1.0), False), (preferences.dpo(1.0, nll=1.0), True), (preferences.sppo(1.0), True)],
    ids=["dpo", "rpo", "sppo"],
)
def test_which_losses_keep_the_better_answer_from_falling(tableau, rises):
    """Two answers with a feature in common, stronger in the worse one, and one each of their own: pushing the worse one down
    drags the better one along while the margin grows. The term of iterative RPO raises it, and so does a target of its own."""
    weights = torch.zeros(3, requires_grad=True)  # features: shared, own of better, own of worse
    features = torch.tensor([[1.0, 0.5, 0.0], [1.5, 0.0, 0.5]])
    start = torch.nn.functional.logsigmoid(features @ weights).detach()
    for _ in range(50):
        logp = torch.nn.functional.logsigmoid(features @ weights)
        c = on_one_token(tableau, logp.detach().tolist(), start.tolist())
        (gradient,) = torch.autograd.grad(-(torch.tensor(c) * logp).sum(), weights)
        weights = (weights - 0.1 * gradient).detach().requires_grad_()
    change = torch.nn.functional.logsigmoid(features @ weights).detach() - start
    assert (change[0] > 0) == rises and change[0] > change[1]


def margins(tableau, *steps):
    """Of two answers, where every label prefers the first: their log-ratio after so many steps at a constant rate."""
    theta, path = torch.zeros(2, dtype=torch.float64), []
    for _ in range(max(steps)):
        theta = theta.requires_grad_()
        logp = theta.log_softmax(0)
        c = torch.tensor(on_one_token(tableau, logp.tolist(), [-math.log(2)] * 2))
        (gradient,) = torch.autograd.grad((c * logp).sum(), theta)
        theta = (theta + 0.4 * gradient).detach()
        path.append(float(theta[0] - theta[1]))
    return [path[step - 1] for step in steps]


def test_where_every_label_agrees_dpo_runs_away_and_ipo_and_cdpo_stop():
    """At 1 / 2 and log(9); DPO's margin grows as log(steps) for ever."""
    dpo, ipo, cdpo = (margins(m, 100, 400) for m in (preferences.dpo(1.0), preferences.ipo(1.0), preferences.dpo(1.0, 0.1)))
    assert ipo == pytest.approx([0.5, 0.5], abs=1e-6) and cdpo == pytest.approx([math.log(9)] * 2, abs=1e-3)
    assert dpo[0] > 1.9 * cdpo[0] and dpo[1] - dpo[0] == pytest.approx(math.log(4), rel=0.1)


def paired_practice(fresh, seed, steps=60, lr=40.0):
    """(reward, KL from the start): DPO on the best and the worst of eight answers to each of 8 prompts, 40 possible ones,
    drawn from the present policy or from the first."""
    rng = np.random.default_rng(seed)
    theta, worth = torch.tensor(rng.normal(size=(8, 40))), rng.normal(size=(8, 40))
    start = theta.log_softmax(1)
    prompt, ones = np.repeat(np.arange(8), 2), np.ones((16, 1))
    batch = Batch(np.zeros((16, 1), np.int64), ones, -ones, np.tile([1.0, 0.0], 8), prompt, ones[:, 0], ones[:, 0])
    for _ in range(steps):
        p = (theta.log_softmax(1) if fresh else start).exp().numpy()
        drawn = np.stack([rng.choice(40, 8, p=q) for q in p])
        order = np.take_along_axis(worth, drawn, 1).argsort(1)
        answer = np.take_along_axis(drawn, order[:, [-1, 0]], 1).ravel()
        theta = theta.requires_grad_()
        logp = theta.log_softmax(1)[prompt, answer][:, None]
        c = coefficients(preferences.dpo(0.1), batch, logp.detach(), reference=start[prompt, answer][:, None])
        (gradient,) = torch.autograd.grad((c * logp).sum(), theta)
        theta = (theta + lr * gradient).detach()
    p = theta.softmax(1)
    return float((p.numpy() * worth).sum(1).mean()), float((p * (p.log() - start)).sum(1).mean())


def test_online_pairs_beat_pairs_of_the_first_policy():
    """As many pairs and updates. They also go further from the start."""
    for seed in range(3):
        (online, far), (offline, near) = paired_practice(True, seed), paired_practice(False, seed)
        assert online > offline + 0.1 and far > near


def test_nonsense_numbers_are_refused():
    for bad in (
        lambda: preferences.dpo(0.0),
        lambda: preferences.ipo(-1.0),
        lambda: preferences.exo(smoothing=0.0),
        lambda: preferences.dno(0.0),
        lambda: preferences.sppo(math.nan),
        lambda: preferences.srpo(0.0),
    ):
        with pytest.raises(UserError, match="> 0"):
            bad()


# --------------------------------------------------------------------------------------------------------------------- pairs


@functools.cache
def task(name):
    return Task(({"role": "user", "content": name},), "4", "sum", 1, solution="4")


def sample(reward, group=0, text="a", weight=1.0):
    tokens = np.array([0, *map(ord, text)], dtype=np.int32)
    sampled = np.arange(len(tokens)) > 0
    rollout = Rollout(task(str(group)), tokens, sampled, np.zeros(len(tokens), np.float32), (text,), "end", 0, 0, text)
    outcome = "unscorable" if reward is None else "correct" if reward == 1 else "wrong"
    return Sample(rollout, Verdict(outcome, reward), group, weight)


def said(found):
    """[(better, worse), …] by text; every pair a group of its own."""
    assert [s.group for s in found] == [i // 2 for i in range(len(found))]
    texts = [s.rollout.turns[0] for s in found]
    return list(zip(texts[::2], texts[1::2], strict=True))


GROUPS = [
    *(sample(r, 0, t) for r, t in ((0, "a"), (1, "b"), (1, "c"), (0, "d"), (0, "e"), (None, "u"))),
    *(sample(r, 1, t) for r, t in ((0, "f"), (0, "g"))),
    *(sample(r, 2, t) for r, t in ((0.2, "h"), (0.9, "i"), (0.5, "j"))),
    sample(1, 3, "k"),
    sample(None, 4, "l"),
]


def test_pairs_by_hand():
    assert said(pairs.right_vs_wrong(GROUPS)) == [("b", "a"), ("c", "d")]
    assert said(pairs.best_vs_worst(GROUPS)) == [("b", "e"), ("i", "h")]
    assert said(pairs.best_vs_worst(GROUPS, pairs=5)) == [("b", "e"), ("c", "d"), ("i", "h")]
    assert said(pairs.best_vs_worst(GROUPS, pairs=5, margin=0.7)) == [("b", "e"), ("c", "d")]
    judged = {s.rollout.turns[0]: s.verdict.reward for s in GROUPS}
    assert all(s.verdict.reward == judged[s.rollout.turns[0]] for s in pairs.best_vs_worst(GROUPS))


def test_improvements_read_one_answer_and_give_another():
    """Two groups of two and one of four for each pair, every row after the answer that it has to improve on."""
    asked = []

    def retell(s, messages):
        before = messages[-2]["content"]
        asked.append((s.rollout.response, before, messages[0]["content"], messages[-1]["content"]))
        return dataclasses.replace(s, rollout=dataclasses.replace(s.rollout, turns=(s.rollout.turns[0] + before,)))

    found = pairs.improvements(GROUPS, retell=retell)
    texts = [[s.rollout.turns[0] for s in found if s.group == g] for g in range(6)]
    assert texts[:3] == [["ba", "aa"], ["bb", "ab"], ["ba", "b", "a", "ab"]]
    assert texts[3:] == [["cd", "dd"], ["cc", "dc"], ["cd", "c", "d", "dc"]]
    assert {(task, mark) for _, _, task, mark in asked} == {("0", pairs.IMPROVE)}
    batch = [s.verdict.reward for s in found if s.group == 2]
    assert batch == [1, 1, 0, 0]
    assert pairs.improvements(GROUPS[6:8], retell=retell) == []


def test_a_demonstration_is_preferred_to_what_is_not_itself():
    demos = [sample(1, 0, "b"), sample(1, 1, "x"), sample(1, 4, "y")]
    found = pairs.demo_vs_own(GROUPS, demos=demos)
    assert said(found) == [("b", "a"), ("b", "c"), ("b", "d"), ("b", "e"), ("x", "f"), ("x", "g")]
    right = found[3]  # "c" is right too: it counts 0 here, and its verdict says what it was
    assert right.verdict.reward == 0 and right.verdict.correct and right.verdict.parts["judged"] == 1
    batch = np.array([s.verdict.reward for s in found]).reshape(-1, 2)
    assert (batch[:, 0] > batch[:, 1]).all()
    assert pairs.demo_vs_own(GROUPS, demos=[]) == []


def test_a_tournament_ranks_by_win_rate_against_own_answers():
    """Group 1: two wrong answers and a demonstration that beats both. Group 0 by itself: 2 of 5 right."""
    found = pairs.tournament(GROUPS, demos=[sample(1, 1, "x")])
    assert said(found) == [("b", "e"), ("x", "g"), ("i", "h")]
    # b beats 3 of 5 and ties 2; e ties 3. x beats 2 of 2; g ties 2. i beats 2 of 3 and ties itself; h ties itself.
    assert [s.verdict.reward for s in found] == pytest.approx([0.8, 0.3, 1.0, 0.5, 5 / 6, 1 / 6])
    assert said(pairs.tournament(GROUPS, margin=0.5, demos=[])) == [("i", "h")]


def test_best_of_keeps_no_worthless_answer():
    assert [s.rollout.turns[0] for s in pairs.best_of(GROUPS)] == ["b", "i", "k"]


def test_mixed_shows_the_solutions_of_the_later_prompts():
    demos = [sample(1, g, "xyzw"[g]) for g in (0, 2, 3)]
    assert [s.rollout.turns[0] for s in pairs.mixed(GROUPS, own=0.5, demos=demos)] == [*"abcde", *"fg", "z", "w"]
    assert pairs.mixed(GROUPS, own=1.0, demos=demos) == [s for s in GROUPS if s.verdict.reward is not None]


def test_sides_weigh_the_same_and_nothing_is_changed_in_place():
    heavy = [sample(1, 0, "a", weight=3.0), sample(0, 0, "b")]
    assert [s.weight for s in pairs.right_vs_wrong(heavy)] == [3.0, 3.0] and heavy[1].weight == 1.0


@pytest.mark.parametrize("choose", [pairs.right_vs_wrong, pairs.best_vs_worst, functools.partial(pairs.tournament, demos=[])])
def test_nothing_to_pair(choose):
    for rewards in ([], [1], [1, 1], [0, 0, 0], [None, None], [1, None]):
        assert choose([sample(r) for r in rewards]) == []
