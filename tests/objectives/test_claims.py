"""What objectives claim, on policies that are tables of logits: each against its parent, from the same seeds.

Answers are single tokens unless said otherwise. A gain here is the rule's; of a model it says no more than a bandit does.
"""

import math

import numpy as np
import pytest
import torch

from sharpen.core import Batch
from sharpen.objectives import advantage, entropy, hybrid, penalties, policy_gradient
from sharpen.objectives.tableau import coefficients, weigh


def rows(reward, group, sampling, **more):
    """A batch of answers of one token each, or of as many as `sampling`, (B, T), has columns."""
    sampling = np.asarray(sampling, dtype=float).reshape(len(reward), -1)
    on, one = np.ones(sampling.shape), np.ones(len(reward))
    return Batch(on.astype(int), on, sampling, np.asarray(reward, dtype=float), np.asarray(group), one, one, **more)


def drawn(theta, count, rng):
    """(prompt, answer) of `count` answers to each prompt."""
    answer = [rng.choice(theta.shape[1], count, p=p) for p in theta.softmax(1).numpy()]
    return np.repeat(np.arange(len(theta)), count), np.concatenate(answer)


def learnt(theta, tableau, batch, prompt, answer, lr, passes=1):
    """The table after some passes over the same answers."""
    for _ in range(passes):
        theta = theta.clone().requires_grad_()
        logits = theta[prompt]
        logp = logits.log_softmax(1)
        chosen = logp[np.arange(len(answer)), answer][:, None]
        spread = -(logp.exp() * logp).sum(1, keepdim=True).detach()
        c, factors = weigh(tableau, batch, chosen.detach(), entropy=spread)
        loss = -(c * chosen).sum()
        if tableau.penalty is not None:
            loss = loss + (factors[:, 0] * tableau.penalty(logits, None, torch.as_tensor(answer))).sum()
        (gradient,) = torch.autograd.grad(loss, theta)
        theta = (theta - lr * gradient).detach()
    return theta


def practised(tableau, theta, worth, steps, lr, passes=1, samples=8, seed=0, keep=None, lucky=False):
    """The tables after each step of sampling, paying and learning.

    worth  (prompts, answers) what an answer pays, or with `lucky` the chance that it pays 1
    keep   (reward (prompts, samples)) -> which of them are learnt from
    """
    rng, theta = np.random.default_rng(seed), torch.tensor(theta)
    path = []
    for _ in range(steps):
        prompt, answer = drawn(theta, samples, rng)
        paid = worth[prompt, answer]
        paid = (rng.random(len(paid)) < paid).astype(float) if lucky else paid
        on = np.ones(len(paid), bool) if keep is None else keep(paid.reshape(-1, samples)).reshape(-1)
        if on.any():
            prompt, answer = prompt[on], answer[on]
            batch = rows(paid[on], prompt, theta.log_softmax(1)[prompt, answer])
            theta = learnt(theta, tableau, batch, prompt, answer, lr, passes)
        path.append(theta.softmax(1).numpy())
    return path


def success(p, worth):
    return float((p * worth).sum(1).mean())


def openness(p):
    """Mean entropy in nats."""
    return float(-(p * np.log(p + 1e-300)).sum(1).mean())


START = np.random.default_rng(0).normal(size=(16, 10))
RIGHT = (START.argsort(1).argsort(1) < 2).astype(float)  # the two least likely answers of each prompt: 4 % at first


def reached(path, worth, goal=0.9):
    """Steps until success is beyond `goal`."""
    return next(step for step, p in enumerate(path, 1) if success(p, worth) > goal)


# -------------------------------------------------------------------------------------------------------------- baselines


def gradients(tableau, share, draws=500):
    """Gradients on the logits of two prompts from four answers each; ten answers, all alike likely. `share` of those to the
    first prompt are right, of those to the second the others."""
    rng, worth, found = np.random.default_rng(0), np.arange(10) < 10 * np.array([[share], [1 - share]]), []
    for _ in range(draws):
        answer = rng.integers(0, 10, (2, 4))
        batch = rows(np.take_along_axis(worth, answer, 1).ravel(), np.repeat([0, 1], 4), np.zeros(8))
        c = coefficients(tableau, batch, torch.zeros(8, 1, dtype=torch.float64))[:, 0].numpy()
        found.append((c.reshape(2, 4, 1) * (np.eye(10)[answer] - 0.1)).sum(1))
    return np.array(found), 0.1 * (worth - worth.mean(1, keepdims=True)) / 2


