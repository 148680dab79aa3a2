"""Trees of known values: what a search must find, what it must not be trapped by, and what it may spend."""

from __future__ import annotations

import math

import pytest

from sharpen.rollouts import trees
from sharpen.rollouts.trees import Child, Node


def run(generator):
    """The result of a generator that asks for nothing."""
    with pytest.raises(StopIteration) as end:
        next(generator)
    return end.value.value


def domain(children, values):
    """expand and score of a tree in a dict; `made` counts what was scored."""
    made = []

    def expand(node):
        yield from ()
        return [Child(state, done=state not in children) for state in children[node.state]]

    def score(nodes):
        yield from ()
        made.extend(node.state for node in nodes)
        return [values.get(node.state, 0.0) for node in nodes]

    return expand, score, made


# a looks good (0.9) and leads to 0.1; b looks bad (0.2) and leads to 1.0. Each has 20 children, so that a budget matters.
DECEPTIVE = {"root": ["a", "b"], "a": [f"a{i}" for i in range(20)], "b": [f"b{i}" for i in range(20)]}
DECEPTIVE |= {f"a{i}": [f"a{i}.{j}" for j in range(20)] for i in range(20)}
LOOKS = {"a": 0.9, "b": 0.2, **{f"a{i}": 0.1 for i in range(20)}, **{f"b{i}": 1.0 for i in range(20)}}


def test_backed_up_values_leave_a_deceptive_branch_and_the_nodes_own_values_do_not():
    """SWE-Search: of 60 nodes 2 + 20 are a's; then its value is (0.9 + 20 * 0.1) / 21 = 0.14, and b is tried. By its own 0.9
    (and little exploration, as in the release) the search goes on under a."""
    expand, score, made = domain(DECEPTIVE, LOOKS)
    root = run(trees.mcts(Node("root"), expand, score, 42, trees.uct))
    assert trees.best(root, lambda n: n.done).state == "b0" and root.visits == len(made) == 42
    expand, score, made = domain(DECEPTIVE, LOOKS)
    by_own = lambda parent, child: trees.by_own(parent, child, c=0.01)  # noqa: E731
    root = run(trees.mcts(Node("root"), expand, score, 42, by_own))
    assert not any(state.startswith("b") and len(state) > 1 for state in made)


def test_what_was_backed_up_is_the_mean_of_all_below_and_a_small_tree_is_searched_whole():
    children = {"r": ["x", "y"], "x": ["x1", "x2"], "y": ["y1"]}
    expand, score, made = domain(children, {"x": 0.5, "x1": 1.0, "x2": 0.0, "y": 0.25, "y1": 0.75})
    root = run(trees.mcts(Node("r"), expand, score, 1000))
    assert sorted(made) == ["x", "x1", "x2", "y", "y1"] and root.visits == 5 and trees.exhausted(root)
    x, y = root.children
    assert x.value == pytest.approx((0.5 + 1.0 + 0.0) / 3) and y.value == pytest.approx((0.25 + 0.75) / 2)


def test_a_node_is_widened_as_its_visits_grow_and_what_is_drawn_again_is_no_new_node():
    """Expansions draw two of six letters in turn. Without widening the tree is two nodes; with it all six are found, and the
    search ends although there is budget left."""
    drawn = ["ab", "ac", "cd", "ef", *["ab"] * 100]

    def expand(node):
        yield from ()
        return [Child(letter, done=True) for letter in drawn.pop(0)]

    def score(nodes):
        yield from ()
        return [0.1 for _ in nodes]

    root = run(trees.mcts(Node("root"), expand, score, 100, key=str))
    assert [n.state for n in root.children] == ["a", "b"] and trees.exhausted(root)
    drawn[:0] = ["ab"]
    root = run(trees.mcts(Node("root"), expand, score, 100, widen=2.0, key=str))
    assert [n.state for n in root.children] == list("abcdef") and root.visits == 6 and root.tries == 5  # 5 >= 2 sqrt(6)


