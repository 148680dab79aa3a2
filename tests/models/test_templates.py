"""Chat templates as they are: with and without a place for system messages and tools, each with its own end of a turn."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from sharpen.core import GREEDY, Ask, TaskSource, UserError, flat
from sharpen.models import LocalPolicy, embedded, load_model, templates
from sharpen.models.loading import end_ids

NOWHERE = TaskSource("none", (), lambda arm, split, index, seed: None)
# In the manner of ChatML, of Gemma, of one that leaves the system message out, and of one with tools.
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('must alternate') }}"
    "{% endif %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else 'user' }}\n{{ m['content'] | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
FORGETFUL = "{% for m in messages if m['role'] != 'system' %}[{{ m['content'] }}]{% endfor %}"
WITH_TOOLS = "{% if tools %}{% for t in tools %}<tool>{{ t['function']['name'] }}</tool>{% endfor %}{% endif %}" + CHATML
MARKS = ["<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>"]
SYSTEM, USER = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}
TOOLS = [{"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}]


def tokenizer(template: str) -> PreTrainedTokenizerFast:
    made = embedded.build_tokenizer([])
    made.add_special_tokens({"additional_special_tokens": MARKS})
    made.chat_template = template
    return made


def local(template: str) -> LocalPolicy:
    """A model whose tokenizer calls another token its end than its template writes, as Gemma's does."""
    model, _ = embedded.build("micro", NOWHERE, 0)
    made = tokenizer(template)
    model.resize_token_embeddings(len(made))
    return LocalPolicy(model, made, "fp32")


@pytest.mark.parametrize(
    ("template", "mark"), [(CHATML, "<|im_end|>"), (GEMMA, "<end_of_turn>"), (embedded.CHAT_TEMPLATE, "<|end|>")]
)
def test_a_forced_answer_ends_as_the_template_ends_a_turn_and_that_mark_ends_generation(template, mark):
    policy = local(template)
    end = policy.tokenizer.convert_tokens_to_ids(mark)
    (told,) = policy.respond([Ask((USER,), answer="42")], [0], 0, GREEDY)
    assert told.tokens[-1] == end and told.text == "42"
    whole = policy.tokenizer.apply_chat_template([USER, {"role": "assistant", "content": "42"}], tokenize=False).rstrip("\n")
    assert np.array_equal(told.tokens, policy.encode(whole))  # what is learnt is what the template would write
    assert end in policy.end_ids and policy.tokenizer.eos_token_id in policy.end_ids
    with torch.no_grad():  # a model that says nothing but the mark: the same logits everywhere
        for parameter in policy.model.parameters():
            parameter.zero_()
    heads = policy.model.get_output_embeddings().weight
    policy.model.model.norm.weight.data.fill_(1.0)
    policy.model.get_input_embeddings().weight.data[:] = 1.0
    with torch.no_grad():
        heads[end] = 2.0
    (turn,) = policy.respond([Ask((USER,))], [0], 8, GREEDY)
    assert turn.stop == "end" and turn.tokens[-1] == end and turn.text == ""


def test_what_is_saved_names_every_mark_that_ends_a_turn(tmp_path):
    policy = local(GEMMA)
    policy.save(str(tmp_path))
    told = json.loads((tmp_path / "generation_config.json").read_text())
    assert told["eos_token_id"] == policy.end_ids and len(policy.end_ids) == 2
    assert end_ids(*load_model(tmp_path)) == policy.end_ids


def test_the_next_turn_goes_on_behind_the_mark():
    policy = local(GEMMA)
    (first,) = policy.respond([Ask((USER,), answer="42")], [0], 0, GREEDY)
    (second,) = policy.respond([Ask((USER,), after=first, answer="43")], [0], 0, GREEDY)
    said = [USER, {"role": "assistant", "content": "42"}, USER, {"role": "assistant", "content": "43"}]
    assert policy.tokenizer.decode(second.tokens) == policy.tokenizer.apply_chat_template(said, tokenize=False).rstrip("\n")


def test_a_template_without_a_mark_of_its_own_ends_with_the_tokenizers():
    made = tokenizer("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}")
    assert templates.turn_end(made) is None
    model, _ = embedded.build("micro", NOWHERE, 0)
    assert end_ids(model, made) == [made.eos_token_id]


def test_a_system_message_reaches_the_model_whatever_the_template_thinks_of_it():
    assert templates.takes_system(tokenizer(CHATML))
    assert templates.render(tokenizer(CHATML), [SYSTEM, USER], True).startswith("<|im_start|>system\nBe brief.<|im_end|>")
    for template in (GEMMA, FORGETFUL):
        assert not templates.takes_system(tokenizer(template))
        assert "Be brief.\n\nHi" in templates.render(tokenizer(template), [SYSTEM, USER], True)


def test_tools_reach_the_model_by_the_template_or_in_words():
    shown = templates.render(tokenizer(WITH_TOOLS), [USER], True, TOOLS)
    assert "<tool>clock</tool>" in shown and "tool_call" not in shown
    for template in (CHATML, GEMMA):
        words = templates.render(tokenizer(template), [SYSTEM, USER], True, TOOLS)
        assert '"clock"' in words and "<tool_call>" in words and "Be brief." in words
    asked = local(WITH_TOOLS)
    (turn,) = asked.respond([Ask((USER,), answer="x", tools=tuple(TOOLS))], [0], 0, GREEDY)
    assert "<tool>clock</tool>" in asked.tokenizer.decode(turn.tokens)


def test_a_conversation_that_the_template_refuses_is_a_message():
    with pytest.raises(UserError, match="must alternate.*user, user"):
        templates.render(tokenizer(GEMMA), [USER, USER], True)


def test_parts_of_text_are_joined_and_others_refused():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert flat({"role": "user", "content": parts}) == {"role": "user", "content": "ab"}
    assert "ab" in templates.render(tokenizer(CHATML), [{"role": "user", "content": parts}], True)
    for part in ({"type": "image_url", "image_url": {"url": "x"}}, {"type": "text"}, 5):
        with pytest.raises(UserError, match="only text"):
            flat({"role": "user", "content": [*parts, part]})


@pytest.mark.parametrize(
    "template", ["{{ 1 // 0 }}", "{% for i in range(1000000000) %}{{ i }}{% endfor %}", "{{ 'a' * -messages }}"]
)
def test_whatever_a_template_raises_is_a_message(template):
    with pytest.raises(UserError, match="refuses a conversation"):
        templates.render(tokenizer(template), [USER], True)
