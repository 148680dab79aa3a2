"""Heads and the knob: nothing is attributed to what is the same, scores add up to what they explain, and nothing stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sharpen.core import UserError
from sharpen.models import LocalPolicy, embedded, heads, knob
from sharpen.tasks import gym

PAIR = ("2 + 3 =", "7 + 1 =", "5")


@pytest.fixture(scope="module")
def policy():
    return LocalPolicy(*embedded.build("micro", gym(["chain_sum"]), 0), precision="fp32", device="cpu")


def loss(policy, change):
    with heads.replaced(policy, change), torch.no_grad():
        logits = policy.model(heads.prompt(policy, PAIR[0])).logits[0, -1].float()
    return -float(torch.log_softmax(logits, -1)[heads.first_token(policy, PAIR[0], PAIR[2])])


def test_the_scores_of_all_heads_add_up_to_the_difference_that_they_make(policy):
    corrupt = heads.given(policy, PAIR[1])
    gap = loss(policy, lambda layer, z: z) - loss(policy, lambda layer, z: heads.put(z, corrupt[layer]))
    found = heads.attributed(policy, PAIR, points=24)
    assert found.shape == (len(corrupt), policy.model.config.num_attention_heads)
    assert abs(found.sum() - gap) < 0.05 * abs(gap) + 1e-4
    assert not heads.attributed(policy, (PAIR[0], PAIR[0], "5")).any()


def test_a_head_whose_output_is_zeroed_has_no_score_and_ablating_at_1_changes_nothing(policy):
    weight = policy.model.model.layers[0].self_attn.o_proj.weight
    width = weight.shape[1] // policy.model.config.num_attention_heads
    kept = weight.data.clone()
    weight.data[:, :width] = 0
    assert abs(heads.attributed(policy, PAIR)[0, 0]) < 1e-9
    weight.data.copy_(kept)
    plain = loss(policy, lambda layer, z: z)
    for strength, same in ((1.0, True), (0.0, False)):
        with heads.ablated(policy, [(0, 0), (0, 1)], strength):
            assert (abs(loss(policy, lambda layer, z: z) - plain) < 1e-7) == same
    assert loss(policy, lambda layer, z: z) == plain


def test_circuits_are_followed_over_checkpoints():
    one = heads.Circuit(np.array([[3.0, 0.1], [2.0, 0.2]]), frozenset({(0, 0), (1, 0)}))
    two = heads.Circuit(np.array([[3.0, 2.5], [0.0, 0.2]]), frozenset({(0, 0), (0, 1)}))
    (row,) = heads.tracked([one, two])
    assert row["born"] == [(0, 1)] and row["died"] == [(1, 0)] and row["jaccard"] == 1 / 3
    assert heads.tracked([one, one])[0]["correlation"] == pytest.approx(1)
    assert heads.emerged([one, two]) == {"emerged": [(0, 1)], "lost": [(1, 0)]}


def test_the_knob_is_a_projection():
    h, u = torch.randn(4, 6), torch.nn.functional.normalize(torch.randn(6), dim=0)
    moved = knob.project(h, u, 2.5)
    assert torch.allclose(moved @ u, torch.full((4,), 2.5), atol=1e-5)
    assert torch.allclose(knob.project(moved, u, 2.5), moved, atol=1e-5)
    along = (h @ u)[:, None]
    assert torch.allclose(knob.project(h, u, along), h, atol=1e-6)
    assert torch.allclose(moved - (moved @ u)[:, None] * u, h - along * u, atol=1e-5)


def test_a_direction_is_found_that_moves_answers_and_leaves_the_model_as_it_was(policy):
    swaps = [("2 + 3 =", "7 + 1 =", "8"), ("4 + 2 =", "3 + 1 =", "4")]
    before = {name: p.clone() for name, p in policy.model.named_parameters()}
    plain = loss(policy, lambda layer, z: z)
    made = knob.found(policy, swaps, layer=0, epochs=6, rate=5e-2)
    token = heads.first_token(policy, swaps[0][0], "8")
    seen = [float(knob.answers(policy, swaps[0][0], made, c)[token]) for c in (-30.0, made.target, made.source, 30.0)]
    assert abs(float(made.direction.norm()) - 1) < 1e-5 and max(seen) > min(seen) + 1e-4
    assert all(torch.equal(p, before[name]) for name, p in policy.model.named_parameters())
    assert loss(policy, lambda layer, z: z) == plain
    with pytest.raises(UserError, match="layers 0 to"):
        knob.found(policy, swaps, layer=99)
