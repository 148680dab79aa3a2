"""The step in C is the step in torch, for every model and batch that it takes, and is left out where it cannot be had."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

import prefork
from sharpen.core import Sampling
from sharpen.models import adapters
from sharpen.models.engine import decode_step, generate, native, transformer
from sharpen.models.engine.cache import Cache
from sharpen.models.engine.sampling import logprobs

needs_compiler = pytest.mark.skipif(native.library() is None, reason="no C compiler here")
SMALL = dict(vocab_size=50, num_hidden_layers=2, hidden_size=64, num_attention_heads=4, intermediate_size=96, pad_token_id=0)
MODELS = {
    "llama": LlamaConfig(**SMALL, num_key_value_heads=4),
    "tied": LlamaConfig(**SMALL, num_key_value_heads=4, tie_word_embeddings=True),
    "grouped": LlamaConfig(**SMALL, num_key_value_heads=2),
    "long rope": LlamaConfig(
        **SMALL, num_key_value_heads=1, rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
    ),
    "mistral": MistralConfig(**SMALL, num_key_value_heads=2, sliding_window=None),
    "biased": Qwen2Config(**SMALL, num_key_value_heads=2),
    "heads normed": Qwen3Config(**SMALL, num_key_value_heads=2, head_dim=32),
    "wide heads": LlamaConfig(**{**SMALL, "hidden_size": 128, "num_attention_heads": 2}, num_key_value_heads=2),
}


def make(name="llama", **changes):
    torch.manual_seed(0)
    config = copy.deepcopy(MODELS[name])
    config.update(changes)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms are born as zeros and ones
            parameter.add_(0.1 * torch.randn_like(parameter))
    transformer.fuse(model)
    return model


def prompts(*lengths):
    rng = np.random.default_rng(0)
    return [rng.integers(1, 50, n).astype(np.int32) for n in lengths]


def both(model, asked, rows):
    """The same rows in a cache for each of the two steps."""
    packed = decode_step.pack(model)
    assert packed is not None
    return Cache(model, asked, rows), Cache(model, asked, rows, packed=packed)


@needs_compiler
@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_logits_are_those_of_the_other_step(name):
    """Prompts of one token and of blocks of others, rows that leave, and more tokens than a cache has room for at first."""
    model = make(name)
    asked = prompts(1, 3, 3, 40, 90, 91)
    plain, fast = both(model, asked, [0, 0, 1, 2, 2, 2, 3, 4, 5, 5])
    rng = np.random.default_rng(1)
    for step in range(40):
        tokens = torch.from_numpy(rng.integers(1, 50, len(plain.positions)))
        expected, found = plain.extend(model, tokens), fast.extend(model, tokens)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
        for cache in (plain, fast):
            if step in (3, 20):
                cache.keep(torch.tensor([0, 2, 3, 5, 6, 7, 8] if step == 3 else [1, 2, 6]))
    assert len(plain.positions) == 3 and plain.used == 40
    for a, b in zip([*plain.k, *plain.v], [*fast.k, *fast.v], strict=True):
        torch.testing.assert_close(a[:, :, :40], b[:, :, :40], rtol=1e-4, atol=1e-4)


@needs_compiler
@torch.inference_mode()
def test_a_row_does_not_depend_on_the_others_by_a_bit():
    model, asked = make(), prompts(5, 9, 30)
    rows = [i for i in range(3) for _ in range(23)]
    packed = decode_step.pack(model)
    many, few = Cache(model, asked, rows, packed=packed), Cache(model, asked, rows, packed=packed)
    kept = torch.tensor([1, 30, 31, 68])
    few.keep(kept)
    for token in (3, 8, 2):
        whole = many.extend(model, torch.arange(69) % 40 + token).clone()
        part = few.extend(model, (torch.arange(69) % 40 + token)[kept])
        assert torch.equal(whole[kept], part)


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_generations_are_the_same_in_any_number_of_threads(threads):
    model, before = make(), torch.get_num_threads()
    hot, cold = Sampling(temperature=1.3, top_k=20), Sampling(temperature=0.0)
    requests = [generate.Request(p, i, 12 + i % 5, (hot, cold)[i % 2]) for i, p in enumerate(prompts(4, 4, 7, 20) * 3)]
    torch.set_num_threads(threads)
    try:
        fast = generate.generate(model, requests, [7], 0)
        plain = generate.generate(model, requests, [7], 0, compile=False)
    finally:
        torch.set_num_threads(before)
    for a, b in zip(fast, plain, strict=True):
        assert a.stop == b.stop and a.tokens.tolist() == b.tokens.tolist()
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-5)


def halved(name="wide heads", **changes):
    """A model in bfloat16 and its weights for the compiled step, which is made whatever the processor is fast at."""
    model = make(name, **changes).bfloat16()
    transformer.fuse(model)
    return model, decode_step.Packed(model, native.library(), model.model.layers[0].self_attn.head_dim)


@needs_compiler
@pytest.mark.parametrize("name", ["wide heads", "heads normed"])
@torch.inference_mode()
def test_in_bfloat16_logits_are_nearer_to_float32_than_those_of_torch(name):
    model, packed = halved(name)
    exact, asked, rows = copy.deepcopy(model).float(), prompts(1, 3, 40), [0, 0, 1, 2, 2]
    caches = Cache(exact, asked, rows), Cache(model, asked, rows), Cache(model, asked, rows, packed=packed)
    errors = np.zeros(2)
    for step in range(12):
        tokens = torch.arange(5) + step
        expected, plain, fast = (c.extend(m, tokens) for c, m in zip(caches, (exact, model, model), strict=True))
        errors += [float((plain - expected).abs().mean()), float((fast - expected).abs().mean())]
    assert errors[1] < errors[0] < 12 * 0.05 * float(expected.std())


@needs_compiler
@torch.inference_mode()
def test_in_bfloat16_too_a_row_does_not_depend_on_the_others_by_a_bit():
    (model, packed), asked, rows = halved(), prompts(5, 9), [0] * 40 + [1] * 30
    many, few = Cache(model, asked, rows, packed=packed), Cache(model, asked, rows, packed=packed)
    kept = torch.tensor([1, 39, 68])
    few.keep(kept)
    whole = many.extend(model, torch.arange(70) % 40).clone()
    assert torch.equal(whole[kept], few.extend(model, (torch.arange(70) % 40)[kept]))


@needs_compiler
@torch.inference_mode()
def test_an_adapter_is_merged_into_the_packed_weights():
    pytest.importorskip("peft")
    model = adapters.inject(make("wide heads"), 4)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.1)
    plain = make("wide heads")
    plain.load_state_dict(adapters.merged(model, dict(model.named_parameters())), strict=False)
    model, plain = model.bfloat16(), plain.bfloat16()
    logits = []
    for one in (model, plain):
        cache = Cache(plain, prompts(5), [0], packed=decode_step.Packed(one, native.library(), 64))
        logits.append(cache.extend(plain, torch.tensor([7])).clone())
    assert decode_step._plain(model, adapted=True) and not decode_step._plain(model, adapted=False)
    torch.testing.assert_close(*logits, rtol=0, atol=0.02 * float(logits[1].abs().max()))


@needs_compiler
def test_packed_weights_are_kept_until_somebody_says_that_they_changed():
    model, kept = make(), decode_step.Kept()
    first = kept.of(model)
    assert first is not None and kept.of(model) is first
    kept.forget()
    assert kept.of(model) is not first


@needs_compiler
def test_calls_are_counted_and_nothing_is_left_of_that():
    model, seen = make(), {}
    request = generate.Request(prompts(6)[0], 3, 5, Sampling(temperature=0.0))
    with native.observed(seen):
        (counted,) = generate.generate(model, [request], [999], 0)
    (plain,) = generate.generate(model, [request], [999], 0)
    assert counted.tokens.tolist() == plain.tokens.tolist() and seen["step"].calls == 4
    # Two operations a weight: 2 layers of 64 x (4 x 64 for attention + 3 x 96), and the vocabulary in whole panels.
    outputs = 50 + -50 % native.library().panel()
    assert seen["step"].flops == 4 * 2 * (2 * 64 * (4 * 64 + 3 * 96) + 64 * outputs)
    with native.left_out():
        assert native.library() is None and decode_step.pack(model) is None
    assert native.library() is not None


@needs_compiler
def test_log_probabilities_are_those_of_the_models_own_forward_pass():
    model = make("heads normed")
    request = generate.Request(prompts(6)[0], 3, 30)
    (made,) = generate.generate(model, [request], [999], 0)
    ids = torch.from_numpy(np.concatenate([request.prompt, made.tokens]).astype(np.int64))[None]
    with torch.no_grad():
        logp = logprobs(model(input_ids=ids).logits[0, 5:-1], request.sampling)
    np.testing.assert_allclose(made.logprobs, logp.gather(1, ids[0, 6:, None])[:, 0].numpy(), atol=2e-5)


@needs_compiler
def test_what_was_learnt_is_seen_by_the_next_generation():
    model = make()
    request = generate.Request(prompts(6)[0], 3, 8, Sampling(temperature=0.0))
    (before,) = generate.generate(model, [request], [999], 0)
    with torch.no_grad():
        model.lm_head.weight[17] = 100 * model.lm_head.weight[int(before.tokens[0])]
    (after,) = generate.generate(model, [request], [999], 0)
    assert 17 in after.tokens and 17 not in before.tokens


@needs_compiler
def test_models_that_it_cannot_take_are_left_to_the_other_step():
    for model in (
        make("llama", attention_bias=True),  # of the output projection too
        make("llama", attention_bias=False, head_dim=20),
        make("llama", head_dim=16, hidden_act="gelu"),
        make("llama", hidden_act="silu").bfloat16(),
    ):
        assert decode_step.pack(model) is None
        request = replace(generate.Request(prompts(6)[0], 3, 4), sampling=Sampling(temperature=0.0))
        assert len(generate.generate(model, [request], [999], 0)[0].tokens) == 4
    wrapped = make("tied")
    wrapped.model.layers[0].mlp.down_proj = torch.nn.Sequential(wrapped.model.layers[0].mlp.down_proj)
    assert decode_step.pack(wrapped) is None


def test_without_a_compiler_or_a_place_to_keep_it_there_is_no_compiled_step(tmp_path):
    file = tmp_path / "file"
    file.touch()
    script = tmp_path / "script.py"
    script.write_text("from sharpen.models.engine import native; print(native.library())")
    for changed in ({"PATH": "/nowhere"}, {"XDG_CACHE_HOME": str(file)}):
        assert prefork.run(script, **changed) == "None\n"


@needs_compiler
def test_the_library_is_made_once_and_for_this_user_alone(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from sharpen.models.engine import native; print(native.library().panel())")
    times = []
    for _ in range(2):
        assert int(prefork.run(script, XDG_CACHE_HOME=str(tmp_path / "cache"))) in (16, 32)
        (made,) = (tmp_path / "cache" / "sharpen").iterdir()
        times.append(made.stat().st_mtime_ns)
    assert times[0] == times[1] and (tmp_path / "cache" / "sharpen").stat().st_mode & 0o077 == 0
