"""Roles that tests script: `--role judge=scripted_roles:strict_judge`."""

import json


def strict_judge(messages) -> str:
    """Knows the reference, and wants exactly it."""
    material = json.loads(messages[-1]["content"].split("BEGIN\n")[1].split("\nEND")[0])
    return "Yes." if material["answer"].strip() == material["reference"] else "No."


def noncommittal(messages) -> str:
    return "Yes and no."


def broken(messages) -> str:
    raise RuntimeError("this judge is broken")
