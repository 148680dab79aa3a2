"""Credit by turn at work: shapes over episodes, what each part of SCoRe does to a table of logits, weights of turns."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from sharpen import verify
from sharpen.core import Batch
from sharpen.objectives import advantage, policy_gradient, tableau, turns


def batch(credit, reward=None, group=None, sample=None, turn=None):
    credit = np.asarray(credit, np.float32)
    rows, width = credit.shape
    ones = np.ones(credit.shape)
    turn = np.tile(np.arange(width), (rows, 1)) if turn is None else np.asarray(turn)
    reward = credit[:, -1] if reward is None else np.asarray(reward, np.float32)
    group = np.zeros(rows, int) if group is None else np.asarray(group)
    sample = None if sample is None else np.asarray(sample)
    mask = (turn >= 0).astype(float)
    return Batch(
        turn.clip(0), mask, -ones, reward, group, np.ones(rows), np.full(rows, width), turn=turn, credit=credit, sample=sample
    )


def test_a_shape_sees_all_turns_of_an_episode_in_whatever_rows_they_stand():
    """One conversation of two turns, and the same two turns told in two rows, have the same credit."""
    together = turns.reshaped(batch([[0, 1]]), verify.improvement)
    apart = turns.reshaped(batch([[0, 0], [1, 1]], sample=[5, 5], turn=[[0, -1], [1, -1]]), verify.improvement)
    assert together.credit.tolist() == [[0, 11]] and apart.credit[0, 0] == 0 and apart.credit[1, 0] == 11
    assert turns.reshaped(together, list).credit.tolist() == together.credit.tolist()


def test_without_a_shape_it_is_the_advantage_by_turn_and_one_turn_alone_can_be_learnt():
    made = batch([[0, 1], [1, 0], [1, 1], [0, 0]])
    assert np.array_equal(turns.by_turn(made), advantage.by_turn(made))
    last = turns.by_turn(made, only=-1)
    assert not last[:, 0].any() and np.array_equal(last[:, 1], advantage.by_turn(made)[:, 1])
    assert np.array_equal(turns.by_turn(made, only=0)[:, 0], advantage.by_turn(made)[:, 0])


def test_an_explanations_credit_moves_no_token_of_a_repair_and_the_other_way_round():
    """LeDex: of attempt, explanation, repair, the explanations' credits are changed; nothing else moves, to the last bit."""
    rng = np.random.default_rng(0)
    credit = rng.normal(size=(6, 3))
    other = credit.copy()
    other[:, 1] = rng.normal(size=6)
    logp = torch.full((6, 3), -1.0, dtype=torch.float64)
    a, b = (tableau.coefficients(turns.separate(), batch(c), logp).numpy() for c in (credit, other))
    assert np.array_equal(a[:, [0, 2]], b[:, [0, 2]]) and not np.allclose(a[:, 1], b[:, 1])


def test_weights_of_turns_are_exponential_in_their_rewards_and_imitation_at_the_ends():
    """exp(1 / 0.4) = 12.2; an endless tau weighs all alike; a small one right turns alone."""
    made = batch([[0, 1], [1, 0]])
    weight = turns.weighted().advantage(made)
    assert weight[0, 1] / weight[0, 0] == pytest.approx(np.exp(2.5)) and weight[0, 1] == weight[1, 0] == 1
    assert np.allclose(turns.weighted(tau=1e9).advantage(made), 1)
    assert np.allclose(turns.weighted(tau=1e-3).advantage(made), [[0, 1], [1, 0]])
    better = turns.weighted(better=True).advantage(batch([[0, 1, 1], [1, 0, 1]]))
    assert (better > 0).tolist() == [[False, True, False], [True, False, False]]


def test_the_kl_of_the_first_stage_holds_the_first_turn_harder():
    made, logp = batch([[1, 1], [1, 1]]), torch.zeros(2, 2, dtype=torch.float64)
    c = tableau.coefficients(turns.first_stage(beta=0.1, small=0.01), made, logp, reference=logp - 1).numpy()
    assert c[0, 0] == pytest.approx(10 * c[0, 1]) and c[0, 0] < 0  # above the reference: pulled down


