"""The engine against transformers' own forward and generate, and against itself in other company."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from sharpen.core import GREEDY, Sampling
from sharpen.models.engine import generate, generic, sampling, transformer
from sharpen.models.engine.cache import GROWTH, Cache

SHAPE = dict(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
CAUSAL_LMS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=4, tie_word_embeddings=True)),
    "llama, shared keys": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=2)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SHAPE, num_key_value_heads=2, sliding_window=None)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE, num_key_value_heads=2)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, num_key_value_heads=2, head_dim=16)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4)),
}
END = 7


@pytest.fixture(params=CAUSAL_LMS)
def model(request):
    torch.manual_seed(0)
    made = CAUSAL_LMS[request.param]().eval()
    with torch.no_grad():  # fresh weights predict almost uniformly, and near ties hide errors
        for parameter in made.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    return made


def prompts(n: int, longest: int = 11) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(8, 50, rng.integers(1, longest + 1)).astype(np.int32) for _ in range(n)]


def requests(given: list[np.ndarray], max_tokens: int = 12, temperature: float = 1.0) -> list[generate.Request]:
    return [generate.Request(p, 1000 + i, max_tokens, Sampling(temperature)) for i, p in enumerate(given)]


def reference_logprobs(model, prompt: np.ndarray, tokens: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """By transformers' own forward, one row at a time, without a cache."""
    ids = torch.from_numpy(np.concatenate([prompt, tokens]).astype(np.int64))[None]
    with torch.no_grad():
        logp = (model(ids).logits[0, len(prompt) - 1 : -1] / temperature).log_softmax(-1)
    return logp[torch.arange(len(tokens)), ids[0, len(prompt) :]].numpy()


def test_only_the_generic_model_takes_the_generic_path(model):
    assert transformer.supported(model) == (model.config.model_type != "gpt2")


def test_sampled_logprobs_are_those_of_a_plain_forward_pass(model):
    given = prompts(24)
    for prompt, made in zip(given, generate.generate(model, requests(given, temperature=0.7), [END], 0), strict=True):
        np.testing.assert_allclose(made.logprobs, reference_logprobs(model, prompt, made.tokens, 0.7), atol=2e-5)


def test_greedy_tokens_equal_those_of_generate(model):
    for prompt in prompts(6):
        made = generate.generate(model, requests([prompt], temperature=0.0), [END], 0)[0]
        theirs = model.generate(
            torch.from_numpy(prompt.astype(np.int64))[None],
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=12,
            eos_token_id=END,
            pad_token_id=0,
        )[0, len(prompt) :]
        assert made.tokens.tolist() == theirs.tolist()


def test_a_row_does_not_depend_on_its_company(model):
    given = requests(prompts(20))
    together = generate.generate(model, given, [END], 0)
    backwards = generate.generate(model, given[::-1], [END], 0)[::-1]
    for request, a, b in zip(given, together, backwards, strict=True):
        alone = generate.generate(model, [request], [END], 0)[0]
        assert a.tokens.tolist() == b.tokens.tolist() == alone.tokens.tolist()


def test_rows_stop_at_the_end_token_or_at_their_own_limit(model):
    given = [generate.Request(p, i, 1 + i % 5) for i, p in enumerate(prompts(40))]
    for request, made in zip(given, generate.generate(model, given, [END], 0), strict=True):
        assert END not in made.tokens[:-1].tolist()
        assert (made.stop == "end") == (made.tokens[-1] == END)
        assert made.stop == "end" or len(made.tokens) == request.max_tokens


def test_a_generation_longer_than_its_cache_goes_on(model):
    prompt = prompts(1)[0]
    made = generate.generate(model, [generate.Request(prompt, 0, 3 * GROWTH)], [], 0)[0]
    assert len(made.tokens) == 3 * GROWTH
    np.testing.assert_allclose(made.logprobs, reference_logprobs(model, prompt, made.tokens), atol=5e-5)


def test_no_tokens_asked_for_gives_none(model):
    assert len(generate.generate(model, [generate.Request(prompts(1)[0], 0, 0)], [END], 0)[0].tokens) == 0


def test_an_empty_prompt_is_refused(model):
    with pytest.raises(ValueError, match="no tokens"):
        generate.generate(model, [generate.Request(np.zeros(0, np.int32), 0, 4)], [END], 0)


def test_groups_that_lose_rows_unevenly_go_on_as_if_alone(model):
    """Groups of one to five rows on prompts of 1 to 60 tokens, with limits that make rows leave in every order."""
    rng = np.random.default_rng(3)
    given = [rng.integers(8, 50, n).astype(np.int32) for n in (1, 3, 30, 31, 60)]
    asked = [generate.Request(p, 10 * i + j, 1 + (7 * j + 3 * i) % 13) for i, p in enumerate(given) for j in range(1 + i)]
    for request, made in zip(asked, generate.generate(model, asked, [END], 0), strict=True):
        np.testing.assert_allclose(made.logprobs, reference_logprobs(model, request.prompt, made.tokens), atol=2e-5)
        assert made.tokens.tolist() == generate.generate(model, [request], [END], 0)[0].tokens.tolist()


