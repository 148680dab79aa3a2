"""What a user asked for: all that is needed to build the same run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TUPLES = ("settings", "argv", "roles", "engines")  # what JSON makes lists of


@dataclass(frozen=True)
class Request:
    """What a user asked for.

    roles     NAME=WHO
    engines   addresses of servers that generate; none: this process does
    ahead     steps of rollouts that are generated before they are learnt from
    shard     "fsdp": learning is shared by the processes of a torchrun job
    publish   where weights go for them; None: into the run
    workers   machines for verdicts, programs and environments; "": this one
    commit_s  seconds between two commits within a round
    as_control  name of a control of the recipe, run in its place (recipes/controls.py)
    """

    recipe: str = "quickstart"
    settings: tuple[str, ...] = ()
    seed: int = 0
    budget: str | None = None
    model: str | None = None
    tasks: str | None = None
    directory: Path = Path("runs/run")
    argv: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    publish: str | None = None
    shard: str = ""
    ahead: int = 0
    workers: str = ""
    commit_s: float = 120.0
    as_control: str = ""


def recalled(asked: Mapping[str, Any]) -> Request:
    """The request that a run's meta holds; what it does not name is as it was before there was such a thing."""
    found: dict[str, Any] = {name: tuple(value) if name in TUPLES else value for name, value in asked.items()}
    return Request(**found)
