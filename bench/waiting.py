"""A verifier that waits as one would for a program, in a module that costs nothing to import: for bench/hosts.py."""

import time

from sharpen.core import Task, Verdict


def slow(task: Task, response: str, seconds: float = 0.25) -> Verdict:
    time.sleep(seconds)
    return Verdict("correct", 1.0)