def test_different_kinds_of_drawing_share_a_batch(model):
    kinds = (GREEDY, Sampling(0.5), Sampling(top_k=3), Sampling(top_p=0.7), Sampling(min_p=0.2))
    given = [generate.Request(p, i, 9, kinds[i % 5]) for i, p in enumerate(prompts(20))]
    for request, made in zip(given, generate.generate(model, given, [END], 0), strict=True):
        alone = generate.generate(model, [request], [END], 0)[0]
        assert made.tokens.tolist() == alone.tokens.tolist()
        np.testing.assert_allclose(made.logprobs, alone.logprobs, atol=2e-5)


def test_answers_are_handed_over_as_soon_as_they_are_written(model):
    given = [generate.Request(p, i, 1 + i) for i, p in enumerate(prompts(12))]
    order: list[int] = []
    made = generate.generate(model, given, [], 0, done=lambda i, answer: order.append(i))
    assert order == list(range(12)) and [len(m.tokens) for m in made] == list(range(1, 13))


def test_stop_strings_end_a_row_with_the_token_that_completes_them(model):
    """Tokens are letters here: token 8 is "a", 9 is "b", … ; "cd" is written by tokens 10, 11."""
    text = lambda tokens: "".join(chr(89 + t) for t in tokens)  # noqa: E731

    def stops(strings):
        last = torch.tensor([any(chr(89 + t) == s[-1] for s in strings) for t in range(50)])
        return generate.StopStrings(last, lambda tokens: any(s in text(tokens) for s in strings))

    how = Sampling(stop=("c", "gh"))
    given = [generate.Request(p, i, 30, how) for i, p in enumerate(prompts(40))]
    free = generate.generate(model, [generate.Request(r.prompt, r.seed, 30) for r in given], [], 0)
    seen = set()
    for whole, made in zip(free, generate.generate(model, given, [], 0, stops), strict=True):
        ends = [i + len(s) for s in how.stop if (i := text(whole.tokens).find(s)) >= 0]
        assert made.tokens.tolist() == whole.tokens[: min(ends, default=30)].tolist()
        assert made.stop == ("stop" if ends else "length")
        seen.add(made.stop)
    assert seen == {"stop", "length"}
    with pytest.raises(ValueError, match="stop strings"):
        generate.generate(model, given, [], 0)


def test_a_batch_is_cut_where_its_cache_would_not_fit(model, monkeypatch):
    given = requests(prompts(20), max_tokens=5)
    whole = generate.generate(model, given, [END], 0)
    assert len(generate.batches(model, given)) == 1
    monkeypatch.setattr(generate, "CACHE_BYTES", 40_000)
    assert len(generate.batches(model, given)) > 1
    for a, b in zip(whole, generate.generate(model, given, [END], 0), strict=True):
        assert a.tokens.tolist() == b.tokens.tolist()


def test_a_large_model_has_fewer_rows_together(model, monkeypatch):
    given = requests(prompts(20), max_tokens=5)
    monkeypatch.setattr(generate, "LARGE_CACHE_BYTES", 40_000)
    assert len(generate.batches(model, given)) == 1
    monkeypatch.setattr(generate, "LARGE", generate.token_bytes_of(model))
    assert len(generate.batches(model, given)) > 1


def test_a_prompt_is_run_once_for_its_group():
    """By hand: 3 rows on a prompt of 5 tokens and 2 on one of 9 hold 14 prompt tokens, padded to 18; not 33."""
    model = CAUSAL_LMS["llama"]().eval()
    with torch.inference_mode():
        cache = Cache(model, [np.arange(5, dtype=np.int32), np.arange(9, dtype=np.int32)], [0, 0, 0, 1, 1])
        assert [tuple(b.k[0].shape) for b in cache.blocks] == [(2, 4, 9, 8)]
        assert cache.positions.tolist() == [5, 5, 5, 9, 9]
        cache.extend(model, torch.zeros(5, dtype=torch.long))
        cache.keep(torch.tensor([1, 4]))
        cache.keep(torch.tensor([1]))
        assert [tuple(b.k[0].shape) for b in cache.blocks] == [(1, 4, 9, 8)] and cache.positions.tolist() == [10]


def test_a_static_cache_computes_the_same(model):
    """Steps of one shape, as a GPU replays them, through growth and rows that leave, against steps that grow."""
    if not transformer.supported(model):
        pytest.skip("the generic path has transformers' cache")
    given, rows = sorted(prompts(5), key=len), [0, 0, 1, 2, 3, 3, 3, 4]
    with torch.inference_mode():
        grows, fixed = Cache(model, given, rows), Cache(model, given, rows, static=True)
        for t in range(GROWTH + 5):
            tokens = torch.arange(len(grows.positions)) * 3 + t % 7
            torch.testing.assert_close(fixed.extend(model, tokens), grows.extend(model, tokens), rtol=1e-4, atol=1e-4)
            if t in (3, GROWTH + 1):
                keep = torch.arange(len(tokens))[torch.arange(len(tokens)) % 3 != 1]
                grows.keep(keep)
                fixed.keep(keep)