def test_puct_follows_the_prior_and_uct_first_tries_what_it_has_not_tried():
    parent = Node("p", visits=16)
    likely, tried = Node("l", parent, prior=0.9), Node("t", parent, prior=0.1, visits=4, total=2.0)
    assert trees.puct(parent, likely) == pytest.approx(0.9 * 4) and trees.puct(parent, tried) == pytest.approx(
        0.5 + 0.1 * 4 / 5
    )
    assert trees.uct(parent, likely) == math.inf
    assert trees.uct(parent, tried) == pytest.approx(0.5 + math.sqrt(0.5) * math.sqrt(2 * math.log(16) / 4))


GRAPH = {"S": {"G": 10.0, "X": 1.0}, "X": {"G": 1.0}, "G": {}}


def edges(q):
    def actions(node):
        yield from ()
        return [(to, q(node.state, to)) for to in GRAPH[node.state]]

    def act(node, to):
        return Child(to, cost=GRAPH[node.state][to], done=to == "G")

    return actions, act


def test_q_star_with_an_early_goal_test_and_q_of_nothing_returns_the_dear_way_and_a_late_one_does_not():
    """S-(10)->G, S-(1)->X-(1)->G. FORMULAS B9, test 1."""
    left = {"S": 2.0, "X": 1.0, "G": 0.0}
    for q, early, paid in (
        (lambda s, to: 0.0, True, 10.0),
        (lambda s, to: 0.0, False, 2.0),
        (lambda s, to: GRAPH[s][to] + left[to], True, 2.0),
        (lambda s, to: GRAPH[s][to] + left[to], False, 2.0),
    ):
        found = run(trees.edges_first(Node("S"), *edges(q), str, 100, early=early))
        assert found.goal.paid == paid
        assert found.made == found.rounds + 1  # one state a round, never all children of one


def test_a_star_finds_a_cheapest_way_and_opens_a_state_again_that_is_reached_for_less():
    graph = {"S": {"A": 1.0, "B": 2.0}, "A": {"C": 5.0}, "B": {"C": 1.0}, "C": {"G": 3.0}, "G": {}}
    hope = {"S": 0.0, "A": 0.0, "B": 4.0, "C": 0.0, "G": 0.0}  # B looks further than A, so C is first reached the dear way

    def expand(node):
        yield from ()
        return [Child(to, cost=cost, done=to == "G") for to, cost in graph[node.state].items()]

    def score(nodes):
        yield from ()
        return [hope[node.state] for node in nodes]

    found = run(trees.best_first(Node("S"), expand, score, str, 100))
    assert [n.state for n in found.goal.path()] == ["S", "B", "C", "G"] and found.goal.paid == 6.0


def test_a_beam_keeps_the_best_of_each_depth_and_what_has_ended_keeps_its_place():
    children = {"r": ["a", "b", "end"], "a": ["a1"], "b": ["b1"], "a1": ["a2"]}
    expand, score, made = domain(children, {"a": 0.5, "b": 0.1, "end": 0.6, "a1": 0.4, "a2": 0.9})
    root = run(trees.beam(Node("r"), expand, score, 2, 5))
    assert "b1" not in made and trees.best(root, lambda n: n.done).state == "a2"


def test_deepening_goes_no_deeper_than_it_has_to_and_expands_nothing_twice():
    children = {"r": ["a", "b"], "a": ["a1"], "a1": ["a2"], "a2": ["a3"], "b": ["b1"], "b1": ["good"]}
    expand, score, made = domain(children, {"a": 0.9, "b": 0.5, "good": 1.0})
    root = run(trees.deepening(Node("r"), expand, score, (1, 3, 4), 1.0))
    assert "a3" not in made and len(made) == len(set(made)) and trees.best(root, lambda n: n.done).state == "good"


def test_generators_side_by_side_ask_as_one_list_and_are_sent_their_own():
    def one(n):
        first = yield n
        rest = yield [first, first + 1]
        return sum(rest)

    both = trees.together([one(1), one(10)])
    assert next(both) == [1, 10]
    assert both.send([2, 20]) == [2, 3, 20, 21]
    with pytest.raises(StopIteration) as end:
        both.send([1, 2, 3, 4])
    assert end.value.value == [3, 7]
