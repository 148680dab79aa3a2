"""Questions along the paths of a graph of what texts say teach reasoning in situ, from a corpus and nobody's labels.

Paper: arXiv 2410.12375 (PRefLexOR), in-situ questions from a knowledge graph of the corpus
Parent: preflexor
Differs: preflexor's two stages on tasks that grow: what failed is read, by the student or a role, as facts; they are edges of a
    graph, and a question gives facts and asks where a path ends. From the paper: no embedding retrieves from the graph, the
    facts stand in the question; answers are the graph's own, and passages are the tasks' documents, else their worked solutions
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.data import graphs
from sharpen.recipe import Recipe, call
from sharpen.recipes import growing
from sharpen.recipes.preference import preflexor


def recipe(n: int = 32, hops: int = 2, read: int = 16, **knobs) -> Recipe:
    parent = preflexor.recipe(**knobs)
    return replace(parent, grow=partial(graphs.grown, n=n, hops=hops, read=read)) if n else parent


NEUTRAL = dict(n=0)


def check(made: Recipe) -> bool:
    """Of "oak | grows in | forest" and "forest | lies in | valley": the path of two facts ends in the valley; where a relation
    leads two ways, no path follows it."""
    said = "1. Oak | grows in | forest\n- forest | lies in | valley\nfox | eats | hare\nfox | eats | mouse\nno fact here"
    samples = growing.round_of(growing.tasks())
    grower = call(made.grow, samples, [], np.random.default_rng(0), library={})
    found, asks = growing.driven(grower, lambda ask: said)
    ends = {(task.level, task.answer) for task in found}
    return bool(asks) and ends == {(1, "forest"), (1, "valley"), (2, "valley")} and all("fox" not in t.solution for t in found)
