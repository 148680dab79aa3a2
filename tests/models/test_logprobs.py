"""Packed rows, shared prompts and chunked logits against a plain forward pass of transformers, row by row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from sharpen.core import PLAIN, Batch, Sampling
from sharpen.models import logprobs
from sharpen.models.engine import packing, transformer

SHAPE = dict(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)


@pytest.fixture(params=[8, 32], ids=["torch", "compiled"])  # heads of 8 are too narrow for the functions in C
def model(request):
    torch.manual_seed(0)
    made = LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=2, head_dim=request.param)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    return made


def batch(drawn: Sampling = PLAIN) -> Batch:
    """Groups of unequal size with prompts of unequal length, a group of one, and a row with an untrained part in its midst."""
    rng = np.random.default_rng(0)
    rows, group, first = [], [], []
    for g, (n, prompt) in enumerate([(3, 7), (1, 4), (5, 2), (2, 11)]):
        question = rng.integers(0, 50, prompt)
        for _ in range(n):
            rows.append(np.concatenate([question, rng.integers(0, 50, rng.integers(1, 9))]))
            group.append(g)
            first.append(prompt)
    width = max(map(len, rows))
    tokens, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.float32)
    for i, row in enumerate(rows):
        tokens[i, : len(row)], mask[i, first[i] : len(row)] = row, 1
    mask[4, first[4] + 1 : first[4] + 2] = 0
    lengths = np.array([len(r) for r in rows])
    reward = rng.random(len(rows)).astype(np.float32)
    ones = np.ones(len(rows), np.float32)
    return Batch(tokens, mask, np.zeros_like(mask), reward, np.array(group), ones, lengths, drawn)


def plain(model, data: Batch) -> torch.Tensor:
    out = []
    for i in range(len(data)):
        ids = torch.from_numpy(data.tokens[i : i + 1, : data.lengths[i]])
        logp = model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None]).squeeze(1)
        row = torch.nn.functional.pad(logp, (1, data.tokens.shape[1] - int(data.lengths[i])))
        out.append(row * torch.from_numpy(data.mask[i]))
    return torch.stack(out)


def gradient(model, value: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    (value * torch.linspace(-1, 2, value.numel()).view(value.shape)).sum().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("logits", [2**25, 150])  # all at once, or three rows at a time
def test_packed_rows_have_the_logprobs_and_gradient_of_a_plain_forward_pass(model, recompute, logits, monkeypatch):
    monkeypatch.setattr(logprobs, "CHUNK_LOGITS", logits)
    data = batch()
    ours = logprobs.logprobs(model, data, np.arange(len(data)), recompute)
    theirs = plain(model, data)
    torch.testing.assert_close(ours, theirs[:, : ours.shape[1]], rtol=1e-5, atol=1e-5)
    wide = torch.nn.functional.pad(ours, (0, theirs.shape[1] - ours.shape[1]))
    torch.testing.assert_close(gradient(model, wide), gradient(model, theirs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("answers", [(1, 1, 1), (1, 5, 2)])
def test_answers_of_one_token_have_the_logprobs_and_gradient_of_a_plain_forward_pass(model, answers):
    """Nothing is left of such a row behind the prompt that it shares, for its last token predicts nothing."""
    lengths = np.array([6 + n for n in answers])
    tokens = np.random.default_rng(0).integers(1, 30, (3, lengths.max()))
    tokens[:, :6] = tokens[0, :6]
    mask = ((np.arange(lengths.max()) >= 6) & (np.arange(lengths.max()) < lengths[:, None])).astype(np.float32)
    one = np.ones(3, dtype=np.float32)
    data = Batch(tokens, mask, -mask, one, np.array([0, 0, 1]), one, lengths)
    ours, theirs = logprobs.logprobs(model, data, np.arange(3)), plain(model, data)
    torch.testing.assert_close(ours, theirs[:, : ours.shape[1]], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient(model, ours), gradient(model, theirs), rtol=1e-4, atol=1e-4)


def test_the_last_layer_works_only_for_states_that_are_needed(model):
    tokens, needed = torch.arange(1, 12), torch.tensor([3, 10])
    packed = packing.pack([tokens.numpy()], [0], [0])
    seen: list[int] = []
    handle = model.model.layers[-1].mlp.down_proj.register_forward_hook(lambda module, given, made: seen.append(len(made)))
    whole = transformer.hidden_states(model, packed.tokens, packed.positions, packed.attend)
    some = transformer.hidden_states(model, packed.tokens, packed.positions, packed.attend, needed=needed)
    handle.remove()
    torch.testing.assert_close(some, whole[needed])
    assert seen == [11, 2]


def test_a_prompt_is_held_once_for_its_group():
    """By hand: rows [1 2 3 | 4], [1 2 3 | 5 6] of one group and [7 8] alone are 3 + 1 + 2 + 2 = 8 tokens, not 11."""
    rows = [np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5, 6]), np.array([7, 8])]
    packed = packing.pack(rows, [3, 3, 0], [0, 0, 1])
    assert packed.tokens.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert packed.positions.tolist() == [0, 1, 2, 3, 3, 4, 0, 1]
    row, position = torch.tensor([0, 0, 1, 1, 2]), torch.tensor([0, 3, 2, 4, 1])
    assert packed.tokens[packed.number(row, position)].tolist() == [1, 4, 3, 6, 8]


def test_what_rows_of_a_group_begin_with_ends_at_the_first_trained_or_different_token():
    tokens = np.array([[1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 9, 9], [1, 2, 3, 4]])
    mask = np.array([[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 1]])
    shared = lambda rows: packing.common_beginnings(tokens[rows], mask[rows], np.zeros(len(rows), np.int64)).tolist()  # noqa: E731
    assert shared([0, 1]) == [3, 3] and shared([0, 2]) == [2, 2] and shared([0, 3]) == [2, 2] and shared([0]) == [0]


def test_passes_cover_every_row_once_and_keep_groups_together():
    data = batch()
    parts = list(logprobs.passes(data, np.arange(len(data)), 40))
    assert sorted(i for rows in parts for i in rows) == list(range(len(data))) and len(parts) > 1
    for rows in parts:
        assert len(rows) == 1 or sum(data.lengths[rows]) - 40 <= 11 * len(rows)
        seen = data.group[rows]
        assert (
            np.diff(np.flatnonzero(np.diff(seen, prepend=-1)), append=len(seen))
            == np.unique(seen, return_counts=True)[1][np.argsort(np.unique(seen, return_index=True)[1])]
        ).all()  # one stretch for each group


def test_a_rare_token_drawn_under_a_cut_keeps_a_finite_logprob(model):
    """Everything but the likeliest token is cut, and the batch holds other tokens all the same."""
    data = batch(Sampling(top_k=1))
    found = logprobs.logprobs(model, data, np.arange(len(data))).detach()
    assert torch.isfinite(found).all() and float(found[torch.from_numpy(data.mask[:, : found.shape[1]]) > 0].max()) <= 0


def test_one_product_for_weights_side_by_side_and_the_same_result(model):
    x = torch.randn(5, 32)
    layer = model.model.layers[0].self_attn
    projections = (layer.q_proj, layer.k_proj, layer.v_proj)
    apart = [p(x) for p in projections]
    transformer.fuse(model)
    assert layer.k_proj.weight.data_ptr() == layer.q_proj.weight.data_ptr() + layer.q_proj.weight.nbytes
    with torch.no_grad():
        for a, b in zip(apart, transformer.linear(projections, x), strict=True):
            torch.testing.assert_close(a, b)
        layer.k_proj.weight.data = layer.k_proj.weight.clone()  # as model.to(device) does: no longer side by side
        layer.k_proj.weight.mul_(2)
        torch.testing.assert_close(transformer.linear(projections, x)[1], 2 * apart[1])
