"""Searching for an answer: several are tried, in parts or whole, and one is chosen. Rollouts like any other.

    best_of      n answers, the one of the highest value
    majority     n answers, one of the answer that most of them give; with a value and a power, votes are weighed by rank
    beam         the few best beginnings of each length go on
    tree         Monte Carlo tree search over steps: `trees.mcts`
    by_hope      best first: the beginning of the highest value goes on
    deepened     depth first, to a depth that grows

A step of an answer ends at one of the strings `ends`, or after `step` tokens. Steps that begin alike are asked in one batch,
so the prompt that they share is run once. What was chosen is judged and, in training, learnt from; `Searched.branches` has
the rest. values.py has the values.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sharpen.core import Ask, Branch, RolloutGenerator, Sampling, Searched, Task, Turn
from sharpen.rollouts import trees
from sharpen.rollouts.rollout import with_system
from sharpen.rollouts.trees import Child, Node, Select
from sharpen.rollouts.values import Value, answer_of, by_likelihood, ended, said

DRAWN = Sampling(temperature=1.0)  # a search over greedy answers would look at one


def best_of(
    task: Task,
    n: int = 16,
    value: Value = by_likelihood,
    system: str = "",
    at_once: int = 0,
    enough: float = math.inf,
    sampling: Sampling | None = None,
) -> RolloutGenerator:
    """n answers, `at_once` at a time (0: all), until one is worth `enough`: the best, the first of several."""
    turns: list[Turn] = []
    values: list[float] = []
    while len(turns) < n and max(values, default=-math.inf) < enough:
        size = min(at_once or n, n - len(turns))
        new = yield [Ask(with_system(task, system), sampling=sampling)] * size
        turns, values = [*turns, *new], [*values, *(yield from value(task, new))]
    return turns[max(range(len(turns)), key=values.__getitem__)]


def majority(
    task: Task,
    n: int = 16,
    value: Value = by_likelihood,
    power: float = 0.0,
    system: str = "",
    sampling: Sampling | None = None,
) -> RolloutGenerator:
    """n answers vote; the answer with most votes, as it was first given. What cannot be read has no vote.

    power  of Borda's votes (n - rank + 1) ** power by value, the most valuable first; 0: one vote each, and nothing is valued.
           Source: arXiv 2502.18581, section 3
    """
    turns = yield [Ask(with_system(task, system), sampling=sampling)] * n
    values = (yield from value(task, turns)) if power else [0.0] * n
    ranked = sorted(range(n), key=lambda i: -values[i])
    votes: dict[str, float] = defaultdict(float)
    for rank, i in enumerate(ranked, 1):
        votes[answer_of(task, turns[i])] += (n - rank + 1) ** power
    votes.pop("", None)
    most = max(votes, key=votes.__getitem__, default="")
    return next((turns[i] for i in ranked if answer_of(task, turns[i]) == most), turns[0])


@dataclass(frozen=True)
class Steps:
    """An answer to a task, step by step: what `trees` expands and scores.

    branch  continuations of each beginning
    step    tokens of a step at most
    ends    strings that end a step
    steps   that an answer may have; what has not ended by then has not answered
    """

    task: Task
    value: Value
    branch: int = 4
    step: int = 32
    ends: tuple[str, ...] = ("\n",)
    steps: int = 8
    system: str = ""
    sampling: Sampling | None = None

    def expand(self, node: Node) -> Generator[Any, Any, list[Child]]:
        """The next step, tried `branch` times; what comes out alike is one."""
        after: Turn | None = node.state
        how: dict[str, Any] = dict(stop=self.ends, max_tokens=self.step, sampling=self.sampling)
        ask = Ask((), after, cut=len(after.tokens), **how) if after else Ask(with_system(self.task, self.system), **how)
        turns: list[Turn] = yield [ask] * self.branch
        different = {turn.tokens.tobytes(): turn for turn in turns}
        before = len(said(after)) if after else 0
        last = node.depth + 1 >= self.steps
        return [Child(turn, prior(turn, before), done=ended(turn) or last) for turn in different.values()]

    def score(self, nodes: Sequence[Node]) -> Generator[Any, Any, Sequence[float]]:
        return (yield from self.value(self.task, [node.state for node in nodes]))


def prior(turn: Turn, before: int, power: float = 1.25) -> float:
    """exp(sum of log-probabilities / length ** 1.25) of a step. Source: MCTS-DPO's release (arXiv 2405.00451)."""
    own = said(turn)[before:]
    return math.exp(float(own.sum()) / len(own) ** power) if len(own) else 1.0


