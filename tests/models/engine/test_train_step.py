"""The functions in C between a model's products are torch's operations, forwards and backwards."""

import ctypes

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, LlamaConfig

from sharpen.core import Batch, Sampling
from sharpen.models import logprobs
from sharpen.models.engine import decode_step, native, packing, sampling, train_step

pytestmark = pytest.mark.skipif(native.library() is None, reason="no C compiler here")


def plain_rotate(x, cos, sin):
    halves = x.unflatten(-1, (2, -1))
    return torch.addcmul(halves * cos, halves.flip(-2), sin).flatten(-2)


def angles(tokens, head):
    found = torch.randn(tokens, 1, 1, head // 2)
    return found.cos(), torch.cat((-found.sin(), found.sin()), dim=2)


FUNCTIONS = {
    "norm": (train_step.norm, lambda x, w, eps: F.rms_norm(x, x.shape[-1:], w, eps), lambda n, d: ((n, d), (d,)), (1e-5,)),
    "norm of heads": (
        train_step.norm,
        lambda x, w, eps: F.rms_norm(x, x.shape[-1:], w, eps),
        lambda n, d: ((n, 3, d), (d,)),
        (1e-6,),
    ),
    "gate": (train_step.gate, lambda x, y: F.silu(x) * y, lambda n, d: ((n, d), (n, d)), ()),
}


def gradients(function, inputs, extra, back):
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    y = function(*inputs, *extra)
    return y.detach(), torch.autograd.grad(y, inputs, back.to(y.dtype))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("size", [(1, 16), (7, 32), (130, 96)])
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_function_and_gradient_are_those_of_torch_in_double_precision(name, size, scale):
    function, plain, shapes, extra = FUNCTIONS[name]
    torch.manual_seed(0)
    inputs = [scale * torch.randn(shape) for shape in shapes(*size)]
    back = torch.randn(inputs[0].shape)
    found, slopes = gradients(function, inputs, extra, back)
    exact, exact_slopes = gradients(plain, [x.double() for x in inputs], extra, back)
    for a, b in zip([found, *slopes], [exact, *exact_slopes], strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a.double(), b, rtol=2e-6, atol=2e-6 * float(b.abs().max()))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_in_bfloat16_only_what_is_stored_is_rounded(name):
    """Against double precision of the same inputs: half a unit in the last of eight digits for a value, more where a gradient
    is a sum of rounded numbers. torch's own operations are no nearer."""
    function, plain, shapes, extra = FUNCTIONS[name]
    torch.manual_seed(0)
    inputs = [torch.randn(shape).bfloat16() for shape in shapes(130, 96)]
    back = torch.randn(inputs[0].shape).bfloat16()
    assert train_step._usable(*inputs) is not None
    found, slopes = gradients(function, inputs, extra, back)
    exact, exact_slopes = gradients(plain, [x.double() for x in inputs], extra, back.double())
    for a, b in zip([found, *slopes], [exact, *exact_slopes], strict=True):
        assert a.dtype == torch.bfloat16
        torch.testing.assert_close(a.double(), b, rtol=2**-8, atol=2**-12 * float(b.abs().max()))


@pytest.mark.parametrize("head", [32, 64])
def test_rotation_in_bfloat16_turns_by_angles_in_float32(head):
    torch.manual_seed(0)
    x, back, (cos, sin) = torch.randn(9, 3, head).bfloat16(), torch.randn(9, 3, head).bfloat16(), angles(9, head)
    assert train_step.angles(x) == torch.float32
    found, (slope,) = gradients(lambda t: train_step.rotate(t, cos, sin), [x], (), back)
    exact, (exact_slope,) = gradients(lambda t: plain_rotate(t, cos, sin), [x.float()], (), back.float())
    assert found.dtype == slope.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=2**-8, atol=1e-6)
    torch.testing.assert_close(slope.float(), exact_slope, rtol=2**-8, atol=1e-6)


