"""What a reader accepts of a revision, edit by edit, is a preference that can be learnt from.

Paper: arXiv 2204.03685 (R3), section 3: its loop of reading, accepting and revising
Parent: dpo
Differs: two attempts; the first with those of the second's changes that are accepted, against what was not chosen. From the
    paper, which trains nothing: who accepts is a reader who knows the worked solution, and takes what brings the text nearer to
    it; a person does so with `sharpen revise`
"""

from dataclasses import replace

from sharpen import rollouts, verify
from sharpen.data import corrections, edits
from sharpen.recipe import Recipe
from sharpen.recipes.preference import dpo


def recipe(reading: bool = True) -> Recipe:
    parent = dpo.recipe()
    if not reading:
        return parent
    return replace(parent, rollout=rollouts.self_correct, verify=verify.each_turn, select=edits.accepted)


NEUTRAL = dict(reading=False)


def check(made: Recipe) -> bool:
    """Of two changes the one that brings the text nearer is accepted, and all rejected leave the text as it was."""
    text, revised, target = "2 4 7", "2 3 8", "2 3 7"
    ruled = edits.ruled(text, edits.edits(text, revised), edits.by_distance(target))
    none = [replace(edit, accepted=False) for edit in ruled]
    chosen = corrections.example(made.select, ["2 4 7"], "6", "2 3 6")
    return edits.apply(text, ruled) == target and edits.apply(text, none) == text and len(chosen) == 2
