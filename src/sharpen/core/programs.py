"""Programs that are run in the sandbox."""

from __future__ import annotations

from dataclasses import dataclass, field

from sharpen.core.environments import LONGEST


@dataclass(frozen=True)
class Run:
    """A program to be run in the sandbox. `seconds` and `memory_mb` are its limits, `longest` that of each of its outputs."""

    code: str
    language: str = "python"
    stdin: str = ""
    seconds: float = 5.0
    memory_mb: int = 512
    longest: int = LONGEST


@dataclass(frozen=True)
class Ran:
    """How a program ended. status: "ok", "crash", "timeout", "limit" or "malformed" (it is no program).

    seconds  that it took, its interpreter's start included, measured outside the sandbox
    """

    status: str
    stdout: str
    stderr: str
    seconds: float = field(default=0.0, compare=False)  # no two runs take as long
