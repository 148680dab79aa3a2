"""Options of `sharpen run` that take a sentence to declare."""

from __future__ import annotations

from typing import Annotated

import typer

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe; `sharpen show RECIPE` lists the keys."),
]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="NAME=WHO", help="Another model: a directory, student, http://…#model, module:function."),
]
Control = Annotated[
    str,
    typer.Option(metavar="NAME", help="Run a control of the recipe instead: untrained, solutions, even, shuffled or prompt."),
]
