"""A closed loop that makes a language model better at what it is bad at, and proves it.

Names are imported when first used, so that `import sharpen` and the command line's help do not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.9.0"

_HOMES = {
    "Arm": "core",
    "ArmStats": "core",
    "Ask": "core",
    "Batch": "core",
    "Decision": "core",
    "Evaluation": "core",
    "FatalDiagnosis": "core",
    "Judges": "verify",
    "LocalPolicy": "models",
    "Policy": "core",
    "Quiet": "terminal",
    "Recipe": "recipe",
    "Request": "loop",
    "Rollout": "core",
    "Sample": "core",
    "ScriptedPolicy": "models",
    "Store": "store",
    "Tableau": "core",
    "Task": "core",
    "TaskSource": "core",
    "Terminal": "terminal",
    "Turn": "core",
    "UserError": "core",
    "Verdict": "core",
    "build": "recipes",
    "evaluate_model": "loop",
    "gym": "tasks",
    "jsonl": "tasks",
    "mixture": "tasks",
    "render": "report",
    "resume": "loop",
    "start": "loop",
    "summary": "report",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sharpen' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sharpen.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
