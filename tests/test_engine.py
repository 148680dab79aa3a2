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

from sharpen import engine, transformer

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


def requests(given: list[np.ndarray], max_tokens: int = 12, temperature: float = 1.0) -> list[engine.Request]:
    return [engine.Request(p, 1000 + i, max_tokens, temperature) for i, p in enumerate(given)]


def reference_logprobs(model, prompt: np.ndarray, tokens: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """By transformers' own forward, one row at a time, without a cache."""
    ids = torch.from_numpy(np.concatenate([prompt, tokens]).astype(np.int64))[None]
    with torch.no_grad():
        logp = (model(ids).logits[0, len(prompt) - 1 : -1] / temperature).log_softmax(-1)
    return logp[torch.arange(len(tokens)), ids[0, len(prompt) :]].numpy()


def test_only_the_generic_model_takes_the_generic_path(model):
    assert transformer.supported(model) == (model.config.model_type != "gpt2")


def test_hidden_states_equal_those_of_transformers(model):
    if not transformer.supported(model):
        pytest.skip("the generic path calls transformers itself")
    tokens = torch.randint(0, 50, (5, 9))
    ours = transformer.hidden_states(model, tokens)
    torch.testing.assert_close(ours, model.model(tokens).last_hidden_state, rtol=1e-4, atol=1e-5)


def test_sampled_logprobs_are_those_of_a_plain_forward_pass(model):
    given = prompts(24)
    for prompt, made in zip(given, engine.generate(model, requests(given, temperature=0.7), [END], 0), strict=True):
        np.testing.assert_allclose(made.logprobs, reference_logprobs(model, prompt, made.tokens, 0.7), atol=2e-5)


def test_greedy_tokens_equal_those_of_generate(model):
    for prompt in prompts(6):
        made = engine.generate(model, requests([prompt], temperature=0.0), [END], 0)[0]
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
    together = engine.generate(model, given, [END], 0)
    backwards = engine.generate(model, given[::-1], [END], 0)[::-1]
    for request, a, b in zip(given, together, backwards, strict=True):
        alone = engine.generate(model, [request], [END], 0)[0]
        assert a.tokens.tolist() == b.tokens.tolist() == alone.tokens.tolist()


def test_rows_stop_at_the_end_token_or_at_their_own_limit(model):
    given = [engine.Request(p, i, 1 + i % 5, 1.0) for i, p in enumerate(prompts(40))]
    for request, made in zip(given, engine.generate(model, given, [END], 0), strict=True):
        assert END not in made.tokens[:-1].tolist()
        assert made.ended == (made.tokens[-1] == END)
        assert made.ended or len(made.tokens) == request.max_tokens


def test_a_generation_longer_than_its_cache_goes_on(model):
    prompt = prompts(1)[0]
    made = engine.generate(model, [engine.Request(prompt, 0, 3 * engine.GROWTH, 1.0)], [], 0)[0]
    assert len(made.tokens) == 3 * engine.GROWTH
    np.testing.assert_allclose(made.logprobs, reference_logprobs(model, prompt, made.tokens), atol=5e-5)


def test_no_tokens_asked_for_gives_none(model):
    assert len(engine.generate(model, [engine.Request(prompts(1)[0], 0, 0, 1.0)], [END], 0)[0].tokens) == 0


def test_an_empty_prompt_is_refused(model):
    with pytest.raises(ValueError, match="no tokens"):
        engine.generate(model, [engine.Request(np.zeros(0, np.int32), 0, 4, 1.0)], [END], 0)


def test_sampling_inverts_the_distribution_exactly():
    """On a grid of 10,000 numbers u each token must come up in proportion to its probability, to one grid point."""
    probabilities = torch.tensor([0.1, 0.0, 0.55, 0.35])
    u = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    logits = probabilities.log().expand(10_000, 4)
    token, logprob = engine.sample(logits, torch.ones(10_000), u)
    counts = torch.bincount(token, minlength=4) / 10_000
    torch.testing.assert_close(counts, probabilities, atol=1.01e-4, rtol=0)
    torch.testing.assert_close(logprob, probabilities.log()[token])


def test_temperature_sharpens_and_zero_takes_the_likeliest():
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    token, logprob = engine.sample(logits, torch.tensor([0.0]), torch.tensor([0.999], dtype=torch.float64))
    assert token.item() == 1 and logprob.item() == pytest.approx(float(logits.log_softmax(-1)[0, 1]))
    for u in (0.0, 0.5, 0.999999):
        token, logprob = engine.sample(logits, torch.tensor([0.5]), torch.tensor([u], dtype=torch.float64))
        assert logprob.item() == pytest.approx(float((logits / 0.5).log_softmax(-1)[0, token.item()]))


def test_buckets_hold_prompts_of_like_length():
    lengths = [3, 500, 4, 480, 5, 90]
    found = engine.buckets(lengths)
    assert sorted(i for b in found for i in b) == list(range(6))
    assert all(max(lengths[i] for i in b) - min(lengths[i] for i in b) <= engine.MAX_SPREAD for b in found)
    assert len(engine.buckets([8] * (engine.MAX_ROWS + 1))) == 2
