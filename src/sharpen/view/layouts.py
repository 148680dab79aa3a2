"""The layouts of pages/, filled and escaped."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jinja2

from sharpen.core import OUTCOMES
from sharpen.report import page
from sharpen.view import deciding, reading, searching

ENVIRONMENT = page.environment(
    jinja2.FunctionLoader(lambda name: files("sharpen.view").joinpath("pages", name).read_text("utf-8"))
)
ENVIRONMENT.filters |= {"ago": reading.ago, "clock": reading.clock, "when": deciding.when}
ENVIRONMENT.globals |= {"outcomes": (*OUTCOMES, "not correct"), "purposes": searching.PURPOSES, "kinds": tuple(searching.KINDS)}


def render(name: str, **values: Any) -> str:
    return ENVIRONMENT.get_template(name).render(**values)
