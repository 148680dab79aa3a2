"""Texts as hidden states: what the model itself has, whatever they are batched with."""

import numpy as np
import pytest
import torch

from sharpen import tasks
from sharpen.core import Ask, UserError
from sharpen.models import LocalPolicy, ScriptedPolicy, angles, embed, embedded


@pytest.fixture(scope="module")
def policy():
    model, tokenizer = embedded.build("micro", tasks.parse_spec("chain_sum/1"), 0)
    return LocalPolicy(model, tokenizer, "fp32", device="cpu")


def asks(*texts):
    return [Ask(({"role": "user", "content": text},)) for text in texts]


def test_they_are_the_mean_of_the_last_hidden_states(policy):
    (ask,) = asks("What is 2 + 3?")
    tokens = policy.prompt_tokens(ask)
    with torch.no_grad():
        states = policy.model(torch.tensor(tokens[None].astype(np.int64)), output_hidden_states=True).hidden_states[-1][0]
    wanted = states[:-1].mean(0).numpy()
    assert np.allclose(embed(policy, [ask])[0], wanted / np.linalg.norm(wanted), atol=1e-5)


def test_a_text_has_the_same_alone_and_among_others_of_any_length(policy):
    listed = asks("2 + 3", "What is 14 + 28 + 3 + 99?", "2 + 3", "7", "What is 9 + 9?")
    together = embed(policy, listed)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5) and np.allclose(together[0], together[2], atol=1e-6)
    assert np.allclose(np.concatenate([embed(policy, [ask]) for ask in listed]), together, atol=1e-5)
    nearest = (together @ together[0]).argsort()[::-1]
    assert {0, 2} == {*nearest[:2].tolist()} and embed(policy, []).shape == (0, 0)


def test_who_is_no_model_in_this_process_has_none():
    with pytest.raises(UserError, match="hidden states"):
        embed(ScriptedPolicy(lambda messages: "4"), asks("a"))


def test_angles_are_mean_cosines_of_pairs(policy):
    """Of a prompt's own tokens, and eight times those of its own with what all prompts begin with; alone there is no beginning
    in common."""
    (one, other) = asks("What is 2 + 3?", "Why 7?")
    tokens = [policy.prompt_tokens(ask).tolist() for ask in (one, other)]
    common = next(i for i, (a, b) in enumerate(zip(*tokens)) if a != b)
    with torch.no_grad():
        states = policy.model(torch.tensor([tokens[0]]), output_hidden_states=True).hidden_states[-1][0][:-1]
    unit = torch.nn.functional.normalize(states, dim=1).numpy()
    pairs = unit[common:] @ unit[common:].T
    n = len(pairs)
    wanted = (pairs.sum() - n) / (n * (n - 1)) + 8 * (unit[common:] @ unit[:common].T).mean()
    assert common > 0 and np.isclose(angles(policy, [one, other])[0], wanted, atol=1e-4)
    whole = unit @ unit.T
    assert np.isclose(angles(policy, [one])[0], (whole.sum() - len(unit)) / (len(unit) * (len(unit) - 1)), atol=1e-4)
