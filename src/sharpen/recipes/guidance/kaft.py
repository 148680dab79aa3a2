"""Shown contexts that contradict it and contexts beside the point, a model follows the first, and is not led off by the second.

Paper: arXiv 2211.05110 (KAFT), abstract and method; its mixing ratios are not stated in what was read
Parent: sft
Differs: tasks are facts of a made-up world, without a context, after one that says the same, one that says otherwise, and one
    about somebody else; the last two slices are learnt with the context's answer and with the student's own closed-book one,
    by the role `closed_book`, the student as it began. All slices alike
"""

from dataclasses import replace
from functools import partial

from sharpen import data, rollouts, tasks
from sharpen.core import Role
from sharpen.recipe import Recipe
from sharpen.recipes.played import played
from sharpen.recipes.supervised import sft


def recipe(own: bool = True, slices: bool = True) -> Recipe:
    parent = sft.recipe()
    if not slices:
        return parent
    told = partial(rollouts.contexts.slices, own=own)
    roles = (Role("closed_book", bound="start"),)
    return replace(parent, tasks=tasks.facts, rollout=told, select=data.keep_all, roles=roles)


NEUTRAL = dict(slices=False)


def check(made: Recipe) -> bool:
    """The context's answer where it is about the question, one's own where it is not, asked without it."""
    prompt = ({"role": "user", "content": "pet of Ben: cow\n\npet of Anna?"},)
    told = {}
    for kind in ("counterfactual", "irrelevant"):
        heard: list[str] = []
        role = partial(closed, heard)
        tried = played(made.rollout, "?", role=role, prompt=prompt, answer="cow", solution="cow", data={"slice": kind})
        told[kind] = (tried.response, heard)
    return told == {"counterfactual": ("cow", []), "irrelevant": ("owl", ["pet of Anna?"])}


def closed(heard: list[str], messages) -> str:
    """A model that believes in owls, and what it was asked."""
    heard.append(messages[-1]["content"])
    return "owl"
