"""Products in bfloat16 and the output layer in C are torch's, forwards and backwards, and do not depend on the threads."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sharpen.models.engine import native, train_products

pytestmark = pytest.mark.skipif(
    native.library() is None or not native.library().halves(), reason="no dot products of bfloat16 here"
)


def close(found, exact, digits=2**-8):
    """Half a unit in the last of eight digits for what is stored so, and as much for what went into it."""
    found, exact = found.detach().double(), exact.detach().double()
    torch.testing.assert_close(found, exact, rtol=digits, atol=digits * float(exact.abs().max()))


def half(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


@pytest.mark.parametrize(("n", "inputs", "outputs"), [(1, 32, 32), (7, 64, 96), (41, 96, 32), (50, 160, 64)])
def test_a_layer_and_its_gradients(n, inputs, outputs):
    layer = nn.Linear(inputs, outputs).bfloat16()
    x, back = half(n, inputs).requires_grad_(), half(n, outputs, seed=1)
    y = train_products.project(layer, x)
    slopes = torch.autograd.grad(y, (x, *layer.parameters()), back)
    exact_x, weight, bias = (t.detach().double().requires_grad_() for t in (x, *layer.parameters()))
    exact = F.linear(exact_x, weight, bias)
    exact_slopes = torch.autograd.grad(exact, (exact_x, weight, bias), back.double())
    assert y.grad_fn is not None and y.dtype == torch.bfloat16
    for found, wanted in zip((y, *slopes), (exact, *exact_slopes), strict=True):
        close(found, wanted)


def test_gradients_are_summed_in_float_where_the_master_is():
    """Two passes, and an embedding that is the output layer too: nothing is rounded to bfloat16 in between."""
    layer, table = nn.Linear(64, 32, bias=False).bfloat16(), nn.Embedding(40, 64).bfloat16()
    masters = {p: p.detach().float() for p in (layer.weight, table.weight)}
    for image, master in masters.items():
        train_products.gather(image, master)
    tokens = torch.tensor([3, 5, 3, 39])
    exact = {p: torch.zeros(p.shape, dtype=torch.float64) for p in masters}
    for seed in range(2):
        back = half(4, 32, seed=seed)
        x = train_products.embed(table, tokens)
        train_products.project(layer, x).backward(back)
        exact[layer.weight] += back.double().T @ x.detach().double()
        exact[table.weight].index_add_(0, tokens, (back.double() @ layer.weight.detach().double()).bfloat16().double())
    assert layer.weight.grad is None and table.weight.grad is None
    for image, master in masters.items():
        close(master.grad, exact[image], 1e-6 if image is layer.weight else 2**-8)


@pytest.mark.parametrize(("rows", "width", "vocabulary"), [(1, 32, 100), (13, 64, 256), (30, 96, 5000)])
@pytest.mark.parametrize("heat", [1.0, 0.7])
def test_log_probabilities_entropies_and_gradients(rows, width, vocabulary, heat):
    head, states = half(vocabulary, width).requires_grad_(), half(rows, width, seed=1).requires_grad_()
    targets = torch.arange(rows) * 37 % vocabulary
    g = torch.randn(rows, generator=torch.Generator().manual_seed(2))
    logp, entropy = train_products.log_probabilities(head, states, targets, heat)
    slopes = torch.autograd.grad(logp, (states, head), g)
    exact_states, exact_head = (t.detach().double().requires_grad_() for t in (states, head))
    exact = (exact_states @ exact_head.T / heat).log_softmax(1)
    chosen = exact.gather(1, targets[:, None]).squeeze(1)
    torch.testing.assert_close(logp.double(), chosen, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(entropy.double(), -(exact.exp() * exact).sum(1), rtol=1e-4, atol=1e-4)
    for found, wanted in zip(slopes, torch.autograd.grad(chosen, (exact_states, exact_head), g.double()), strict=True):
        close(found, wanted)
    with torch.no_grad():
        assert torch.equal(train_products.log_probabilities(head, states, targets, heat)[0], logp)


def test_nothing_depends_on_the_threads():
    head, states, targets, layer = half(3000, 64), half(50, 64, seed=1), torch.arange(50), nn.Linear(64, 96).bfloat16()

    def made(threads):
        torch.set_num_threads(threads)
        x = states.clone().requires_grad_()
        logp, entropy = train_products.log_probabilities(head.requires_grad_(), x, targets, 1.0)
        found = logp, entropy, *torch.autograd.grad(logp.sum(), (x, head))
        y = train_products.project(layer, x)
        return *found, y, *torch.autograd.grad(y.sum(), (x, layer.weight))

    before = torch.get_num_threads()
    try:
        one, three = made(1), made(3)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(one, three, strict=True))


def test_a_broken_number_is_seen():
    head, states = half(300, 32), half(4, 32, seed=1)
    states[2, 5] = np.nan
    logp, _ = train_products.log_probabilities(head, states, torch.zeros(4, dtype=torch.long), 1.0)
    assert torch.equal(logp.isnan(), torch.tensor([False, False, True, False]))


def test_what_the_library_does_not_take_is_torchs():
    odd, plain = nn.Linear(20, 30).bfloat16(), nn.Linear(32, 32)
    x = half(4, 20)
    assert torch.equal(train_products.project(odd, x), odd(x))
    assert torch.equal(train_products.project(plain, x.float().repeat(1, 2)[:, :32]), plain(x.float().repeat(1, 2)[:, :32]))


def test_a_layer_with_an_adapter_is_peft_s():
    peft = pytest.importorskip("peft")
    inner = nn.ModuleDict({"one": nn.Linear(64, 32, bias=False)})
    model = peft.inject_adapter_in_model(peft.LoraConfig(r=4, lora_alpha=8, target_modules=["one"]), inner).bfloat16()
    layer, x, back = model["one"], half(9, 64).requires_grad_(), half(9, 32, seed=1)
    with torch.no_grad():
        layer.lora_B["default"].weight.copy_(half(32, 4, seed=2))
    learnt = [p for p in layer.parameters() if p.requires_grad]
    found, wanted = train_products.project(layer, x), layer(x)
    assert len(learnt) == 2 and train_products._adapted(layer)
    slopes = zip(torch.autograd.grad(found, (x, *learnt), back), torch.autograd.grad(wanted, (x, *learnt), back), strict=True)
    for a, b in ((found, wanted), *slopes):
        close(a, b, 2**-7)