def test_attention_in_bfloat16_is_that_of_float32():
    torch.manual_seed(0)
    families = train_step.Families([7, 0], [9, 1, 30], [0, 0, 1])
    q, k, v, back = (torch.randn(47, heads, 32).bfloat16() for heads in (4, 2, 2, 4))
    found = gradients(lambda *t: train_step.attend(*t, families), [q, k, v], (), back)
    exact = gradients(lambda *t: train_step.attend(*t, families), [t.float() for t in (q, k, v)], (), back.float())
    for a, b in zip([found[0], *found[1]], [exact[0], *exact[1]], strict=True):
        assert a.dtype == torch.bfloat16
        torch.testing.assert_close(a.float(), b, rtol=2**-7, atol=2**-8 * float(b.abs().max()))


def test_the_operations_of_attention_are_counted():
    """One row of two tokens behind a beginning of two, two heads of 32 numbers: the beginning's tokens see 2 * 2 / 2 pairs, the
    row's 2 * (2 + 2 / 2); two products of 2 * 32 operations a pair and head."""
    families = train_step.Families([2], [2], [0])  # whose arrays the shape points to
    shape = families.shape(2, 1, 32)
    assert train_step._flops(ctypes.addressof(shape), 0, 0) == 2 * 2 * 2 * 32 * (2 + 6)


def test_rotation_and_its_way_back_are_those_of_torch():
    torch.manual_seed(0)
    x, back, (cos, sin) = torch.randn(9, 3, 32), torch.randn(9, 3, 32), angles(9, 32)
    found, (slope,) = gradients(lambda t: train_step.rotate(t, cos, sin), [x], (), back)
    exact, (exact_slope,) = gradients(lambda t: plain_rotate(t, cos, sin), [x], (), back)
    torch.testing.assert_close(found, exact)
    torch.testing.assert_close(slope, exact_slope)


def test_what_the_library_does_not_take_goes_to_torch():
    odd, other = torch.randn(4, 12), torch.randn(4, 32).half()
    strided = torch.randn(4, 64)[:, ::2]
    for x in (odd, other, strided):
        assert train_step._usable(x) is None
        weight = torch.ones(x.shape[-1], dtype=x.dtype)
        torch.testing.assert_close(train_step.norm(x, weight, 1e-5), F.rms_norm(x, x.shape[-1:], weight, 1e-5))
        torch.testing.assert_close(train_step.gate(x, x), F.silu(x) * x)
    assert train_step._usable(torch.randn(4, 32)) is not None


def dense_attention(q, k, v, firsts, remainders, origin):
    """Every row with its own copy of its beginning, one at a time."""
    starts = np.cumsum([0, *firsts, *remainders])
    out = torch.zeros_like(q)
    for i, n in enumerate(firsts):
        here = slice(starts[i], starts[i] + n)
        out[here] = one(q[here], k[here], v[here], n)
    for i, n in enumerate(remainders):
        here = torch.arange(starts[len(firsts) + i], starts[len(firsts) + i] + n)
        before = torch.arange(starts[origin[i]], starts[origin[i]] + firsts[origin[i]])
        rows = torch.cat((before, here))
        out[here] = one(q[here], k[rows], v[rows], n)
    return out


def one(q, k, v, n):
    k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for t in (k, v))
    scores = torch.einsum("qhe,khe->hqk", q, k) * q.shape[-1] ** -0.5
    seen = torch.ones(n, len(k), dtype=torch.bool).tril(len(k) - n)
    return torch.einsum("hqk,khe->qhe", scores.masked_fill(~seen, float("-inf")).softmax(-1), v)


