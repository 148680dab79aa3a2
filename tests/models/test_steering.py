"""Traits as vectors, and learning for one question: what is put in is what is added, and nothing of it stays."""

from __future__ import annotations

import pytest
import torch

from sharpen.core import GREEDY, Ask, UserError
from sharpen.models import LocalPolicy, embedded, load_model, steering, test_time
from sharpen.tasks import gym

LAYER = 0


@pytest.fixture(scope="module")
def policy():
    return LocalPolicy(*embedded.build("micro", gym(["chain_sum"]), 0), precision="fp32", device="cpu")


def answers(policy):
    ask = Ask(({"role": "user", "content": "2 + 3 ="},))
    (turn,) = policy.respond([ask], [0], 6, GREEDY)
    return turn.tokens.tolist(), turn.logprobs.tolist()


def test_what_both_sides_share_cancels_in_one_pair(policy):
    assert not steering.trait(policy, [("wait, please", "wait, please")], LAYER).any()


def test_the_component_along_the_vector_rises_by_its_length(policy):
    """And of several, the sum rises by the sum; a zero vector changes no bit, and afterwards all is as before."""
    vectors = {"a": steering.trait(policy, [("now! now!", "whenever you like")], LAYER)}
    vectors["b"] = steering.trait(policy, [("what? who?", "I see, thank you")], LAYER)
    before = steering.states(policy, ["hello there"], LAYER)[0]
    with torch.no_grad():
        for weights in ({"a": 2.0}, {"a": 1.0, "b": -0.5}):
            vector = steering.together(vectors, weights)
            with steering.steered(policy, LAYER, vector):
                moved = steering.states(policy, ["hello there"], LAYER)[0]
            assert torch.allclose(moved - before, vector, atol=1e-5)
    plain = answers(policy)
    with steering.steered(policy, LAYER, torch.zeros_like(before)):
        assert answers(policy) == plain
    with steering.steered(policy, LAYER, 40 * vectors["a"]):
        assert answers(policy) != plain  # whoever runs the model runs it steered
    assert answers(policy) == plain
    with pytest.raises(UserError, match="no trait 'c'"):
        steering.together(vectors, {"c": 1.0})
    with pytest.raises(UserError, match="layers 0 to 1"):
        steering.states(policy, ["x"], 9)
    assert steering.robustness({"none": 0.75, "confused": 0.25}) == {"confused": -0.5}


def test_a_steered_model_is_written_as_one_of_its_own(policy, tmp_path):
    """It answers as the model does while it is steered."""
    vector = 40 * steering.trait(policy, [("now! now!", "whenever you like")], LAYER)
    steering.write(policy, LAYER, vector, tmp_path)
    other = LocalPolicy(*load_model(tmp_path), precision="fp32", device="cpu")
    with steering.steered(policy, LAYER, vector):
        (tokens, logprobs), (again, theirs) = answers(policy), answers(other)
    assert tokens == again and theirs == pytest.approx(logprobs, abs=1e-4) and tokens != answers(policy)[0]


def test_learning_for_one_question_leaves_nothing(policy):
    """Inside, the answer that was shown is likelier; outside, weights and answers are the same, bit for bit."""
    shown = [("2 + 3 =", "5")]
    batch = test_time.lesson(policy, shown)
    weights = [p.detach().clone() for p in policy.model.parameters()]
    plain, before = answers(policy), policy.logprobs(batch).sum()
    with test_time.adapted(policy, shown, steps=3, lr=1e-3):
        assert policy.logprobs(batch).sum() > before
    assert all(torch.equal(a, b) for a, b in zip(weights, policy.model.parameters(), strict=True))
    assert answers(policy) == plain and policy.version == 0 and not policy.optimizer.state_dict()["state"]
    with test_time.adapted(policy, [], steps=3):
        assert answers(policy) == plain
    assert 0 <= test_time.margin(policy, "2 + 3 =", samples=4, max_tokens=3) <= 1