def test_the_foreign_cache_pads_prompts_of_unlike_length_apart():
    model = CAUSAL_LMS["gpt2"]().eval()  # dropout would make every row its own
    given = [generate.Request(np.full(n, 9, np.int32), 0, 2) for n in (3, 500, 4, 480, 5, 90)]
    found = [[len(given[i].prompt) for i in b] for b in generate.batches(model, given)]
    assert found == [[3, 4, 5], [90], [480, 500]]
    assert not isinstance(generic.Cache(model, [given[0].prompt], [0], 0), Cache)


def test_sampling_inverts_the_distribution_exactly():
    """On a grid of 10,000 numbers u each token must come up in proportion to its probability, to one grid point."""
    probabilities = torch.tensor([0.1, 0.0, 0.55, 0.35])
    u = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    logits = probabilities.log().expand(10_000, 4)
    token, logprob = sampling.sample(logits, Sampling(), u)
    counts = torch.bincount(token, minlength=4) / 10_000
    torch.testing.assert_close(counts, probabilities, atol=1.01e-4, rtol=0)
    torch.testing.assert_close(logprob, probabilities.log()[token])


@pytest.mark.parametrize("vocabulary", [100, 3000])
def test_from_what_is_no_number_a_token_is_drawn_all_the_same(monkeypatch, vocabulary):
    """Its log-probability says what it is; an index beyond the end would end the process of a GPU."""
    monkeypatch.setattr(sampling.decode_step, "draw", lambda *given: None)  # as where nothing can be compiled
    nothing, u = torch.full((8, vocabulary), float("nan")), torch.linspace(0, 1, 8, dtype=torch.float64)
    token, logprob = sampling.sample(nothing, Sampling(), u)
    assert logprob.isnan().all() and int(token.min()) >= 0 and int(token.max()) < vocabulary


def test_sampling_from_a_large_vocabulary_inverts_the_same_distribution():
    """Blocks of 256: against a plain search in the cumulative sum of all 3,000 probabilities, some of them zero."""
    torch.manual_seed(0)
    p = torch.rand(1, 3000) * (torch.rand(1, 3000) < 0.3)
    p[0, 512:800] = 0  # a whole block, and part of the next
    u = torch.linspace(0, 1 - 1e-9, 5000, dtype=torch.float64)
    found = sampling.invert(p.expand(5000, -1), u)
    total = p[0].double().cumsum(0)
    expected = torch.searchsorted(total, u * total[-1], right=True).clamp(max=2999)
    assert (found != expected).sum() <= 2 and (p[0, found] > 0).all()  # a boundary may move by a rounding error


def test_temperature_sharpens_and_zero_takes_the_likeliest():
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    token, logprob = sampling.sample(logits, GREEDY, torch.tensor([0.999], dtype=torch.float64))
    assert token.item() == 1 and logprob.item() == pytest.approx(float(logits.log_softmax(-1)[0, 1]))
    for u in (0.0, 0.5, 0.999999):
        token, logprob = sampling.sample(logits, Sampling(0.5), torch.tensor([u], dtype=torch.float64))
        assert logprob.item() == pytest.approx(float((logits / 0.5).log_softmax(-1)[0, token.item()]))


@pytest.mark.parametrize(
    ("how", "kept"),
    [  # probabilities 0.4, 0.3, 0.2, 0.1
        (Sampling(top_k=2), [0.4, 0.3]),
        (Sampling(top_p=0.5), [0.4, 0.3]),  # 0.4 alone is below 0.5
        (Sampling(top_p=0.39), [0.4]),
        (Sampling(top_p=1e-9), [0.4]),
        (Sampling(min_p=0.5), [0.4, 0.3, 0.2]),  # at least 0.2
        (Sampling(top_k=3, top_p=0.95, min_p=0.6), [0.4, 0.3]),
        (Sampling(), [0.4, 0.3, 0.2, 0.1]),
    ],
)
def test_cuts_by_hand_and_their_logprobs(how, kept):
    probabilities = torch.tensor([[0.1, 0.4, 0.2, 0.3]], dtype=torch.float64)
    logits = (probabilities + 1e-12).log().float()
    if how.min_p == 0.5:
        logits[0, 2] += 1e-6  # exactly on the edge, where float32 decides
    found = sampling.logprobs(logits, how).exp().flatten()
    expected = torch.tensor([p if p in kept else 0.0 for p in (0.1, 0.4, 0.2, 0.3)])
    torch.testing.assert_close(found, expected / expected.sum(), rtol=1e-4, atol=1e-6)