@settings(max_examples=25)
@given(
    families=st.lists(
        st.tuples(st.integers(0, 40), st.lists(st.integers(1, 70), min_size=1, max_size=4)), min_size=1, max_size=4
    ),
    heads=st.sampled_from([(1, 1), (4, 2), (3, 1)]),
    head=st.sampled_from([32, 64]),
    loud=st.sampled_from([1.0, 30.0]),
    mixed=st.randoms(use_true_random=False),
)
def test_attention_and_its_gradient_are_dense_attentions(families, heads, head, loud, mixed):
    """Rows of any lengths behind beginnings of any lengths, in any order, some without a beginning."""
    firsts = [first for first, _ in families]
    rows = [(n, i) for i, (_, lengths) in enumerate(families) for n in lengths]
    mixed.shuffle(rows)
    remainders, origin = [n for n, _ in rows], [i for _, i in rows]
    total = sum(firsts) + sum(remainders)
    torch.manual_seed(total)
    q, k, v = loud * torch.randn(total, heads[0], head), torch.randn(total, heads[1], head), torch.randn(total, heads[1], head)
    back = torch.randn_like(q)
    layout = train_step.Families(firsts, remainders, origin)
    found, slopes = gradients(lambda *x: train_step.attend(*x, layout), [q, k, v], (), back)
    exact, exact_slopes = gradients(
        lambda *x: dense_attention(*x, firsts, remainders, origin), [t.double() for t in (q, k, v)], (), back
    )
    for a, b in zip([found, *slopes], [exact, *exact_slopes], strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=4e-6 * loud * max(float(b.abs().max()), 1.0))


