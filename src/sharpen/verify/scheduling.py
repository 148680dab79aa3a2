"""Rules that put jobs in order, judged by how far they are from the best order: one machine, total tardiness.

A job has a processing time p and a due date d; t is the time at which the machine is free. A rule is an expression of these
three, such as `max(d, t + p)`: whichever job has the smallest value goes next. Its gap is its total tardiness above the
optimum, which dynamic programming over sets of jobs finds, relative to the total processing time.

    EDD  d               earliest due date first
    MDD  max(d, t + p)   modified due date first

A rule is parsed and worked out node by node, never evaluated. Source: EDDC and MDDC, arXiv 2510.24013, for the problem and the
gap; the two rules above are the textbook's.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sharpen.core import Task, Verdict
from sharpen.hashing import derive

Job = tuple[int, int]  # processing time, due date
Rule = Callable[[Mapping[str, float]], float]
EDD, MDD = "d", "max(d, t + p)"
JOBS, INSTANCES = 6, 8
LONGEST = 200  # characters of a rule
LARGEST = 1e12
BINARY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


class NoRule(ValueError):
    """What was written is no rule."""


def parsed(text: str) -> ast.expr:
    """The rule, every node of which is known. Raises NoRule."""
    text = text.strip().strip("`").strip()
    if not text or len(text) > LONGEST or "\n" in text:
        raise NoRule("a rule is one line of at most 200 characters")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NoRule("it cannot be read as an expression") from error
    if not all(map(allowed, ast.walk(tree))):
        raise NoRule("it holds something else than p, d, t, numbers, + - * /, max and min")
    return tree


def allowed(node: ast.AST) -> bool:
    """Whether a rule may have such a node."""
    if isinstance(node, ast.Name):
        return node.id in ("p", "d", "t", "max", "min")
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float) and abs(float(node.value)) <= LARGEST  # type: ignore[arg-type]
    if isinstance(node, ast.Call):
        return getattr(node.func, "id", "") in ("max", "min") and len(node.args) >= 2 and not node.keywords
    return isinstance(node, ast.BinOp | ast.UnaryOp | ast.operator | ast.USub | ast.UAdd | ast.expr_context)


def value(node: ast.expr, known: Mapping[str, float]) -> float:
    """What an expression comes to; a division by 0 is a large number, and so is what grows beyond all bounds."""
    if isinstance(node, ast.Constant):
        found = float(node.value)  # type: ignore[arg-type]
    elif isinstance(node, ast.Name):
        if node.id not in known:
            raise NoRule(f"{node.id} is no number")
        found = known[node.id]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        found = value(node.operand, known) * (-1 if isinstance(node.op, ast.USub) else 1)
    elif isinstance(node, ast.BinOp) and type(node.op) in BINARY:
        a, b = value(node.left, known), value(node.right, known)
        found = LARGEST if isinstance(node.op, ast.Div) and b == 0 else BINARY[type(node.op)](a, b)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        listed = [value(arg, known) for arg in node.args]
        found = max(listed) if node.func.id == "max" else min(listed)
    else:
        raise NoRule("it holds an operation that no rule has")
    return min(max(found, -LARGEST), LARGEST)


def tardiness(rule: ast.expr, jobs: Sequence[Job]) -> int:
    """Total tardiness of the order that a rule makes; of equal values the job that is listed first goes first."""
    left, now, total = list(jobs), 0, 0
    while left:
        values = [value(rule, {"p": float(p), "d": float(d), "t": float(now)}) for p, d in left]
        p, d = left.pop(min(range(len(left)), key=values.__getitem__))
        now += p
        total += max(now - d, 0)
    return total


@lru_cache(maxsize=4096)
def optimum(jobs: tuple[Job, ...]) -> int:
    """The least total tardiness of any order: dynamic programming over the sets of jobs that are done (Held & Karp 1962)."""
    n = len(jobs)
    best = [0] + [2**62] * (2**n - 1)
    for done in range(2**n):
        now = sum(jobs[i][0] for i in range(n) if done >> i & 1)
        for i in range(n):
            if not done >> i & 1:
                after = done | 1 << i
                best[after] = min(best[after], best[done] + max(now + jobs[i][0] - jobs[i][1], 0))
    return best[-1]


@lru_cache(maxsize=1024)
def instances(seed: int, n: int = JOBS, count: int = INSTANCES) -> tuple[tuple[Job, ...], ...]:
    """Instances from a seed: times 1 to 20, due dates around half of their sum, so that not all jobs can be in time."""
    rng = np.random.default_rng(seed)
    times = rng.integers(1, 21, size=(count, n))
    due = (times.sum(axis=1, keepdims=True) * rng.uniform(0.1, 0.9, size=(count, n))).astype(int)
    return tuple(tuple((int(p), int(d)) for p, d in zip(*row)) for row in zip(times, due))


def gap(text: str, listed: Sequence[tuple[Job, ...]]) -> float:
    """Mean (tardiness - optimum) / total processing time of a rule on instances; at least 0. Raises NoRule."""
    rule = parsed(text)
    return float(np.mean([(tardiness(rule, jobs) - optimum(jobs)) / sum(p for p, _ in jobs) for jobs in listed]))


@dataclass(frozen=True)
class Judged:
    """The gaps on the instances that a task keeps to itself, of the rule, of EDD and of MDD."""

    own: float
    edd: float
    mdd: float


def judged(task: Task, text: str) -> Judged:
    """Raises NoRule. A task without `seed` and `jobs` in its data gets instances of its own too."""
    seed, n = int(task.data.get("seed", derive(0, "jobs", task.id))), int(task.data.get("jobs", JOBS))
    hidden = instances(derive(seed, "hidden"), n)
    return Judged(gap(text, hidden), gap(EDD, hidden), gap(MDD, hidden))


def scheduled(task: Task, response: str) -> Verdict:
    """A rule, the last line of a response, on instances that it has not seen: right where it is no worse than MDD.

    The reward is the share of EDD's gap that it closes, from 0 to 1; 1 where EDD has none and neither has the rule.
    """
    lines = [line for line in response.replace("<answer>", "\n").replace("</answer>", "\n").splitlines() if line.strip()]
    text = lines[-1] if lines else ""
    try:
        found = judged(task, text)
    except NoRule as error:
        return Verdict("malformed", 0.0, feedback=str(error), rule="priority rule")
    closed = (found.edd - found.own) / found.edd if found.edd > 0 else float(found.own <= 0)
    said = f"gap {found.own:.3f}; due date first has {found.edd:.3f}"
    outcome = "correct" if found.own <= found.mdd else "wrong"
    return Verdict(outcome, min(max(closed, 0.0), 1.0), {"gap": found.own}, said, "priority rule")
