"""Untrusted programs, run where they can do no harm (docs/sandbox.md).

Names are imported when first used: the broker and its supervisors are small processes that need few of them.

May import: nothing but the ground files.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # true for type checkers; importing it from typing costs more than the rest of a supervisor
if TYPE_CHECKING:
    from sharpen.sandbox.client import Sandbox, shared
    from sharpen.sandbox.linux import die_with_parent
    from sharpen.sandbox.program import LEVELS, Limits, Program, Result
    from sharpen.sandbox.selftest import Probe, probe

__all__ = ["LEVELS", "Limits", "Probe", "Program", "Result", "Sandbox", "die_with_parent", "probe", "shared"]

_HOMES = {"Sandbox": "client", "shared": "client", "Probe": "selftest", "probe": "selftest", "die_with_parent": "linux"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'sharpen.sandbox' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sharpen.sandbox.{_HOMES.get(name, 'program')}"), name)
