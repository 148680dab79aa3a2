"""Weights and gradients held to earlier stages: exact where they can be, and what a stage owns stays bit for bit."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from sharpen.core import Passage, UserError
from sharpen.objectives import consolidation, example, gradients, policy_gradient, rehearsal
from sharpen.recipes.held import held, passage


def optimum(hessian, centre, penalty):
    """Of half the quadratic of a stage with what `penalty` adds to its gradient, by descent."""
    x = torch.zeros(2, requires_grad=True)
    for _ in range(4000):
        x.grad = torch.as_tensor(hessian) @ x.detach() - torch.as_tensor(hessian) @ torch.as_tensor(centre)
        with torch.no_grad():
            penalty({"w": x})
            x -= 0.05 * x.grad
    return x.detach()


def test_ewc_with_the_exact_fisher_reaches_the_joint_optimum_of_diagonal_tasks_and_only_of_those():
    for h, exact in ((torch.diag(torch.tensor([2.0, 0.5])), True), (torch.tensor([[2.0, 0.9], [0.9, 0.5]]), False)):
        second, one, two = torch.diag(torch.tensor([0.5, 1.0])), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
        past = {"fisher:w": torch.diag(h), "anchor:w": one}
        found = optimum(second, two, partial(consolidation.pulled, past=past, strength=1.0))
        joint = torch.linalg.solve(h + second, h @ one + second @ two)
        assert bool((found - joint).abs().max() < 1e-4) is exact


def test_the_sum_of_two_anchors_is_one():
    keep = consolidation.ewc(policy_gradient.sft).keep
    once = keep(passage([3.0], [[1.0]] * 16))
    twice = keep(passage([5.0], [[2.0]] * 16, once, stage=2))
    # 1 (x - 3)^2 + 4 (x - 5)^2 is 5 (x - 4.6)^2 and a constant.
    assert twice["fisher:w"].item() == 5 and twice["anchor:w"].item() == pytest.approx((3 + 4 * 5) / 5)


def test_a_fisher_estimate_of_too_few_answers_is_refused():
    keep = consolidation.ewc(policy_gradient.sft).keep
    assert keep(passage([3.0], [], stage=0)) == {}
    with pytest.raises(UserError, match="A Fisher estimate of 15 answers would be noise"):
        keep(passage([3.0], [[1.0]] * 15))


def test_a_mixture_of_one_posterior_pulls_as_a_gaussian_and_its_draws_are_a_mixtures():
    tableau = consolidation.mixture(policy_gradient.sft, strength=1.0)
    past = {"mean0": [1.0], "variance0": [0.5]}
    made = {f"{k}:w": torch.tensor(v) for k, v in past.items()} | {"stage:": torch.tensor([0])}
    weight = torch.tensor([2.0], requires_grad=True)
    weight.grad = torch.zeros(1)
    with torch.no_grad():
        tableau.hold({"w": weight}, made)
    assert weight.grad.item() == pytest.approx(2.0)
    made |= {"mean1:w": torch.tensor([5.0]), "variance1:w": torch.tensor([0.1]), "stage:": torch.tensor([0, 1])}
    drawn = np.array([consolidation.drawn(made, (0.3, 0.7), seed)["w"].item() for seed in range(1500)])
    mean = 0.3 * 1 + 0.7 * 5
    assert drawn.mean() == pytest.approx(mean, abs=0.15)
    assert drawn.var() == pytest.approx(0.3 * (0.5 + 1) + 0.7 * (0.1 + 25) - mean**2, abs=0.4)
    with pytest.raises(UserError, match="No posterior is kept"):
        consolidation.drawn({}, (), 0)


def test_a_projected_step_changes_nothing_that_a_matrix_does_to_old_inputs():
    rng = torch.Generator().manual_seed(0)
    inputs, old = torch.randn(20, 3, generator=rng) @ torch.randn(3, 8, generator=rng), torch.randn(4, 8, generator=rng)
    told = [(torch.randn(4, 1, generator=rng) * x).numpy() for x in inputs]  # gradients of answers lie in the span of inputs
    tableau = gradients.project(policy_gradient.sft, energy=1.0, back=False)
    kept = {k.partition(":")[0]: v for k, v in tableau.keep(passage(old, told)).items()}
    step = torch.tensor(held(tableau, old, torch.randn(4, 8, generator=rng), kept))
    assert kept["space0"].shape == (8, 3) and step.abs().max() > 0.1
    assert (inputs @ step.T).abs().max() < 1e-4


def test_of_two_old_stages_the_related_one_is_let_in():
    tableau = gradients.project(policy_gradient.sft)
    past = {"space0": [[1.0], [0.0]], "gradient0": [[1.0, 0.0]], "space1": [[0.0], [1.0]], "gradient1": [[0.0, -1.0]]}
    assert held(tableau, np.zeros((1, 2)), [[2.0, 2.0]], past).tolist() == [[2.0, 0.0]]


@pytest.mark.parametrize("layers", ["erk", "uniform"])
def test_densities_add_up_and_masks_of_stages_do_not_meet(layers):
    shapes = {"big": (100, 40), "small": (10, 4), "line": (40,)}
    for density in (0.05, 0.2, 0.6, 0.95):
        found = gradients.densities(shapes, density, layers)
        total = sum(math.prod(s) for s in shapes.values())
        assert sum(found[n] * math.prod(s) for n, s in shapes.items()) == pytest.approx(density * total)
        assert max(found.values()) <= 1
    keep = gradients.masked(policy_gradient.sft, 0.3, layers).keep
    weight, past, owned = np.zeros((20, 10)), {}, []
    for stage in range(5):
        past = keep(passage(weight, [], past, stage))
        assert not (past["owned:w"] & past["mask:w"]).any()
        owned.append(int(past["owned:w"].sum()))
    assert owned == [0, 60, 120, 180, 200] and int(past["mask:w"].sum()) == 0  # the fifth stage has nothing left
    with pytest.raises(UserError, match="shares from 0 to 1"):
        gradients.masked(policy_gradient.sft, 1.5)


def test_a_weight_without_gradient_stays_bit_for_bit_under_a_fresh_optimizer():
    weight = torch.randn(50, requires_grad=True)
    before, optimizer = weight.detach().clone(), torch.optim.AdamW([weight], lr=0.1, weight_decay=0.0, betas=(0.9, 0.98))
    for _ in range(3):
        weight.grad = torch.randn(50)
        gradients.at_mask({"w": weight}, {"mask:w": torch.arange(50) < 25})
        optimizer.step()
    assert torch.equal(weight.detach()[25:], before[25:]) and not torch.equal(weight.detach()[:25], before[:25])


def test_only_the_last_layers_learn_after_the_first_stage():
    weights = {f"model.layers.{i}.w": torch.zeros(2, 2, requires_grad=True) for i in range(4)}
    weights |= {"model.norm": torch.zeros(2, requires_grad=True), "embed": torch.zeros(2, 2, requires_grad=True)}
    for w in weights.values():
        w.grad = torch.ones_like(w)
    gradients.last_layers(policy_gradient.sft, 0.5, stage=1).hold(weights, {})
    assert [n for n, w in weights.items() if w.grad.any()] == ["model.layers.2.w", "model.layers.3.w", "model.norm"]
    assert gradients.last_layers(policy_gradient.sft, 0.5, stage=0).hold is None


def test_adapters_are_asked_for():
    with pytest.raises(UserError, match="FlyLoRA is made of adapters"):
        gradients.implicit_experts(policy_gradient.sft, stage=0).keep(passage([1.0], [], stage=0))


def test_projections_of_two_stages_hardly_interfere():
    """E|A_s A_t'|^2 / E|A_t A_t'|^2 = r / (n + 3 / density + r - 2) of independent sparse projections: 0.058 here."""
    made = [
        gradients.projections(replace(passage(np.ones((32, 512)), [], stage=0, name="q.lora_A.x"), seed=seed), 0.25)[
            "set:q.lora_A.x"
        ]
        for seed in range(12)
    ]
    across = np.mean([float((a @ b.T).square().sum()) for i, a in enumerate(made) for b in made[:i]])
    within = np.mean([float((a @ a.T).square().sum()) for a in made])
    assert across / within == pytest.approx(32 / (512 + 12 + 30), rel=0.05)


def test_unlearning_first_takes_off_the_gradient_of_the_gradients_norm():
    """On x' H x / 2 the step from where the weights were stirred to is, to first order, eta g + eta delta H u less what was
    added.
    """
    h, x, eta, delta = torch.diag(torch.tensor([1.0, 10.0])), torch.tensor([1.0, 1.0]), 0.01, 1e-3
    weight = x.clone().requires_grad_()
    weight.grad = h @ x
    with torch.no_grad():
        gradients.unlearnt({"w": weight}, delta)
    moved = weight.detach() - x
    assert moved.norm() == pytest.approx(delta * float(x.norm()), rel=1e-3)
    after = weight.detach() - eta * (h @ weight.detach())
    assert torch.allclose(after, x + moved - eta * (h @ x) - eta * (h @ moved), atol=1e-7)


# ------------------------------------------------------------------------------------------------------------- rehearsal


def batch(groups):
    return replace(passage([0.0], [[0.0]]).batches[0].take(np.zeros(len(groups), int)), group=np.array(groups))


def test_present_and_replayed_rows_have_means_of_their_own():
    made = rehearsal.rehearse(policy_gradient.grpo, 0.5)
    given = replace(batch([0, 0, -1, -2, -3]), reward=np.array([1.0, 0, 1, 1, 1]))
    credit = made.advantage(given) * made.normaliser(given)
    plain = policy_gradient.grpo()
    alone = given.take(np.array([0, 1]))
    assert credit[:2] == pytest.approx(plain.advantage(alone) * plain.normaliser(alone))
    assert credit[2:] == pytest.approx(np.full(3, 0.5 / given.mask[2:].sum()))


def test_before_anything_is_past_a_guard_is_its_base():
    base = policy_gradient.sft
    for made in (rehearsal.remember(base, stage=0), rehearsal.distil_old(base, stage=0)):
        assert made.penalty is None and not made.reference
        assert np.allclose(example(made, [[1], [1]]), example(base(), [[1], [1]]))


def test_a_gradient_of_the_past_that_agrees_changes_nothing():
    class Policy:
        def direction(self, rows, tableau):
            assert (rows.group < 0).all()
            return [torch.tensor([-1.0, 0.0])]  # uphill in likelihood: its loss falls along it

    found = []
    for gradient in ([1.0, 1.0], [-1.0, 1.0]):
        tableau = rehearsal.projected(policy_gradient.sft, policy=Policy(), batch=batch([0, -1]))
        weight = torch.zeros(2, requires_grad=True)
        weight.grad = torch.tensor(gradient)
        tableau.hold({"w": weight}, {})
        found.append(weight.grad.tolist())
    assert found == [[1.0, 1.0], [0.0, 1.0]]


def test_passages_are_values():
    assert Passage(None, 0, [], {}, 1).stage == 0
