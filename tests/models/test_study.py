"""Test-time learning: what was read is in the answer, and the weights are what they were; and the gradient through learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from sharpen import models, tasks
from sharpen.core import GREEDY, Arm, Ask, Study, UserError
from sharpen.models import embedded, study
from sharpen.objectives import unrolled

SOURCE = tasks.parse_spec("chain_sum/1-2")
QUESTION = ({"role": "user", "content": "key 7?"},)


@pytest.fixture(scope="module")
def student():
    return models.LocalPolicy(*embedded.build("micro", SOURCE, 0), precision="fp32", device="cpu")


def answered(student, about, message=QUESTION):
    return student.respond([Ask(message, study=about)], [0], 4, GREEDY)[0]


def weights(policy):
    return {name: p.detach().clone() for name, p in policy.model.named_parameters()}


def test_what_was_learnt_is_in_the_answer_and_gone_after_it_bit_for_bit(student):
    before, plain = weights(student), answered(student, None)
    about = Study(examples=((QUESTION, "42"),), steps=30, lr=3e-2)
    assert answered(student, about).text == "42" != plain.text
    assert all(torch.equal(before[name], p) for name, p in student.model.named_parameters())
    assert np.array_equal(answered(student, None).tokens, plain.tokens)


def test_asks_with_different_studies_side_by_side_are_each_their_own(student):
    one, two = (Study(examples=((QUESTION, said),), steps=30, lr=3e-2) for said in ("42", "17"))
    seen = []
    asks = [Ask(QUESTION, study=one), Ask(QUESTION), Ask(QUESTION, study=two)]
    made = student.respond(asks, [0] * 3, 4, GREEDY, lambda i, turn: seen.append(i))
    assert [made[0].text, made[2].text] == ["42", "17"] and sorted(seen) == [0, 1, 2]
    assert made[1].text == answered(student, None).text


def test_the_order_of_segments_says_nothing_and_no_steps_teach_nothing(student):
    parts = ["1 + 2 = 3 " * 3, "7 + 1 = 8 " * 3, "5 - 2 = 3 " * 3]
    n = len(student.encode(parts[0]))
    layers = study.adapted(student.model)

    def change(order):
        about = Study(("".join(parts[i] for i in order),), segment=n)
        rows = study.segments(student, about)
        assert len(rows) == 3
        return study.learn(student.model, layers, rows, about, student.pad_id)

    for a, b in zip(change((0, 1, 2)), change((2, 0, 1)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    nothing = answered(student, Study(("1 + 2 = 3",), steps=0))
    assert np.array_equal(nothing.tokens, answered(student, None).tokens)


def test_other_architectures_have_layers_too():
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=32, n_layer=1, n_head=4))
    with pytest.raises(UserError, match="cannot study"):
        study.adapted(model)  # its products are Conv1D


def quadratic(h):
    return lambda x: 0.5 * h * (x * x).sum()


@pytest.mark.parametrize("last, factor", [(8, 1.0), (4, 2.44), (0, 5.96)])
def test_a_truncated_meta_gradient_is_larger_by_one_less_rate_times_curvature_for_each_step_left_out(last, factor):
    """FORMULAS B1: (1 - 0.1 * 2) ** (last - 8); the whole one agrees with finite differences."""
    x = torch.tensor([1.5], dtype=torch.float64)
    found = unrolled.meta_gradient(x, quadratic(2.0), quadratic(1.0), 8, 0.1, last)

    def after(x):
        for _ in range(8):
            x = x - 0.1 * 2.0 * x
        return 0.5 * x * x

    whole = (after(x + 1e-5) - after(x - 1e-5)) / 2e-5
    assert float(found / whole) == pytest.approx(factor, rel=2e-3)


def test_meta_learnt_start_recalls_facts_after_four_inner_steps_and_a_random_start_does_not():
    """PERK on a table: 16 keys of random features; a context says 4 facts (key, value); an adapter (values x width) learns them
    in four steps, and is asked them. What is meta-learnt is where it begins and how far each of its numbers moves."""
    generator = torch.Generator().manual_seed(0)
    keys = F.normalize(torch.randn((16, 12), generator=generator), dim=1)
    shape = (8, 12)

    def drawn():
        which = torch.randperm(16, generator=generator)[:4]
        return keys[which], torch.randint(0, 8, (4,), generator=generator)

    def inner(x, y):
        return lambda theta: F.cross_entropy(x @ (theta[0] * theta[1].exp()).T, y)

    def accuracy(theta, steps=4, n=60):
        right = 0
        for _ in range(n):
            x, y = drawn()
            now = theta.clone()
            for _ in range(steps):
                now = now.requires_grad_()
                now = (now - 0.5 * torch.autograd.grad(inner(x, y)(now), now)[0]).detach()
            right += int((x @ (now[0] * now[1].exp()).T).argmax(1).eq(y).sum())
        return right / (4 * n)

    start = 0.5 * torch.randn((2, *shape), generator=generator)
    start[1] = 0
    random, theta = accuracy(start), start.clone()
    optimizer = torch.optim.Adam([theta], lr=0.05)
    for _ in range(120):
        x, y = drawn()
        theta.grad = unrolled.meta_gradient(theta, inner(x, y), inner(x, y), 4, 0.5, 2)
        optimizer.step()
    assert random < 0.6 and accuracy(theta) > 0.9


def test_a_question_with_its_arm_is_unchanged_where_nothing_is_studied(student):
    task = SOURCE.draw(Arm("chain_sum", 1), "test", 0, 0)
    assert answered(student, Study(), task.prompt).text == answered(student, None, task.prompt).text
