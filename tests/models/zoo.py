"""Tiny models of many architectures, with random weights, and directories as people have them.

`ARCHITECTURES` names a causal LM by its `model_type`, with what its configuration needs beside `SIZES`. Every size is given in
the words that the architectures use for it, and a configuration takes those that it knows. One tokenizer serves all.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import torch

WORDS = 300  # of the tokenizer; the embedding has a few rows more, as those of real models have
MARKS = ("<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>")
TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' if m['role'] != 'system' else '' }}{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SIZES = dict(
    vocab_size=320,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=256,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
)
EXPERTS = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16)
LATENT = dict(kv_lora_rank=8, q_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8, num_key_value_heads=4)
DEEPSEEK = dict(n_routed_experts=4, n_shared_experts=1, first_k_dense_replace=1, n_group=2, topk_group=1, num_experts_per_tok=2)
DEEPSEEK |= dict(moe_intermediate_size=16)
MAMBA = dict(mamba_n_heads=8, mamba_d_head=8, mamba_d_state=8, mamba_chunk_size=16, mamba_n_groups=1, mamba_expand=2)

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": dict(sliding_window=None),
    "qwen2": {},
    "qwen3": {},
    "gemma": {},
    "gemma2": dict(sliding_window=8, query_pre_attn_scalar=8),
    "gemma3_text": dict(sliding_window=8, query_pre_attn_scalar=8),
    "phi": {},
    "phi3": {},
    "gpt2": dict(n_inner=48),
    "gpt_neo": dict(attention_types=[[["global", "local"], 1]], window_size=8),
    "gpt_neox": {},
    "gptj": dict(rotary_dim=8),
    "gpt_bigcode": dict(n_inner=48),
    "codegen": dict(rotary_dim=8),
    "opt": dict(ffn_dim=48, word_embed_proj_dim=32),
    "bloom": {},
    "falcon": dict(alibi=False, new_decoder_architecture=True, num_kv_heads=2),
    "mpt": {},
    "stablelm": {},
    "olmo": {},
    "olmo2": {},
    "starcoder2": dict(sliding_window=None),
    "cohere": {},
    "cohere2": dict(sliding_window=8),
    "granite": {},
    "nemotron": {},
    "persimmon": {},
    "glm": {},
    "glm4": {},
    "smollm3": {},
    "exaone4": dict(sliding_window=8),
    "mixtral": dict(num_local_experts=4),
    "qwen2_moe": dict(**EXPERTS, shared_expert_intermediate_size=16),
    "qwen3_moe": EXPERTS,
    "olmoe": EXPERTS,
    "granitemoe": dict(num_local_experts=4),
    "deepseek_v2": dict(**LATENT, **DEEPSEEK, topk_method="greedy"),
    "deepseek_v3": dict(**LATENT, **DEEPSEEK),
    "glm4_moe": DEEPSEEK,
    "gpt_oss": dict(num_local_experts=4, sliding_window=8),
    "bert": dict(is_decoder=True),
    "mamba": dict(state_size=8, time_step_rank=4),
    "mamba2": dict(state_size=8, num_heads=8, head_dim=8, n_groups=1, chunk_size=16),
    "falcon_mamba": dict(state_size=8, time_step_rank=4),
    "rwkv": dict(attention_hidden_size=32, context_length=256),
    "recurrent_gemma": dict(lru_width=32, attention_window_size=8, num_hidden_layers=3, conv1d_width=4),
    "qwen3_next": dict(
        **EXPERTS,
        shared_expert_intermediate_size=16,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        layer_types=["linear_attention", "full_attention"],
    ),
    "jamba": dict(
        num_experts=2, attn_layer_period=2, attn_layer_offset=1, mamba_d_state=8, mamba_dt_rank=4, use_mamba_kernels=False
    ),
    "zamba2": dict(
        MAMBA, layers_block_type=["mamba", "hybrid"], n_mamba_heads=8, mamba_headdim=8, num_mem_blocks=1, chunk_size=16
    ),
    "bamba": dict(MAMBA, attn_layer_indices=[1]),
    "falcon_h1": dict(MAMBA, mamba_d_ssm=64),
    "granitemoehybrid": dict(MAMBA, num_local_experts=0, layer_types=["mamba", "attention"], shared_intermediate_size=48),
    "lfm2": dict(layer_types=["conv", "full_attention"]),
    "minimax": dict(num_local_experts=4, layer_types=["linear_attention", "full_attention"], block_size=16),
}


@functools.cache
def tokenizer() -> Any:
    """Bytes and a few marks, with a chat template: <|user|>…<|assistant|>…</s>."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {word: i for i, word in enumerate([*MARKS, *letters])}
    vocabulary |= {f"<extra{i}>": i for i in range(len(vocabulary), WORDS)}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    made.add_special_tokens({"additional_special_tokens": list(MARKS[3:])})
    made.chat_template = TEMPLATE
    return made


def configuration(kind: str) -> Any:
    """The configuration of a tiny model. Sizes that this kind has no name for are left out."""
    from transformers import CONFIG_MAPPING

    made = CONFIG_MAPPING[kind]
    aliases = getattr(made, "attribute_map", {})
    known = made().to_dict().keys() | aliases.keys()
    sizes = {name: value for name, value in SIZES.items() if name in known}
    return made(**(sizes | ARCHITECTURES[kind]))


def model(kind: str, seed: int = 0) -> Any:
    """A causal LM with random weights, larger than usual so that what it says depends on what it read; buffers too."""
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = AutoModelForCausalLM.from_config(configuration(kind), attn_implementation="eager").float().eval()
        for name, parameter in made.named_parameters():
            if parameter.dim() > 1 and "A_log" not in name:
                parameter.data.normal_(0, 0.2)
        for name, buffer in made.named_buffers():
            if name in made.state_dict() and buffer.is_floating_point() and "bias" in name:
                buffer.normal_(0, 0.5)
    return made


def directory(path: Path, kind: str = "llama", **changes: Any) -> Path:
    """A model's directory as `save_pretrained` writes it, then with these entries of its config.json changed."""
    model(kind).save_pretrained(path)
    tokenizer().save_pretrained(path)
    if changes:
        told = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(told | changes))
    return path
