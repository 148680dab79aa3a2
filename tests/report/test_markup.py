"""Escaping, beside markupsafe's, which jinja2 uses."""

import html

import jinja2
import markupsafe
from hypothesis import given
from hypothesis import strategies as st

from sharpen.report.markup import Markup

EVIL = "<script a=\"1\" b='2'>&amp;{0}</script>"


def same(ours: str, theirs: markupsafe.Markup) -> None:
    """The two name quotation marks differently, and a browser reads the same."""
    assert ours.replace("&#x27;", "&#39;").replace("&quot;", "&#34;") == theirs


@given(st.text(), st.text())
def test_what_is_put_into_markup_is_escaped_once(one: str, other: str) -> None:
    shape, joint = "<p title='{0}'>{1}{a:>3}</p>", "<b>"
    same(Markup(shape).format(one, other, a=one), markupsafe.Markup(shape).format(one, other, a=one))
    parts = [one, Markup("<i>"), other]
    same(Markup(joint).join(parts), markupsafe.Markup(joint).join(parts))


def test_by_hand() -> None:
    assert Markup("<b {}>{:.1f}{}</b>").format("\"'", 1.25, Markup("<i>")) == "<b &quot;&#x27;>1.2<i></b>"
    assert Markup("<br>").join(["a<b", Markup("<i>"), "&"]) == "a&lt;b<br><i><br>&amp;"


def test_jinja_leaves_markup_and_escapes_what_was_forgotten() -> None:
    def show(value: str) -> str:
        return jinja2.Environment(autoescape=True).from_string("{{ value }}").render(value=value)

    assert show(Markup("<b>{}</b>").format(EVIL)) == f"<b>{html.escape(EVIL)}</b>"
    assert "<" not in show(EVIL)
    for forgotten in (Markup("<b>") + EVIL, EVIL + Markup("<b>"), Markup("<b>").upper(), Markup("<b>%s") % EVIL):
        assert "<" not in show(forgotten)
