"""A chat template that never ends, or takes all memory, is refused before anything is asked; those that people use are not."""

from __future__ import annotations

import pytest
import zoo
from test_templates import CHATML, FORGETFUL, GEMMA, SYSTEM, TOOLS, USER, WITH_TOOLS, tokenizer

from sharpen.core import UserError
from sharpen.models import embedded, load_tokenizer, rendering

LOOPS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
TURNS = "{% for m in messages %}<|{{ m.role }}|>{% generation %}{{ m.content }}{% endgeneration %}<|end|>{% endfor %}"
MARKS = (("bos_token", "<s>"),)


@pytest.mark.parametrize(
    "template",
    [
        LOOPS,
        "{% if messages|length > 8 %}" + LOOPS + "{% endif %}?",
        "{% if messages[0].content|length > 1000 %}" + LOOPS + "{% endif %}?",
        "{% if tools %}" + LOOPS + "{% endif %}?",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(90) }}",
        "{{ lipsum(n=10000000) }}",
    ],
)
def test_a_template_that_does_not_end(template):
    assert "does not end" in rendering.fault((CHATML, template), MARKS, seconds=1.0)


@pytest.mark.parametrize("template", ["{{ 'x' * 10**10 }}", "{% set n = 10 %}{{ 'x' * n ** 10 }}", "{{ 'x'|center(10**10) }}"])
def test_a_template_that_takes_all_memory(template):
    assert "needs more than 1024 MiB" in rendering.fault((template,), MARKS)


def test_a_template_that_writes_more_than_was_said():
    assert "writes 20,000,000 characters" in rendering.fault(("{{ 'x' * 20000000 }}",), MARKS)


@pytest.mark.parametrize("template", [CHATML, GEMMA, FORGETFUL, WITH_TOOLS, TURNS, embedded.CHAT_TEMPLATE])
def test_templates_as_people_have_them_are_rendered_as_transformers_does(template):
    made = tokenizer(template)
    assert rendering.fault(*rendering.of(made)) == ""
    for said, told in (([USER], {"add_generation_prompt": True}), ([USER], {"tools": TOOLS}), ([SYSTEM, USER], {})):
        if said[0] is SYSTEM and template is GEMMA:
            continue
        given = {**dict(rendering.of(made)[1]), "messages": said, "documents": None, "tools": None, **told}
        assert rendering.compiled(template).render(**given) == made.apply_chat_template(said, tokenize=False, **told)


@pytest.mark.parametrize("template", ["{% for", "{{ 1 // 0 }}", "{{ raise_exception('no') }}", "{{ messages[9].content.x }}"])
def test_what_a_template_raises_is_left_to_the_real_rendering(template):
    assert rendering.fault((template,), MARKS) == ""


def test_of_several_templates_each_is_tried(monkeypatch):
    made = tokenizer(CHATML)
    made.chat_template = {"default": CHATML, "tool_use": "{{ 'x' * 10**10 }}"}
    assert "needs more" in rendering.fault(*rendering.of(made))


def test_a_directory_with_such_a_template_is_refused_with_the_file_and_the_cure(tmp_path):
    path = zoo.directory(tmp_path / "model")
    (path / "chat_template.jinja").write_text("{{ 'x' * 10**10 }}")
    with pytest.raises(UserError, match=r"chat_template.jinja: the chat template needs more .* Put the chat_template.jinja of"):
        load_tokenizer(path)