def tree(
    task: Task,
    scored: int = 64,
    value: Value = by_likelihood,
    select: Select = trees.uct,
    enough: float = math.inf,
    widen: float = 1.0,
    **steps: Any,
) -> RolloutGenerator:
    """Monte Carlo tree search until so many steps were scored. `steps` as in `Steps`."""
    parts = Steps(task, value, **steps)
    root = yield from trees.mcts(Node(None), parts.expand, parts.score, scored, select, enough, widen, said_so_far)
    return (yield from chosen(parts, root))


def beam(task: Task, width: int = 4, value: Value = by_likelihood, **steps: Any) -> RolloutGenerator:
    """The `width` best beginnings of each number of steps go on."""
    parts = Steps(task, value, **steps)
    root = yield from trees.beam(Node(None), parts.expand, parts.score, width, parts.steps)
    return (yield from chosen(parts, root))


def by_hope(task: Task, limit: int = 16, value: Value = by_likelihood, weight: float = 0.0, **steps: Any) -> RolloutGenerator:
    """Best first: the beginning with the least weight * steps + (1 - value) goes on, `limit` times at most, until one that has
    ended is the best of all."""
    parts = Steps(task, value, **steps)

    def missing(nodes: Sequence[Node]) -> Generator[Any, Any, list[float]]:
        return [1.0 - v for v in (yield from parts.score(nodes))]

    root = Node(None)
    found = yield from trees.best_first(root, parts.expand, missing, said_so_far, limit, weight)
    for node in root.below():
        node.own = 1.0 - node.own
    if found.goal is not None:
        return Searched(whole(found.goal.state), branches(root))
    return (yield from chosen(parts, root))


def deepened(
    task: Task, depths: Sequence[int] = (2, 4, 8), value: Value = by_likelihood, enough: float = 0.9, **steps: Any
) -> RolloutGenerator:
    """Depth first to the first depth, then to the next ones, until an answer is worth `enough`."""
    parts = Steps(task, value, **{**steps, "steps": max(depths)})
    root = yield from trees.deepening(Node(None), parts.expand, parts.score, depths, enough)
    return (yield from chosen(parts, root))


def said_so_far(turn: Turn | None) -> bytes:
    return turn.tokens.tobytes() if turn else b""


def chosen(parts: Steps, root: Node) -> Generator[Any, Any, Searched]:
    """The best answer of a tree; where none has ended, the best beginning, brought to its end."""
    leaf = trees.best(root, lambda node: ended(node.state))
    if leaf is None:
        after = trees.best(root, lambda node: not node.children).state
        turn = yield Ask((), after, cut=len(after.tokens), sampling=parts.sampling)
        return Searched(whole(turn), branches(root))
    return Searched(whole(leaf.state), branches(root))


def whole(turn: Turn) -> Turn:
    """The turn with all of its text as what it says."""
    return replace(turn, text=turn.all_text)


def branches(root: Node) -> tuple[Branch, ...]:
    """Every step that was tried, parents first."""
    nodes = root.below()[1:]
    number = {id(node): i for i, node in enumerate(nodes)}
    return tuple(
        Branch(
            node.state,
            len(node.parent.state.tokens) if node.parent and node.parent.state else node.state.begin,
            number.get(id(node.parent), -1),
            node.value,
            node.visits,
        )
        for node in nodes
    )


def named(text: str, value: Value = by_likelihood, **steps: Any) -> Any:
    """A search by its name: best_of=16, majority=32, beam=4, mcts=64, best_first=16. ValueError for others."""
    name, _, size = text.partition("=")
    if name not in NAMED or not size.isdecimal() or not int(size):
        raise ValueError(f"{text!r} is no search: there are {', '.join(f'{n}=N' for n in NAMED)}, with N from 1")
    function, number = NAMED[name]
    given = {} if function in (best_of, majority) else steps
    return partial(function, **{number: int(size), "value": value, **given})


NAMED: dict[str, tuple[Any, str]] = {
    "best_of": (best_of, "n"),
    "majority": (majority, "n"),
    "beam": (beam, "width"),
    "mcts": (tree, "scored"),
    "best_first": (by_hope, "limit"),
}
