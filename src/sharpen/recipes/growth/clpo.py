"""The policy rewrites its own prompts, hard ones more simply and middling ones otherwise, and needs no teacher.

Paper: arXiv 2509.25004 (CLPO); hard up to 0.3 of four answers, medium up to 0.7
Parent: grpo
Differs: the student rewrites failed prompts with their answers unchanged; a rewrite that gives its answer away is refused,
    and so is one that is solved always or never. From the paper: between rounds, not in the step; no weaker KL for hard
    prompts
"""

import json
from dataclasses import replace
from functools import partial

from sharpen.core import Ask
from sharpen.data import diagnose, growth, label, propose, worth
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.policy_gradient import grpo


def recipe(n: int = 64, hard: float = 0.3, medium: float = 0.7) -> Recipe:
    parent = grpo.recipe()
    if not n:
        return parent
    ways = {"hard": "simpler", "medium": "same"}
    write = partial(propose.rewrite, how=ways, role="", examples=1, by=worth.equal)
    bands = partial(diagnose.by_band, hard=hard, medium=medium)
    return replace(parent, grow=partial(growth.closed_loop, n=n, diagnose=bands, propose=write, label=(label.unanswered,)))


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """A rewrite keeps its parent's answer, whatever the rewriter claims; one that leaks it is refused."""

    def plain(ask: Ask) -> str:
        return json.dumps({"question": f"Say: {growing.asked_about(ask)}", "answer": "0"})

    def leaking(ask: Ask) -> str:
        return json.dumps({"question": f"Say, hint {growing.value(ask)}: {growing.asked_about(ask)}", "answer": "0"})

    kept, leaks = growing.grown(made, plain), growing.grown(made, leaking)
    return len(kept) >= 7 and all(map(growing.true, kept)) and not leaks
