"""A student that learns to write questions from those it practises grows its own tasks, beyond the levels that it was shown.

Paper: none; question fine-tuning of ScaleQuest (arXiv 2410.18693), a proposer that is the student (SwS, arXiv 2506.08989,
    4.3)
Parent: quickstart
Differs: three tenths as many texts as a step learns from are questions, of the same level or the next, told after another
    one; after each round the student writes `n` for what fails. A program that knows the family labels what it can read and
    refuses the rest; of other families a majority of the student's own answers is the label; pass rate and screen decide the
    rest
"""

from dataclasses import replace
from functools import partial

from sharpen.data import growth, label, noisy, propose, relabel
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.loop import quickstart
from sharpen.tasks import answer_of, gym, knows

FAMILIES = ("spell_backward/1-4", "number_filtering/1-3", "number_sorting/1-3", "chain_sum/1-3", "word_sequence_reversal/1-4")


def recipe(n: int = 96, share: float = 0.3, checked: bool = True, **knobs) -> Recipe:
    parent = quickstart.recipe(**knobs)
    if not n:
        return parent
    labels = (partial(label.by_program, solve=answer_of, knows=knows), partial(label.by_majority, least=0.75, missing=True))
    unchecked = (partial(label.by_majority, k=1, least=0.0, margin=0.0),)
    grow = partial(growth.closed_loop, n=n, propose=propose.own_words, label=labels if checked else unchecked)
    select = partial(relabel.questions, share=share, then=parent.select)
    return replace(parent, tasks=partial(gym, FAMILIES), select=select, grow=grow, grow_tries=4 if checked else 0)


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """Of two questions that the student writes the program labels the one that it can read; the other one is refused, though
    all answers to it agree."""
    written = iter([noisy.FORM.format("31 + 52"), "Say a number."])
    made = replace(made, grow=partial(made.grow, n=2))
    found = growing.grown(made, lambda ask: next(written) if "Ask a" in ask.messages[0]["content"] else "7")
    return [(t.answer, t.family) for t in found] == [("83", "chain_sum_own")]
