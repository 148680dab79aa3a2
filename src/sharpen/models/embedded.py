"""The embedded student: a 2–3 M parameter Llama with a tokenizer fitted to its tasks, built in seconds, nothing downloaded.

1. Every byte is a token, so any text can be written; digits are single tokens.
2. What all questions of a family share (the words before and after the varying part) is one token each, and so are the
   usual separators, each word of a family with a closed vocabulary, and the words that programs are made of. Prompts become
   a third as long, and the model reads the digits and letters alone.
3. It is a plain transformers model and tokenizer: `AutoModelForCausalLM.from_pretrained` loads a saved student.
"""

from __future__ import annotations

import json
import os.path
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sharpen.core import Task, TaskSource, UserError, suggest
from sharpen.hashing import derive
from sharpen.models.gguf import PACKAGES

STUDENTS: Mapping[str, Mapping[str, int]] = {
    "micro": dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=160),
    "tiny": dict(hidden_size=256, num_hidden_layers=3, num_attention_heads=8, intermediate_size=688),
    "small": dict(hidden_size=256, num_hidden_layers=5, num_attention_heads=8, intermediate_size=688),
}
# How a byte-level tokenizer writes the 256 bytes: the printable ones of Latin-1 as themselves, the others from U+0100 on.
BYTES = tuple(map(chr, (*range(33, 127), *range(161, 173), *range(174, 324))))
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<answer>", "</answer>")
CHAT_TEMPLATE = (
    "{%- for message in messages -%}<|{{ message['role'] }}|>{{ message['content'] }}"
    "{%- if message['role'] == 'assistant' -%}<|end|>{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
CLOSED_VOCABULARY = 80  # a family with at most so many distinct words gets a token for each
EXAMPLES = 64  # questions of each arm that the tokenizer is fitted to


def build(name: str, source: TaskSource, seed: int, said: Sequence[str] = ()) -> tuple[Any, Any]:
    """(model, tokenizer) of an embedded student with random weights. Raises UserError for an unknown name.

    said  what it is told again and again beside its tasks, each a token
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    if name not in STUDENTS:
        known = ", ".join(STUDENTS)
        raise UserError(
            f"no student {name!r}: it is no directory, .gguf file, package ({', '.join(PACKAGES)}) or embedded student "
            f"({known}).{suggest(name, (*STUDENTS, *PACKAGES))}"
        )
    tokenizer = build_tokenizer([*fixed_phrases(example_tasks(source)), *said])
    shape = STUDENTS[name]
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        num_key_value_heads=shape["num_attention_heads"],
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        initializer_range=0.05,  # the usual 0.02 starves a narrow model with tied embeddings
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        **shape,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "student", name))
        model = LlamaForCausalLM(config)
    return model.float().eval(), tokenizer


def is_own(tokenizer: Any) -> bool:
    """Whether a tokenizer is that of an embedded student, wherever it was saved."""
    return getattr(tokenizer, "chat_template", None) == CHAT_TEMPLATE


def example_tasks(source: TaskSource) -> list[Task]:
    """Training questions of every arm; the same for every seed, so that every run's student has the same vocabulary."""
    tasks = []
    for arm in source.arms:
        size = source.size(arm, "train")
        tasks += [source.draw(arm, "train", i, 0) for i in range(EXAMPLES if size is None else min(EXAMPLES, size))]
    return tasks


def fixed_phrases(tasks: Sequence[Task]) -> list[str]:
    """The phrases that deserve a token: shared beginnings and ends of a family's questions, separators, closed vocabularies,
    and, where answers are programs, their words."""
    questions: dict[str, list[str]] = {}
    answers: dict[str, list[str]] = {}
    for task in tasks:
        if isinstance(task.prompt[-1]["content"], str):
            questions.setdefault(task.family, []).append(task.prompt[-1]["content"])
            answers.setdefault(task.family, []).append(task.solution or task.answer or "")
    in_code = {task.family for task in tasks if task.verifier == "code_io"}
    phrases: set[str] = set()
    for family, texts in questions.items():
        if len(set(texts)) < 8:  # too few to tell what varies
            continue
        start = re.sub(r"[\w]*$", "", os.path.commonprefix(texts))
        end = re.sub(r"[\w]*$", "", os.path.commonprefix([t[len(start) :][::-1] for t in texts]))[::-1]
        varying = [t[len(start) : len(t) - len(end)] for t in texts]
        # With its leading space a word cannot match inside a longer one that has to be spelt.
        words = {w for t in varying for w in re.findall(r"(?: [A-Za-z]{3,})+", t)}
        marks = Counter(m for t in varying + answers[family] for m in set(re.findall(r"[^A-Za-z0-9<>]{2,4}", t)))
        phrases |= {start, end, *(m for m, n in marks.items() if n >= len(texts) / 20)}
        if family in in_code:  # words with what follows them: a program's mostly end in a bracket
            pieces = Counter(p for t in varying + answers[family] for p in set(re.findall(r"[A-Za-z]{2,}[^\w\n]*", t)))
            phrases |= {p for p, n in pieces.items() if n >= len(texts) / 50}
        elif len(words) <= CLOSED_VOCABULARY:
            phrases |= words
    return sorted(p for p in phrases if len(p) > 1 and p.isascii())


def build_tokenizer(phrases: Sequence[str]) -> Any:
    """A byte-level tokenizer with one token for each special mark and phrase."""
    from transformers import PreTrainedTokenizerFast

    tokens = enumerate(dict.fromkeys((*SPECIAL, *phrases)), start=len(BYTES))
    exact = dict(single_word=False, lstrip=False, rstrip=False, normalized=False)
    layout = dict(
        version="1.0",
        added_tokens=[dict(id=i, content=t, special=t.startswith("<|"), **exact) for i, t in tokens],
        pre_tokenizer=dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=False),
        decoder=dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True),
        model=dict(type="BPE", vocab={symbol: i for i, symbol in enumerate(BYTES)}, merges=[]),
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "tokenizer.json")
        file.write_text(json.dumps(layout), encoding="utf-8")
        return PreTrainedTokenizerFast(
            tokenizer_file=str(file),
            pad_token="<|pad|>",
            eos_token="<|end|>",
            chat_template=CHAT_TEMPLATE,
            clean_up_tokenization_spaces=False,
            model_max_length=1024,
        )
