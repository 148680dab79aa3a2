"""Search over states: expand, score, select, back up. A state is whatever the two functions understand: a part of an answer,
the actions of an episode, a position of a puzzle.

    expand(node)  -> children of a node: a generator, which yields what it has to ask and returns `Child`ren; none: a dead end
    score(nodes)  -> what each is worth, 0 to 1, or for `best_first` what is still to be paid: a generator too

1. `mcts` counts visits: it walks from the root by `uct` or `puct` to a node without children, expands it, scores the children
   and backs their values up to the root. One value is one visit, so the root's visits are the nodes that were scored.
2. `best_first` keeps a queue: A* with f = weight * (paid so far) + (still to be paid). `edges_first` is the same over edges,
   which are scored before their ends are made: Q*.
3. `beam` keeps the best few of each depth, `deepening` goes down to a depth that grows.
4. `archive` explores: Go-Explore. States with the same key are one: `best_first` keeps the cheapest way to each.

Sources: UCT, Kocsis and Szepesvari 2006; PUCT as in MCTS-DPO, arXiv 2405.00451, section 3.1; A* without expansions, arXiv
2102.04518.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any


@dataclass(frozen=True)
class Child:
    """A state that an expansion leads to. prior: how likely it was, for `puct`; cost: of the step; done: nothing follows."""

    state: Any
    prior: float = 1.0
    cost: float = 1.0
    done: bool = False


@dataclass(eq=False)
class Node:
    """A state in a tree. `paid` is the cost from the root, `own` what it was scored, `total` the sum of what was backed up."""

    state: Any
    parent: Node | None = None
    prior: float = 1.0
    paid: float = 0.0
    done: bool = False
    own: float = 0.0
    visits: int = 0
    total: float = 0.0
    children: list[Node] | None = None
    tries: int = 0  # how often it was expanded

    @property
    def value(self) -> float:
        """Mean of what was backed up; its own score before anything was."""
        return self.total / self.visits if self.visits else self.own

    @property
    def depth(self) -> int:
        return len(self.path()) - 1

    def path(self) -> list[Node]:
        """The nodes from the root to this one."""
        found = [self]
        while found[-1].parent is not None:
            found.append(found[-1].parent)
        return found[::-1]

    def below(self) -> list[Node]:
        """All nodes of the tree under this one, itself first, parents before children."""
        found = [self]
        for node in found:
            found += node.children or []
        return found


Expand = Callable[[Node], Generator[Any, Any, Sequence[Child]]]
Score = Callable[[Sequence[Node]], Generator[Any, Any, Sequence[float]]]
Select = Callable[[Node, Node], float]


def uct(parent: Node, child: Node, c: float = math.sqrt(0.5)) -> float:
    """Value plus c sqrt(2 ln N / n): for values of 0 to 1. A child without a visit comes first."""
    if not child.visits:
        return math.inf
    return child.value + c * math.sqrt(2 * math.log(max(parent.visits, 1)) / child.visits)


def puct(parent: Node, child: Node, w: float = 1.0) -> float:
    """Value plus w * prior * sqrt(N) / (1 + n). Source: arXiv 2405.00451, section 3.1."""
    return child.value + w * child.prior * math.sqrt(parent.visits) / (1 + child.visits)


def by_own(parent: Node, child: Node, c: float = 1.0) -> float:
    """`uct` by what the child itself was scored, not by what was backed up: the selection of SWE-Search's release, which a
    deceptive score traps. Not what its paper (arXiv 2410.20285) says."""
    if not child.visits:
        return math.inf
    return child.own + c * math.sqrt(math.log(max(parent.visits, 1)) / child.visits)


def grow(node: Node, expand: Expand, key: Callable[[Any], Hashable] | None = None) -> Generator[Any, Any, list[Node]]:
    """Give a node children, beside those that it has: the new ones, without any whose key another has."""
    found = yield from expand(node)
    old = node.children or []
    known = {key(child.state) for child in old} if key else set()
    new = [Node(c.state, node, c.prior, node.paid + c.cost, c.done) for c in found if not key or key(c.state) not in known]
    node.children, node.tries = [*old, *new], node.tries + 1
    return new


def widens(node: Node, widen: float) -> bool:
    """Whether a node that has children is to be expanded again: so often as widen * sqrt(visits). Progressive widening."""
    return node.tries < widen * math.sqrt(node.visits)


def exhausted(node: Node, widen: float = 0.0) -> bool:
    """Whether nothing under a node can be expanded any more."""
    if node.done or node.children is None or widens(node, widen):
        return node.done
    return all(exhausted(child, widen) for child in node.children)


def mcts(
    root: Node,
    expand: Expand,
    score: Score,
    scored: int,
    select: Select = uct,
    enough: float = math.inf,
    widen: float = 0.0,
    key: Callable[[Any], Hashable] | None = None,
) -> Generator[Any, Any, Node]:
    """Monte Carlo tree search until so many nodes were scored, one that ends was worth `enough`, or nothing is left; the root.

    What is exhausted is not walked into again, so a small tree is searched whole.

    widen  > 0: a node is expanded again as its visits grow (`widens`), where expansions are drawn and differ
    key    of a state: what is drawn again is no new node
    """
    while root.visits < scored and not exhausted(root, widen):
        node = root
        while node.children and not widens(node, widen):
            here = node
            node = max((c for c in node.children if not exhausted(c, widen)), key=lambda child: select(here, child))
        made = yield from grow(node, expand, key)
        for child, value in zip(made, (yield from valued(made, score)), strict=True):
            child.own = value
            for one in child.path():
                one.visits, one.total = one.visits + 1, one.total + value
        if any(child.done and child.own >= enough for child in made):
            break
    return root


def valued(nodes: Sequence[Node], score: Score) -> Generator[Any, Any, Sequence[float]]:
    """Their scores; nothing is asked where there is none."""
    return (yield from score(nodes)) if nodes else []


def best(root: Node, among: Callable[[Node], bool]) -> Any:
    """Of these nodes the one with the best own score, then with the best value on its way; None where there is none."""
    nodes = [node for node in root.below()[1:] if among(node)]
    return max(nodes, key=lambda n: (n.own, n.parent.value if n.parent else 0.0), default=None)


@dataclass
class Found:
    """Where a search over costs ended: the goal, or None, and how many states were made and asked about."""

    goal: Node | None
    made: int = 0
    rounds: int = 0
    paths: dict[Hashable, float] = field(default_factory=dict)


def best_first(
    root: Node, expand: Expand, score: Score, key: Callable[[Any], Hashable], limit: int, weight: float = 1.0
) -> Generator[Any, Any, Found]:
    """A*: the node of the least weight * paid + (score: what is still to be paid) is expanded next, `limit` times at most.

    The goal is tested when it comes off the queue, so with scores that never say too much its way is a cheapest one. weight 0
    is greedy. A state that is reached for less is opened again. Of nodes that look alike the newest comes first, which is the
    deepest.
    """
    found, order = Found(None, 1, 0, {key(root.state): 0.0}), count()
    queue = [(0.0, next(order), root)]
    while queue and found.rounds < limit:
        _, _, node = heapq.heappop(queue)
        if node.paid > found.paths[key(node.state)]:
            continue
        if node.done:
            found.goal = node
            break
        found.rounds += 1
        new = [n for n in (yield from grow(node, expand)) if n.paid < found.paths.get(key(n.state), math.inf)]
        found.made += len(node.children or ())
        for one, left in zip(new, (yield from valued(new, score)), strict=True):
            one.own, found.paths[key(one.state)] = left, one.paid
            heapq.heappush(queue, (weight * one.paid + (0.0 if one.done else left), -next(order), one))
    return found


def edges_first(
    root: Node,
    actions: Callable[[Node], Generator[Any, Any, Sequence[tuple[Any, float]]]],
    act: Callable[[Node, Any], Child],
    key: Callable[[Any], Hashable],
    limit: int,
    weight: float = 1.0,
    early: bool = False,
) -> Generator[Any, Any, Found]:
    """Q*: the queue holds (state, action) at weight * paid + Q(state, action); a state is made when its edge comes off.

    actions  node -> its actions with Q, the cost of the step and of all that is left: one question for all of them
    early    call the goal found when it is made, not when it comes off the queue itself: a cheapest way then needs a Q that is
             no less than the cost of the step, too. Source: arXiv 2102.04518; why both conditions occur is our derivation
    """
    found, order = Found(None, 1, 0, {key(root.state): 0.0}), count()
    queue: list[tuple[float, int, Node, Any]] = []

    def opened(node: Node) -> Generator[Any, Any, None]:
        if node.done:
            heapq.heappush(queue, (weight * node.paid, -next(order), node, None))
            return
        for action, q in (yield from actions(node)):
            heapq.heappush(queue, (weight * node.paid + q, -next(order), node, action))

    yield from opened(root)
    while queue and found.rounds < limit:
        _, _, node, action = heapq.heappop(queue)
        if node.done:
            found.goal = node
            break
        found.rounds += 1
        child = act(node, action)
        new = Node(child.state, node, child.prior, node.paid + child.cost, child.done)
        found.made += 1
        node.children = [*(node.children or ()), new]
        if new.paid >= found.paths.get(key(new.state), math.inf):
            continue
        found.paths[key(new.state)] = new.paid
        if new.done and early:
            found.goal = new
            break
        yield from opened(new)
    return found


def beam(root: Node, expand: Expand, score: Score, width: int, depth: int) -> Generator[Any, Any, Node]:
    """Of each depth the `width` best are expanded; one that ends keeps its place among them. The root."""
    front = [root]
    for _ in range(depth):
        going = [node for node in front if not node.done]
        if not going:
            break
        made = yield from together([grow(node, expand) for node in going])
        new = [child for children in made for child in children]
        for child, value in zip(new, (yield from valued(new, score)), strict=True):
            child.own = value
        front = sorted([*(n for n in front if n.done), *new], key=lambda n: -n.own)[:width]
    return root


def deepening(root: Node, expand: Expand, score: Score, depths: Sequence[int], enough: float) -> Generator[Any, Any, Node]:
    """Depth first to the first depth, then to the next, until a node that ends is worth `enough`; children are tried in the
    order of their scores. What was expanded once stays. The root."""
    for deepest in depths:
        stack = [(root, 0)]
        while stack:
            node, depth = stack.pop()
            if node.done or depth == deepest:
                continue
            if node.children is None:
                new = yield from grow(node, expand)
                for child, value in zip(new, (yield from valued(new, score)), strict=True):
                    child.own = value
                if any(child.done and child.own >= enough for child in new):
                    return root
            stack += [(child, depth + 1) for child in sorted(node.children or (), key=lambda n: n.own)]
    return root


def archive(
    root: Node,
    choose: Callable[[Sequence[Node]], Generator[Any, Any, int]],
    act: Callable[[Node], Generator[Any, Any, Child | None]],
    interesting: Callable[[Node], Generator[Any, Any, bool]],
    key: Callable[[Any], Hashable],
    limit: int,
    enough: Callable[[Node], bool],
) -> Generator[Any, Any, Node | None]:
    """Go-Explore: a state of the archive is chosen, left by one new action after another, and what is new and interesting on
    the way joins the archive; what is not is never asked about again. `limit` actions; the node that was `enough`, or None.

    choose  number of the most promising of those that can still be left
    act     one untried action of a state: where it leads, or None where there is none
    Source: Intelligent Go-Explore, arXiv 2405.15143, section 3.
    """
    kept, known, spent = [root], {key(root.state)}, 0
    closed: set[int] = set()
    while spent < limit:
        open_ones = [node for node in kept if id(node) not in closed]
        if not open_ones:
            return None
        node = open_ones[(yield from choose(open_ones)) % len(open_ones)]
        while spent < limit:
            child = yield from act(node)
            if child is None:
                closed.add(id(node))
                break
            spent += 1
            new = Node(child.state, node, child.prior, node.paid + child.cost, child.done)
            node.children = [*(node.children or ()), new]
            if enough(new):
                return new
            if key(new.state) in known:
                break
            known.add(key(new.state))
            if new.done or not (yield from interesting(new)):
                break
            kept.append(new)
            node = new
    return None


def together(generators: Sequence[Generator[Any, Any, Any]]) -> Generator[Any, Any, list[Any]]:
    """Several generators side by side, as one: what they wait for at the same time is asked as one list."""
    results: dict[int, Any] = {}
    wishes: dict[int, Any] = {}

    def send(i: int, value: Any) -> None:
        wishes.pop(i, None)
        try:
            wishes[i] = generators[i].send(value)
        except StopIteration as end:
            results[i] = end.value

    for i in range(len(generators)):
        send(i, None)
    while wishes:
        events: list[Any] = []
        places: list[tuple[int, int, bool]] = []
        for i, wish in wishes.items():
            listed = wish if isinstance(wish, list) else [wish]
            places.append((i, len(listed), isinstance(wish, list)))
            events += listed
        answers = iter((yield events))
        for i, n, many in places:
            got = [next(answers) for _ in range(n)]
            send(i, got if many else got[0])
    return [results[i] for i in range(len(generators))]