def test_attention_over_more_keys_than_a_product_takes_at_once():
    torch.manual_seed(0)
    layout, lengths = train_step.Families([270], [300, 4], [0, 0]), ([270], [300, 4], [0, 0])
    inputs, back = [torch.randn(574, heads, 32) for heads in (2, 1, 1)], torch.randn(574, 2, 32)
    found, slopes = gradients(lambda *x: train_step.attend(*x, layout), inputs, (), back)
    exact, exact_slopes = gradients(lambda *x: dense_attention(*x, *lengths), [t.double() for t in inputs], (), back)
    for a, b in zip([found, *slopes], [exact, *exact_slopes], strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("broken", [0, 1])
def test_attention_to_what_is_not_a_number_is_not_one_either(broken):
    """A NaN in a query or a key: its own row is broken from there on, and the other is not."""
    torch.manual_seed(0)
    inputs = [torch.randn(40, 1, 32) for _ in range(3)]
    inputs[broken][5, 0, 3] = float("nan")
    found = train_step.attend(*inputs, train_step.Families([0, 0], [20, 20], [0, 1])).isnan().any(-1).squeeze(1)
    assert found.nonzero().flatten().tolist() == ([5] if broken == 0 else list(range(5, 20)))


@pytest.mark.parametrize("threads", [1, 3])
def test_attention_does_not_depend_on_the_number_of_threads_by_a_bit(threads):
    torch.manual_seed(0)
    firsts, remainders, origin = [5, 0, 20], [30, 1, 50, 24, 25], [0, 0, 1, 2, 2]
    inputs = [torch.randn(sum(firsts) + sum(remainders), heads, 32) for heads in (4, 2, 2)]
    layout, back, before = train_step.Families(firsts, remainders, origin), torch.randn_like(inputs[0]), torch.get_num_threads()
    made = []
    for n in (2, threads):
        torch.set_num_threads(n)
        made.append(gradients(lambda *x: train_step.attend(*x, layout), inputs, (), back))
    torch.set_num_threads(before)
    for a, b in zip([made[0][0], *made[0][1]], [made[1][0], *made[1][1]], strict=True):
        assert torch.equal(a, b)


def test_a_models_gradient_is_the_one_that_torchs_operations_give(monkeypatch):
    torch.manual_seed(0)
    sizes = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
    model = AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=50, head_dim=32, **sizes), dtype=torch.float32)
    rng = np.random.default_rng(0)
    lengths, group = np.array([30, 9, 12, 20, 7]), np.array([0, 0, 0, 1, 2])
    tokens = rng.integers(1, 50, (5, 30))
    tokens[:3, :5] = tokens[0, :5]
    mask = ((np.arange(30) >= 5) & (np.arange(30) < lengths[:, None])).astype(np.float32)
    batch = Batch(tokens, mask, -mask, np.ones(5, np.float32), group, np.ones(5, np.float32), lengths)

    def gradient(recompute):
        model.zero_grad()
        logp = logprobs.logprobs(model, batch, np.arange(5), recompute)
        (logp * torch.linspace(-1, 1, logp.numel()).view_as(logp)).sum().backward()
        return [logp.detach(), *(p.grad.clone() for p in model.parameters())]

    ours, again = gradient(False), gradient(True)
    monkeypatch.setattr(train_step, "_usable", lambda *tensors: None)
    for a, b, c in zip(ours, again, gradient(False), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(a, c, rtol=1e-4, atol=1e-5 * float(c.abs().max()))


def test_a_pack_says_which_rows_share_a_beginning():
    rows = [np.arange(6), np.arange(4), np.arange(8)]
    families = packing.pack(rows, [3, 0, 3], [7, 5, 7]).families
    assert families.first_n.tolist() == [3, 0] and families.first_at.tolist() == [0, 3]
    assert families.rows.tolist() == [0, 2, 3]
    assert families.at.tolist() == [3, 10, 6] and families.n.tolist() == [3, 5, 4]


@pytest.mark.parametrize("vocabulary", [1, 7, 8, 50, 1000])
@pytest.mark.parametrize("temperature", [1.0, 0.3, 0.0])
def test_draws_are_those_of_torch(vocabulary, temperature, monkeypatch):
    torch.manual_seed(0)
    logits, u = 4 * torch.randn(300, vocabulary), torch.rand(300, dtype=torch.float64)
    how = Sampling(temperature=temperature)
    tokens, logp = sampling.sample(logits, how, u)
    monkeypatch.setattr(decode_step, "draw", lambda *_: None)
    same, expected = sampling.sample(logits, how, u)
    assert (tokens != same).sum() <= 1  # u within a rounding of where one token ends
    torch.testing.assert_close(logp[tokens == same], expected[tokens == same], rtol=0, atol=1e-5)


def test_draws_at_the_ends_of_the_distribution():
    inf = float("inf")
    logits = torch.tensor([[-inf] * 9 + [0.0, 0.0] + [-inf] * 9, [-200.0, *[0.0] * 19], [0.0, *[-90.0] * 19]])
    for u, expected in ((0.0, [9, 1, 0]), (1 - 2**-53, [10, 19, 0])):
        tokens, logp = decode_step.draw(logits, 1.0, torch.full((3,), u, dtype=torch.float64))
        assert tokens.tolist() == expected
        torch.testing.assert_close(logp, -torch.tensor([2.0, 19.0, 1.0]).log())


def test_rounding_never_draws_what_cannot_be_drawn():
    """The sum of a vector in single precision may lie above that of its numbers in double precision."""
    torch.manual_seed(0)
    for vocabulary in (8, 20):
        logits = torch.full((500, vocabulary), float("-inf"))
        logits[:, 1:6] = torch.randn(500, 5)
        tokens, logp = decode_step.draw(logits, 1.0, torch.full((500,), 1 - 2**-53, dtype=torch.float64))
        assert logp.isfinite().all() and ((tokens >= 1) & (tokens < 6)).all()


@pytest.mark.parametrize("place", [0, 5, 19])
def test_what_is_not_a_number_is_not_drawn_in_silence(place):
    logits = torch.zeros(2, 20)
    logits[1, place] = float("nan")
    logp = decode_step.draw(logits, 1.0, torch.tensor([0.5, 0.5], dtype=torch.float64))[1]
    assert logp[0].isfinite() and logp[1].isnan()
