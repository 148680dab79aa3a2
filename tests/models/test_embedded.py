"""The embedded student's tokenizer and size."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from sharpen.core import Arm, Task, TaskSource, UserError
from sharpen.models import embedded


def question(text: str, family: str) -> Task:
    return Task(({"role": "user", "content": text},), "0", family, 1)


def source() -> TaskSource:
    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        if arm.family == "sum":
            return question(f"Work out the sum: {index % 90 + 10} + {index % 7} =", "sum")
        animal = ("ants", "bees", "cats")[index % 3]
        return question(f"How many legs have {index % 9 + 1} {animal}, {index % 5} dogs?\n", "legs")

    return TaskSource("two families", (Arm("legs", 1), Arm("sum", 1)), draw)


TOKENIZER = embedded.build_tokenizer(embedded.fixed_phrases(embedded.example_tasks(source())))


def test_templates_are_one_token_and_digits_are_single():
    pieces = [TOKENIZER.decode([i]) for i in TOKENIZER("Work out the sum: 57 + 3 =", add_special_tokens=False)["input_ids"]]
    assert pieces == ["Work out the sum: ", "5", "7", " + ", "3", " ="]


def test_words_of_a_closed_vocabulary_are_one_token_but_never_inside_another_word():
    def pieces(text: str) -> list[str]:
        return [TOKENIZER.decode([i]) for i in TOKENIZER(text, add_special_tokens=False)["input_ids"]]

    assert pieces("4 cats, ") == ["4", " cats", ", "]
    assert pieces("wildcats") == list("wildcats")


@given(st.text())
def test_any_text_survives_the_round_trip(text):
    assert TOKENIZER.decode(TOKENIZER(text, add_special_tokens=False)["input_ids"]) == text


def test_size_and_seed():
    model, tokenizer = embedded.build("tiny", source(), 0)
    assert 2e6 <= sum(p.numel() for p in model.parameters()) <= 5e6
    again, other = embedded.build("tiny", source(), 0)[0], embedded.build("tiny", source(), 1)[0]
    first = [next(iter(m.parameters())).flatten()[0].item() for m in (model, again, other)]
    assert first[0] == first[1] != first[2]
    assert tokenizer.eos_token == "<|end|>" and tokenizer.pad_token == "<|pad|>"


def test_unknown_student_names_the_known_ones():
    with pytest.raises(UserError, match="tiny"):
        embedded.build("tinny", source(), 0)


def test_the_layout_is_what_tokenizers_itself_would_write():
    core = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_tokens([AddedToken(t, normalized=False, special=t.startswith("<|")) for t in embedded.SPECIAL])
    core.add_tokens([AddedToken(p, normalized=False) for p in embedded.fixed_phrases(embedded.example_tasks(source()))])
    ours, theirs = (json.loads(t.to_str()) for t in (TOKENIZER.backend_tokenizer, core))
    for part in ("added_tokens", "normalizer", "pre_tokenizer", "decoder", "model"):
        assert ours[part] == theirs[part]
