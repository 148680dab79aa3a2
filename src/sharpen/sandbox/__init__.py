"""Untrusted programs, run where they can do no harm."""

from sharpen.sandbox.client import Sandbox, shared
from sharpen.sandbox.probe import Probe, probe
from sharpen.sandbox.program import LEVELS, Limits, Program, Result

__all__ = ["LEVELS", "Limits", "Probe", "Program", "Result", "Sandbox", "probe", "shared"]
