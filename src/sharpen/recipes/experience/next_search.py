"""Feedback on the stage that went wrong repairs it with less than feedback on answers does.

Paper: arXiv 2505.14680 (NExT-Search), sections 3 and 4; a perspective paper without an algorithm
Parent: rft
Differs: an answer has three stages, each a turn; the role `editor` may write a training stage anew, the later ones are made
    after that, and right answers are learnt from with the edits in them. From the paper: stages of an answer instead of a
    search engine's; the editor is the student unless `--role editor=` names a model (shadow mode) or a script that asks a
    person
"""

from dataclasses import replace
from typing import Any

from sharpen import rollouts
from sharpen.core import Role, Task, Turn
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(edited: bool = True) -> Recipe:
    parent = rft.recipe()
    return replace(parent, rollout=rollouts.staged, roles=(Role("editor", bound="student"),)) if edited else parent


NEUTRAL = dict(edited=False)


def check(made: Recipe) -> bool:
    """What is edited is forced, the next stage goes on from the edit, and what the editor leaves alone stays as it was said."""
    import numpy as np

    def turn(text: str) -> Turn:
        return Turn(text, np.zeros(0, np.int32), np.zeros(0, bool), np.zeros(0, np.float32), "end")

    asking: Any = made.rollout(Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1))
    first = next(asking)
    edit = asking.send(turn("asked: 2 + 3"))
    forced = asking.send(turn("asked: 2 + 2"))
    second = asking.send(kept := turn("asked: 2 + 2"))
    looked = asking.send(turn("it is 4"))
    third = asking.send(turn("SAME"))
    told = edit.role == looked.role == "editor" and "2 + 3" in edit.messages[0]["content"]
    return (
        told and forced.answer == "asked: 2 + 2" and forced.after is first.after and second.after is kept and not third.answer
    )
