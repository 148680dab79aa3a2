"""Facts of a made-up world, asked without a context, after one that says the same, after one that says otherwise, or after one
about somebody else: what a model knows against what it reads.

A fact is a pure function of the person and the thing asked for (`known`), so closed-book answers can be learnt, and are the
same in every split; what splits is how a question is put. The last paragraph of a prompt is the question, what stands before
is its context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError
from sharpen.hashing import derive, split_of

TRIES = 500
PEOPLE = "Anna Ben Clara David Emma Felix Grace Hugo Ida Jack Kate Leo Mia Noah Olga Paul Rosa Sam Tina Will".split()
THINGS: Mapping[str, Sequence[str]] = {
    "city": "Bern Lima Oslo Quito Riga Rome Turku Wien".split(),
    "pet": "cat cow dog fox hen owl pig ram".split(),
    "colour": "black blue brown green pink red white".split(),
}
SLICES = ("closed", "relevant", "counterfactual", "irrelevant")
NUMBERS = range(2, 60)  # what else a question says, so that there are many of each


def facts() -> TaskSource:
    """A family for each of SLICES, level n with the first 5 n people. Answers of `irrelevant` and `closed` are the world's."""
    arms = tuple(sorted(Arm(f"fact_{name}", level) for name in SLICES for level in (1, 2, 3, 4)))
    return TaskSource("facts", arms, draw, languages=frozenset())


def known(person: str, thing: str) -> str:
    """What is so."""
    values = THINGS[thing]
    return values[derive(0, "fact", person, thing) % len(values)]


def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
    """The task of that number; a pure function of its arguments. Raises UserError where TRIES draws found none of the split."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
    for attempt in range(TRIES):
        rng = Random(derive(seed, split, arm.family, arm.level, index, attempt))
        made = task(arm, split, rng)
        if split_of(made.prompt) == split:
            return made
    raise UserError(f"{arm} has no question in the {split} split: {TRIES} draws found none.")


def task(arm: Arm, split: str, rng: Random) -> Task:
    """One of the arm's slice."""
    kind, people = arm.family.removeprefix("fact_"), PEOPLE[: 5 * arm.level]
    person, thing = rng.choice(people), rng.choice(list(THINGS))
    question, right = f"{rng.choice(NUMBERS)}. {thing} of {person}?", known(person, thing)
    about, value = person, right
    if kind == "counterfactual":
        value = rng.choice([v for v in THINGS[thing] if v != right])
    elif kind == "irrelevant":
        about = rng.choice([p for p in people if p != person])
        value = rng.choice([v for v in THINGS[thing] if v != right])
    text = question if kind == "closed" else f"{thing} of {about}: {value}\n\n{question}"
    answer = value if kind == "counterfactual" else right
    prompt = ({"role": "user", "content": text},)
    return Task(prompt, answer, arm.family, arm.level, split, "exact", {"slice": kind}, answer)