def test_rloo_is_unbiased_and_less_noisy_than_the_batchs_mean_only_where_prompts_differ():
    """The batch's mean holds the response itself, one of eight: a bias of 7/8. Where prompts are alike it is the quieter."""
    slope, noise = {}, {}
    for name, tableau in (("rloo", policy_gradient.rloo()), ("reinforce", policy_gradient.reinforce())):
        for share in (0.9, 0.5):
            found, true = gradients(tableau, share)
            slope[name, share] = (found.mean(0) * true).sum() / (true**2).sum()
            noise[name, share] = ((found - true) ** 2).sum((1, 2)).mean()
    assert [slope[k] for k in slope] == pytest.approx([1, 1, 7 / 8, 7 / 8], abs=0.06)
    assert noise["rloo", 0.9] < 0.6 * noise["reinforce", 0.9] and noise["rloo", 0.5] > noise["reinforce", 0.5]


def lengths(tableau, steps=100, lr=0.05, longest=120):
    """(mean length of right answers, of wrong ones) after following the expected gradient. Whether an answer is right is
    decided before its first token, half of the time; then each token is the last with a chance of its own, 1/4 at first."""
    ends, n = np.full(2, -math.log(3.0)), np.arange(1, longest + 1)
    mask = np.repeat((n[None] <= n[:, None]).astype(float), 2, axis=0)  # a right and a wrong answer of every length
    right, many = np.tile([1.0, 0.0], longest), np.repeat(n, 2)
    batch = Batch(mask.astype(int), mask, 0 * mask, right, many, np.ones(len(many)), many)
    c = coefficients(tableau, batch, torch.zeros(mask.shape, dtype=torch.float64))[:, 0].numpy() * len(many)
    for _ in range(steps):
        s = 1 / (1 + np.exp(-ends))
        chance = s * (1 - s) ** (n[:, None] - 1)  # (lengths, right or wrong)
        ends = ends + lr * (chance * c.reshape(-1, 2) * (1 - s * n[:, None])).sum(0)
    return 1 + np.exp(-ends)


def test_dr_grpo_does_not_lengthen_wrong_answers_and_grpo_does():
    """Of rewards that do not depend on length the gradient by length is 0, but for GRPO's 1 / length of each answer."""
    assert lengths(policy_gradient.dr_grpo(1)) == pytest.approx([4, 4], rel=1e-3)
    right, wrong = lengths(policy_gradient.grpo())
    assert right < 3 and wrong > 6
    # A prompt solved once in eight beside one solved every second time: 2 sqrt(p (1 - p)) and 2 p (1 - p) of |advantage|.
    hard, even = rows([1] + [0] * 7, [0] * 8, np.zeros(8)), rows([1, 0] * 4, [0] * 8, np.zeros(8))
    for credit, share in ((advantage.normalised, 0.661), (advantage.centred, 0.4375)):
        assert np.abs(credit(hard)).sum() / np.abs(credit(even)).sum() == pytest.approx(share, abs=1e-3)


def first_of_six(tableau, steps=40):
    """(success, how far the other logits strayed): six tokens, each 0 or 1, of which the first alone decides. Values are
    learnt, one for each position and first token."""
    rng, theta, expected, position = np.random.default_rng(0), np.zeros((6, 2)), np.full((6, 2), 0.5), np.arange(6)
    for _ in range(steps):
        p = np.exp(theta) / np.exp(theta).sum(1, keepdims=True)
        said = (rng.random((64, 6)) < p[:, 1]).astype(int)
        seen = np.where(position > 0, said[:, :1], 0)  # of the first token, before each token
        batch = rows(said[:, 0], np.repeat(np.arange(8), 8), np.zeros((64, 6)), values=expected[position, seen])
        c = coefficients(tableau, batch, torch.zeros(64, 6, dtype=torch.float64)).numpy()
        theta = theta + (c[:, :, None] * (np.eye(2)[said] - p)).sum(0)
        target = tableau.returns(batch) if tableau.returns else batch.values
        for t, first in np.ndindex(6, 2):
            if (seen[:, t] == first).any():
                expected[t, first] += 0.3 * (target[seen[:, t] == first, t].mean() - expected[t, first])
    return p[0, 1], np.abs(theta[1:, 1] - theta[1:, 0]).mean()


def test_ppo_credits_the_token_that_mattered():
    (success, strayed), (slower, further) = first_of_six(policy_gradient.ppo()), first_of_six(policy_gradient.grpo())
    assert success > slower + 0.02 and strayed < 0.5 * further


# ---------------------------------------------------------------------------------------------- the same rollouts, used again


