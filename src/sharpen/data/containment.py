"""Which sets are contained in which, in three steps that narrow down, and which of them may go.

1. `schema`    a set can only be contained in one that has all its arms.
2. `ranges`    the shortest and the longest text of the child must lie within those of the parent.
3. `content`   every text of the child is one of the parent's (`near.signature`).

The first two only remove what is impossible, so no containment is lost. Source: R2D2, arXiv 2312.13427: schema graph, then
minimum and maximum of columns, then content, of which the paper looks at a sample and this at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sharpen.core import Task
from sharpen.data import near, screen

Edges = list[tuple[str, str]]  # (contained, container)


def schema(sets: Mapping[str, Sequence[Task]]) -> Edges:
    """Every pair whose first has no arm that the second lacks."""
    arms = {name: {task.arm for task in tasks} for name, tasks in sets.items()}
    return [(a, b) for a in sets for b in sets if a != b and arms[a] <= arms[b]]


def ranges(sets: Mapping[str, Sequence[Task]], edges: Edges) -> Edges:
    """Those whose texts are no shorter than the parent's shortest, and no longer than its longest."""
    sizes = {name: [len(near.plain(screen.text(task))) for task in tasks] for name, tasks in sets.items()}
    span = {name: (min(found, default=0), max(found, default=0)) for name, found in sizes.items()}
    # A signature is blind to spacing, so that equal ones may differ in length: by spaces, fewer than half.
    return [(a, b) for a, b in edges if 2 * span[a][0] >= span[b][0] and span[a][1] <= 2 * span[b][1]]


def content(sets: Mapping[str, Sequence[Task]], edges: Edges, least: float = 1.0) -> list[tuple[str, str, float]]:
    """(child, parent, share of the child's texts that are the parent's) of those with a share of `least` or more."""
    told = {name: {near.signature(screen.text(task)) for task in tasks} for name, tasks in sets.items()}
    found = [(a, b, len(told[a] & told[b]) / len(told[a]) if told[a] else 0.0) for a, b in edges]
    return [edge for edge in found if edge[2] >= least]


def contained(sets: Mapping[str, Sequence[Task]], least: float = 1.0) -> list[tuple[str, str, float]]:
    """All three steps. With `least` below 1 the first two are left out: they are about whole containment."""
    every = [(a, b) for a in sets for b in sets if a != b]
    return content(sets, ranges(sets, schema(sets)) if least >= 1 else every, least)


def redundant(sets: Mapping[str, Sequence[Task]]) -> list[str]:
    """Sets that may be deleted, since what is left holds all of their texts: the smallest first; of equal ones the later."""
    edges = [(a, b) for a, b, _ in contained(sets)]
    order = sorted(sets, key=lambda name: (len(sets[name]), -list(sets).index(name)))
    gone: list[str] = []
    for name in order:
        if any(a == name and b not in gone for a, b in edges):
            gone.append(name)
    return gone
