"""Roles that tests script: `--role judge=scripted_roles:strict_judge`; and a verifier that pays one.

Judge processes import this file, for each test a few of them: nothing heavy may be imported here.
"""

import json
from dataclasses import replace

from sharpen.verify import verify


def strict_judge(messages) -> str:
    """Knows the reference, and wants exactly it."""
    material = json.loads(messages[-1]["content"].split("BEGIN\n")[1].split("\nEND")[0])
    return "Yes." if material["answer"].strip() == material["reference"] else "No."


def noncommittal(messages) -> str:
    return "Yes and no."


def broken(messages) -> str:
    raise RuntimeError("this judge is broken")


def paid(task, response):
    """Judged as ever; a proposer is paid for answers of an odd length."""
    verdict = verify(task, response)
    return verdict if verdict.reward is None else replace(verdict, parts={"proposer": float(len(response) % 2)})