@pytest.mark.parametrize("lr", [5.0, 20.0])
def test_cispo_and_dapo_learn_faster_than_grpo_on_reused_rollouts(lr):
    """Four passes. What is clipped at once in GRPO, the answers that were rare, goes on rising. Entropy at equal success is
    no higher for it."""
    made = {"grpo": policy_gradient.grpo(), "dapo": policy_gradient.dapo(), "cispo": policy_gradient.cispo()}
    made["no silent groups"] = policy_gradient.grpo(drop_silent=True)
    paths = {name: practised(tableau, START, RIGHT, 45, lr, passes=4) for name, tableau in made.items()}
    steps = {name: reached(path, RIGHT) for name, path in paths.items()}
    left = {name: openness(path[steps[name] - 1]) for name, path in paths.items()}
    assert steps["cispo"] <= 0.7 * steps["grpo"] and steps["dapo"] <= 0.8 * steps["grpo"]
    assert steps["dapo"] <= steps["no silent groups"] < steps["grpo"]
    assert max(left["dapo"], left["cispo"]) < left["grpo"]


def test_loop_stays_safe_over_passes_that_ruin_rloo():
    """Five answers that pay with chances 0.6 to 0.3, sixteen passes at a high rate: without a clip luck decides for good."""
    chance, theta = np.tile([0.6, 0.4, 0.4, 0.3, 0.3], (16, 1)), np.zeros((16, 5))
    end = {}
    for name, tableau, passes in (
        ("once", policy_gradient.rloo(), 1),
        ("rloo", policy_gradient.rloo(), 16),
        ("loop", policy_gradient.loop(), 16),
    ):
        end[name] = success(practised(tableau, theta, chance, 30, 50.0, passes, lucky=True)[-1], chance)
    assert end["loop"] > end["rloo"] + 0.05 and end["loop"] > end["once"] - 0.02


# ------------------------------------------------------------------------------------------------------------ own answers


def one_of_each(paid):
    """The first right and the first wrong answer of each prompt that has both."""
    first = lambda on: on & (on.cumsum(1) == 1)  # noqa: E731
    return (first(paid > 0) | first(paid == 0)) & (paid.min(1) != paid.max(1))[:, None]


@pytest.mark.parametrize("lr", [5.0, 20.0])
def test_own_answers_teach_rft_by_the_right_ones_and_redi_and_nft_by_the_wrong_ones_too(lr):
    def end(tableau, keep=None):
        return success(practised(tableau, START, RIGHT, 40, lr, 2, keep=keep)[-1], RIGHT)

    chosen, everything = end(policy_gradient.sft(), lambda paid: paid > 0), end(policy_gradient.sft())
    both, one_side = end(policy_gradient.redi(), one_of_each), end(policy_gradient.redi(alpha=0.0), one_of_each)
    implicit, gradient = end(policy_gradient.nft(1)), end(policy_gradient.dr_grpo(1))
    assert chosen > 0.7 and everything < 0.1  # 4 % at first
    assert both > one_side + 0.01
    assert implicit == pytest.approx(gradient, abs=0.04)


# ------------------------------------------------------------------------------------------------------- entropy and KL


@pytest.mark.parametrize("lr", [5.0, 20.0])
def test_clip_cov_keeps_more_entropy_at_equal_success_and_small_bonuses_do_not(lr):
    """Two right answers of eight; 64 draws a prompt, so that a fiftieth is one. The rarer of the two stays likelier, and 90 %
    take more steps. A bonus as small as the recipe's is lost in it, and a target is not held, only approached."""
    theta, worth = 0.5 * np.random.default_rng(0).normal(size=(16, 8)), np.tile([1.0] * 2 + [0.0] * 6, (16, 1))
    made = {"grpo": policy_gradient.grpo(), "clip_cov": entropy.clip_cov(), "target": entropy.targeted(0.5, 0.3)}
    made |= {f"bonus {b}": penalties.with_entropy(policy_gradient.grpo, b) for b in (0.001, 0.1)}
    paths = {name: practised(tableau, theta, worth, 50, lr, samples=64) for name, tableau in made.items()}
    steps = {name: reached(path, worth) for name, path in paths.items()}
    there = {name: path[steps[name] - 1] for name, path in paths.items()}
    rarer = {name: p[:, :2].min(1).mean() for name, p in there.items()}
    assert openness(there["clip_cov"]) > openness(there["grpo"]) + 0.05 and rarer["clip_cov"] > 1.4 * rarer["grpo"]
    assert steps["clip_cov"] > steps["grpo"]
    end = {name: openness(path[-1]) for name, path in paths.items()}
    assert end["bonus 0.001"] == pytest.approx(end["grpo"], abs=0.01) and end["bonus 0.1"] > end["grpo"] + 0.1
    assert end["target"] < 0.4  # of 0.5


