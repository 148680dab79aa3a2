"""Read, revise, repeat: what is accepted is revised again, what is rejected stays, and it ends."""

from __future__ import annotations

import pytest

from sharpen.core import UserError
from sharpen.data import edits
from sharpen.loop import revising
from sharpen.models import ScriptedPolicy

TEXT = "The cat sit on a mat."


def revised(*answers, accepts, depth=3):
    left = list(answers)
    return revising.revise(ScriptedPolicy(lambda m: left.pop(0)), TEXT, accepts, depth)


def test_it_ends_at_a_fixed_point_and_at_the_depth():
    text, rounds = revised("The cat sits on a mat.", "The cat sits on a mat.", accepts=lambda *_: True)
    assert text == "The cat sits on a mat." and len(rounds) == 1
    text, rounds = revised("b", "c", "d", accepts=lambda *_: True, depth=2)
    assert text == "c" and len(rounds) == 2


def test_rejecting_all_leaves_the_text_as_it_was_and_accepting_some_takes_those():
    text, rounds = revised("A dog sits.", accepts=lambda *_: False)
    assert text == TEXT and len(rounds) == 1 and not any(e.accepted for e in rounds[0])
    nearer = edits.by_distance("The cat sits on a mat.")
    text, _ = revised("The dog sits on a mat.", "The cat sits on a mat.", accepts=nearer)
    assert text == "The cat sits on a mat."


def test_an_empty_answer_proposes_nothing_and_an_empty_text_is_refused():
    assert revised("", accepts=lambda *_: True) == (TEXT, [])
    for bad in ("", " \n", "x" * 20_001):
        with pytest.raises(UserError, match="characters"):
            revising.revise(ScriptedPolicy(lambda m: "a"), bad, lambda *_: True)
    with pytest.raises(UserError, match="depth"):
        revised("a", accepts=lambda *_: True, depth=0)