# SCoRe on a table: 8 questions with 4 answers, a first and a second attempt, which begins as a copy of the first.


def learnt(stages, seed=0, prompts=8, options=4, group=16, lr=60.0):
    """(accuracy of the first attempt, of the second, share of second attempts that repeat the first) after these stages,
    [(tableau, steps)], exactly; and the same at the beginning."""
    rng, luck = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    right = torch.as_tensor(rng.integers(options, size=prompts))
    rows = torch.arange(prompts)
    first = torch.zeros(prompts, options, dtype=torch.float64)
    first[rows, right] = torch.as_tensor(rng.normal(0.3, 0.3, prompts))
    second = torch.eye(options, dtype=torch.float64).repeat(prompts, 1, 1) * 3.0
    start = [t.clone() for t in (first, second)]

    def measured():
        p, q = first.softmax(-1), second.softmax(-1)
        both = p[:, :, None] * q
        hit = both[rows, :, right].sum(-1).mean()
        return float(p[rows, right].mean()), float(hit), float(both.diagonal(dim1=1, dim2=2).sum(-1).mean())

    before = measured()
    for objective, steps in stages:
        for _ in range(steps):
            p, q = first.softmax(-1), second.softmax(-1)
            at = rows.repeat_interleave(group)
            a = torch.multinomial(p[at], 1, generator=luck)[:, 0]
            b = torch.multinomial(q[at, a], 1, generator=luck)[:, 0]
            credit = np.stack([(a == right[at]).numpy(), (b == right[at]).numpy()], axis=1).astype(np.float32)
            both = [t.clone().requires_grad_() for t in (first, second)]
            logp = torch.stack([both[0].log_softmax(-1)[at, a], both[1].log_softmax(-1)[at, a, b]], dim=1)
            old = torch.stack([start[0].log_softmax(-1)[at, a], start[1].log_softmax(-1)[at, a, b]], dim=1)
            made = batch(credit, group=at.numpy())
            made = Batch(**{**vars(made), "sampling": logp.detach().numpy()})
            c = tableau.coefficients(objective, made, logp.detach(), reference=old if objective.reference else None)
            loss = -(c * logp).sum()
            grads = torch.autograd.grad(loss, both, allow_unused=True)
            first, second = (t.detach() - lr * g if g is not None else t.detach() for t, g in zip(both, grads))
    return before, measured()


def plain():
    """One reward for both turns: the last one's."""
    return policy_gradient.grpo()


SHAPED = partial(verify.improvement, alpha=10.0)


def test_held_first_the_second_attempt_gets_better_where_plainly_paid_it_stays_a_copy():
    (first, _, _), (held, hit, _) = learnt([(turns.first_stage(beta=0.3), 16)])
    assert hit - held > 0.4 and held == pytest.approx(first)  # only the second attempt has changed
    _, (alone, both, copied) = learnt([(plain(), 16)])
    assert abs(both - alone) < 0.05 and copied > 0.95  # it learns one good answer, and repeats it
    staged = [(turns.first_stage(beta=0.3), 16), (turns.second_stage(SHAPED, beta=0.05), 4)]
    _, (one, two, _) = learnt(staged)
    assert min(one, two) > 0.9  # nothing of what was learnt is spoilt; in a table the first then learns it too


def test_a_bonus_that_leaks_into_the_first_turn_makes_failing_first_worth_it():
    def leaked(rewards):
        bonus = 10.0 * (rewards[1] - rewards[0])
        return [rewards[0] + bonus, rewards[1] + bonus]

    held = (turns.first_stage(beta=0.3), 16)
    (first, _, _), (own, _, _) = learnt([held, (turns.second_stage(SHAPED, beta=0.0), 6)])
    _, (spoilt, mended, _) = learnt([held, (turns.second_stage(leaked, beta=0.0), 6)])
    assert own > 0.9 and spoilt < first - 0.2 and mended > 0.9