def elsewhere(tableau, seed, lr=0.5, steps=60):
    """(reward, KL from the start where nothing is practised, KL to the start where it is): 12 prompts that are practised and
    40 that are not, all linear in the same weights."""
    rng = np.random.default_rng(seed)
    weights = torch.tensor(0.7 * rng.normal(size=(8, 6)))
    here, there = (torch.tensor(rng.normal(size=(n, 8))) for n in (12, 40))
    worth = np.eye(6)[rng.integers(0, 6, 12)]
    known, start = (there @ weights).log_softmax(1), here @ weights
    for _ in range(steps):
        prompt, answer = drawn(here @ weights, 8, rng)
        weights = weights.requires_grad_()
        logits = (here @ weights)[prompt]
        chosen, old = (x.log_softmax(1)[np.arange(96), answer][:, None] for x in (logits, start[prompt]))
        batch = rows(worth[prompt, answer], prompt, chosen.detach())
        c, factors = weigh(tableau, batch, chosen.detach(), reference=old if tableau.reference else None)
        loss = -(c * chosen).sum()
        if tableau.penalty is not None:
            loss = loss + (factors[:, 0] * tableau.penalty(logits, start[prompt], torch.as_tensor(answer))).sum()
        (gradient,) = torch.autograd.grad(loss, weights)
        weights = (weights - lr * gradient).detach()
    now = (here @ weights).log_softmax(1)
    moved = penalties.divergence(known, (there @ weights).log_softmax(1)).mean()
    return success(now.exp().numpy(), worth), float(moved), float(penalties.divergence(now, start.log_softmax(1)).mean())


def test_kl_grpo_keeps_more_of_what_was_not_practised_and_a_whole_vocabulary_is_no_better_than_one_token():
    """Six seeds. `full` and `k2` have the same mean gradient; the noise of the second costs neither reward nor closeness."""
    made = {"grpo": policy_gradient.grpo(), "k3": penalties.with_kl(policy_gradient.grpo)}
    made |= {
        "k2": penalties.with_kl(policy_gradient.grpo, 0.2, "k2"),
        "full": penalties.with_full_kl(policy_gradient.grpo, 0.2),
    }
    found = {name: np.array([elsewhere(tableau, seed) for seed in range(6)]) for name, tableau in made.items()}
    mean = {pair: (found[pair[0]] - found[pair[1]]).mean(0) for pair in (("k3", "grpo"), ("full", "k2"))}
    half = {p: 1.96 * (found[p[0]] - found[p[1]]).std(0, ddof=1) / math.sqrt(6) for p in mean}
    reward, kept, _ = mean["k3", "grpo"]
    assert kept + half["k3", "grpo"][1] < -0.05 and reward > -0.02
    assert (np.abs(mean["full", "k2"]) < half["full", "k2"]).all()


# ---------------------------------------------------------------------------------------------------------- worked solutions


def shown(tableau, rare, steps=60, lr=5.0, prompts=8):
    """(success, worked solutions used in each step): eight answers to each prompt, of a thousand possible ones, and the
    worked solution of the prompts for which at most the share `rare` is right; below 0: of none."""
    rng, theta, used = np.random.default_rng(0), torch.zeros(prompts, 1000, dtype=torch.float64), []
    theta[:, 0] = -5.0  # the right one: 7 in a million
    for _ in range(steps):
        prompt, answer = drawn(theta, 8, rng)
        failed = np.flatnonzero((answer == 0).reshape(-1, 8).mean(1) <= rare)
        prompt, answer = np.append(prompt, failed), np.append(answer, 0 * failed)
        forced = np.arange(len(prompt)) >= 8 * prompts
        sampling = np.where(forced, 0, theta.log_softmax(1)[prompt, answer].numpy())
        theta = learnt(theta, tableau, rows(answer == 0, prompt, sampling, forced=forced), prompt, answer, lr)
        used.append(len(failed))
    return float(theta.softmax(1)[:, 0].mean()), used


def test_ahpo_gets_practice_started_and_then_shows_nothing_more():
    (started, used), (never, _) = shown(hybrid.ahpo(), rare=0.25), shown(policy_gradient.grpo(), rare=-1)
    assert started > 0.95 and used[0] == 8 and not any(used[-20:]) and never < 1e-5
