"""Decoding methods by their algebra, on logits that can be worked out by hand."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from sharpen.core import Step
from sharpen.rollouts import decoding

GENERATOR = torch.Generator().manual_seed(0)


def logits(rows=4, vocabulary=12):
    return 2 * torch.randn((rows, vocabulary), generator=GENERATOR)


def step(own, *beside, tokens=None, notes=None, hidden=None, head=None, spell=None):
    tokens = torch.zeros((len(own), 0), dtype=torch.long) if tokens is None else tokens
    return Step(own, beside, tokens, hidden, head, {} if notes is None else notes, spell)


def test_ck_plug_is_a_weighted_difference_of_log_probabilities_where_the_context_makes_unsure():
    """FORMULAS B2: F = (1 - a) log p_rag + (2 a - 1) log p_para on the kept words, -inf elsewhere; a = 1/2 keeps p_rag's order,
    a = 1 is p_para; where the context makes sure, p_rag as it is."""
    flat, sharp = torch.zeros(1, 6) + torch.arange(6) / 50, torch.arange(6)[None] * 2.0
    known, told = sharp.log_softmax(-1), flat.log_softmax(-1)
    for a in (0.0, 0.25, 0.5, 1.0):
        found = decoding.trusting(step(flat, sharp), alpha=a, k=6)
        assert torch.allclose(found, (1 - a) * told + (2 * a - 1) * known, atol=1e-5)
    assert torch.allclose(decoding.trusting(step(flat, sharp), alpha=1.0, k=6), known, atol=1e-5)
    half = decoding.trusting(step(flat, sharp), alpha=0.5, k=6)
    assert half.argsort().tolist() == told.argsort().tolist()
    assert torch.equal(decoding.trusting(step(sharp, flat), alpha=1.0), sharp.log_softmax(-1))
    few = decoding.trusting(step(flat, sharp), alpha=1.0, k=2)[0]
    assert torch.isfinite(few).nonzero().flatten().tolist() == [0, 1, 4, 5]  # two likeliest known, two that rose most


def test_adaptive_ck_plug_weighs_by_entropies_and_so_only_ever_pushes_towards_memory():
    flat, sharp = torch.zeros(1, 6) + torch.arange(6) / 50, torch.arange(6)[None] * 2.0
    h_told, h_known = (decoding.entropy(x.log_softmax(-1)) for x in (flat, sharp))
    a = float(h_told / (h_told + h_known))
    assert a > 0.5
    assert torch.allclose(
        decoding.trusting(step(flat, sharp), k=6), decoding.trusting(step(flat, sharp), alpha=a, k=6), atol=1e-5
    )


def test_fusion_moves_the_large_model_as_far_as_tuning_moved_the_small_one():
    """FORMULAS 7.4: equal models take a = 1 with nothing left to mend; an expert that changed nothing changes nothing."""
    large, expert = logits(), logits()
    base = large.clone()
    assert torch.allclose(decoding.fused(step(large, expert, base)), expert.log_softmax(-1), atol=1e-4)
    assert torch.allclose(decoding.fused(step(large, expert, expert)), large.log_softmax(-1), atol=1e-5)
    flat, other = torch.zeros(1, 12), logits(1)  # of a flat large model the gap is least where it moves as far
    found = decoding.fused(step(flat, other, torch.zeros(1, 12)), steps=41)
    assert torch.allclose(found, other.log_softmax(-1), atol=1e-4)


def test_gedi_by_hand_over_two_tokens():
    """Classes say (0.8, 0.2) and (0.5, 0.5) first, then, after token 0, (0.5, 0.5) and (0.25, 0.75): P = softmax of mean
    log-likelihoods."""
    first = [torch.tensor([[0.8, 0.2]]).log(), torch.tensor([[0.5, 0.5]]).log()]
    second = [torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()]
    own, notes = torch.zeros(1, 2), {}
    weighted = decoding.guided(step(own, *first, notes=notes), omega=1.0, keep=0.0)
    p = np.array([0.8 / 1.3, 0.2 / 0.7])
    assert weighted.exp()[0].numpy() == pytest.approx(p / p.sum(), abs=1e-5)
    weighted = decoding.guided(step(own, *second, tokens=torch.tensor([[0]]), notes=notes), omega=1.0, keep=0.0)
    good, bad = np.sqrt(0.8 * np.array([0.5, 0.5])), np.sqrt(0.5 * np.array([0.25, 0.75]))
    p = good / (good + bad)
    assert weighted.exp()[0].numpy() == pytest.approx(p / p.sum(), abs=1e-5)


def test_gedi_drops_the_least_of_the_class_while_little_mass_is_gone_and_they_are_below_the_target():
    own, a, b = torch.zeros(1, 4), torch.tensor([[3.0, 1.0, -1.0, -3.0]]), torch.tensor([[-3.0, -1.0, 1.0, 3.0]])
    kept = torch.isfinite(decoding.guided(step(own, a, b), omega=1.0, keep=0.8, target=0.8)).flatten().tolist()
    assert kept == [True, True, False, False]
    assert torch.isfinite(decoding.guided(step(own, a, b), omega=1.0, keep=1.1, target=2.0)).sum() == 1  # one is always left


def test_a_mixture_that_is_not_nudged_is_the_model_and_one_that_is_rises_by_rate_times_the_squared_gradient():
    own, prompt, wanted, other = (logits(1) for _ in range(4))
    assert torch.equal(decoding.nudged(step(own, wanted, other, prompt), rate=0.0), own)

    def attribute(p):
        return float((p.exp() * (wanted.log_softmax(-1) - other.log_softmax(-1))).sum())

    parts = torch.stack([own.log_softmax(-1), prompt.log_softmax(-1)], 1)
    u = torch.tensor([[0.0, -4.0]], requires_grad=True)
    before = (decoding.mixture(u, parts).exp() * (wanted.log_softmax(-1) - other.log_softmax(-1))).sum()
    (gradient,) = torch.autograd.grad(before, u)
    rate = 0.5
    after = attribute(decoding.nudged(step(own, wanted, other, prompt), rate=rate))
    assert after - float(before.detach()) == pytest.approx(rate * float((gradient**2).sum()), rel=0.1)


def test_words_are_shut_out_at_the_first_place_only_and_never_all_of_them():
    ids = {"Wait": [3], " Wait": [4], "wait": [5, 6], "\nWait": [9, 3]}  # the last begins with a line's end, which stays
    shut = partial(decoding.shut, words=("Wait",))
    own = torch.zeros(1, 10)
    found = shut(step(own, spell=lambda text: ids.get(text, [])))
    assert torch.isinf(found).nonzero()[:, 1].tolist() == [3, 4, 5]
    assert torch.equal(shut(step(own, tokens=torch.zeros(1, 1, dtype=torch.long), spell=lambda t: ids.get(t, []))), own)
    assert torch.equal(shut(step(torch.zeros(1, 1), spell=lambda t: [0])), torch.zeros(1, 1))


WEIGHT = torch.randn((8, 4), generator=GENERATOR)


def head(states):
    return states @ WEIGHT.T


def test_srgen_corrects_only_the_row_whose_entropy_jumps_and_only_once_it_has_a_window():
    """Entropies 0.5, 0.6, 0.5, 0.6, then 0.6 in one row and a jump in the other: over mean + 4 deviations."""
    notes: dict = {}
    reflected = partial(decoding.reflected, window=4, k=4.0)
    states = torch.ones(2, 4)
    sharp = [torch.tensor([[x, *[0.0] * 7]] * 2) for x in (4.0, 3.8, 4.0, 3.8)]
    for n, own in enumerate(sharp):
        tokens = torch.zeros((2, n), dtype=torch.long)
        assert torch.equal(reflected(step(own, tokens=tokens, notes=notes, hidden=states, head=head)), own)
    own = torch.tensor([[4.0, *[0.0] * 7], [0.0] * 8])
    found = reflected(step(own, tokens=torch.zeros((2, 4), dtype=torch.long), notes=notes, hidden=states, head=head))
    assert torch.equal(found[0], own[0]) and not torch.allclose(found[1], own[1])


def test_one_small_step_of_srgen_lowers_what_it_minimises_and_without_the_entropy_share_fits_the_text_alone():
    states, tokens, last = torch.ones((1, 3, 4)), torch.tensor([[1, 2, 3]]), torch.ones((1, 4))
    for share in (0.0, 0.5, 1.0):
        loss = partial(decoding.reflection, head, states, tokens, last, share=share)
        delta = torch.zeros((1, 4), requires_grad=True)
        (gradient,) = torch.autograd.grad(loss(delta=delta), delta)
        assert loss(delta=delta - 1e-3 * gradient) < loss(delta=delta)
        logits = decoding.corrected(head, states, tokens, last, share, 1, 1e-3)
        assert torch.allclose(logits, head(last - 1e-3 * gradient), atol=1e-6)
