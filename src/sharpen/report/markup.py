"""Text that is HTML already, told from text that has yet to be escaped.

Everything else that reaches a page is escaped by jinja2. What is forgotten here is escaped too, and shows as text: a mistake
is seen, and lets nothing in.
"""

from __future__ import annotations

import html
import string
from collections.abc import Iterable
from typing import Any


class Markup(str):
    """HTML. What is put into it by `format` or `join` is escaped unless it is Markup itself; jinja2 leaves it as it is.

    Every other method gives a plain string, which jinja2 escapes.
    """

    __slots__ = ()

    def __html__(self) -> Markup:
        return self

    def format(self, *args: Any, **named: Any) -> Markup:
        return Markup(_Escaping().vformat(self, args, named))

    def join(self, parts: Iterable[str]) -> Markup:
        return Markup(str.join(self, map(escape, parts)))


def escape(value: object) -> Markup:
    """As HTML that shows just this text, in quotation marks too."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


class _Escaping(string.Formatter):
    def format_field(self, value: Any, spec: str) -> str:
        return escape(value if isinstance(value, Markup) and not spec else format(value, spec))
