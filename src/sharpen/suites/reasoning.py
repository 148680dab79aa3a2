"""Rules to be found: ARC's grids, and formulas behind numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Sequence
from random import Random
from typing import Any

import numpy as np

from sharpen import tasks
from sharpen.core import GREEDY, Ask, Task
from sharpen.hashing import derive
from sharpen.suites import symbolic
from sharpen.suites.axis import OWN, Axis, Item, mean, of

ARC = ("rearc/1", "rearc/2")
FORMULAS = (  # SRSD's are Feynman's; these are of their kind, with the ranges of their variables
    ("m * v", {"m": (0.5, 5), "v": (0.5, 5)}),
    ("m * v**2 / 2", {"m": (0.5, 5), "v": (0.5, 5)}),
    ("m * g * h", {"m": (0.5, 5), "g": (9, 10), "h": (0.5, 5)}),
    ("q * p / r**2", {"q": (0.5, 5), "p": (0.5, 5), "r": (0.5, 3)}),
    ("u / r", {"u": (0.5, 9), "r": (0.5, 5)}),
    ("x * a / (x + a)", {"x": (0.5, 5), "a": (0.5, 5)}),
    ("a * sin(x)", {"a": (0.5, 5), "x": (0.1, 3)}),
    ("exp(-x) * a", {"x": (0.1, 2), "a": (0.5, 5)}),
    ("sqrt(x**2 + y**2)", {"x": (0.5, 5), "y": (0.5, 5)}),
    ("2 * x + 3", {"x": (0.5, 9)}),
)
POINTS = 8
SHOWN = (
    "A quantity z depends on {names}. Measured:\n{rows}\nWrite the formula for z in {names}, with + - * / ** and sin, cos, "
    "exp, log, sqrt. Write the formula only."
)


def grids(n: int, seed: int) -> list[Task]:
    """Rules on grids, from reasoning-gym. Those that copying the input solves are left out."""
    source = tasks.gym(ARC)
    each = max(math.ceil(n / len(source.arms)), 1)
    drawn = [task for own in tasks.held_out(source, "test", each, seed).values() for task in own]
    return [task for task in drawn if cells(str(task.answer)) != cells(copied(task))][:n]


def cells(text: str) -> list[str]:
    """The numbers of a grid in order."""
    return re.findall(r"\d+", text)


def copied(task: Task) -> str:
    """The test input: the last line or lines with numbers of a question."""
    rows = [line for line in str(task.prompt[-1]["content"]).splitlines() if cells(line)]
    width = max(str(task.answer).count("\n") + 1, 1)
    return "\n".join(rows[-width:])


def gridded(task: Task) -> Generator[Any, Any, dict[str, float]]:
    """All or nothing, as ARC is judged; beside it the share of cells, which is never lower."""
    turn = yield Ask(task.prompt, sampling=GREEDY)
    return graded(task, turn.text)


def graded(task: Task, text: str) -> dict[str, float]:
    wanted, inner = cells(str(task.answer)), re.findall(r"<answer>(.*?)</answer>", text, re.DOTALL)
    found = cells(inner[-1] if inner else text)
    found = found[-len(wanted) :] if len(found) > len(wanted) and not inner else found
    same = len(found) == len(wanted)
    share = sum(a == b for a, b in zip(found, wanted)) / len(wanted) if same else 0.0
    return {"accuracy": float(same and found == wanted), "cells": share}


def formulas(n: int, seed: int) -> list[Task]:
    made = []
    for i in range(n):
        rng = Random(derive(seed, "suite formulas", i))
        formula, ranges = FORMULAS[i % len(FORMULAS)]
        names = tuple(ranges)
        points = {name: [round(rng.uniform(*ranges[name]), 2) for _ in range(2 * POINTS)] for name in names}
        z = symbolic.value(symbolic.parsed(formula, names), {k: np.array(v) for k, v in points.items()})
        rows = [", ".join([*(f"{name}={points[name][k]}" for name in names), f"z={z[k]:.4g}"]) for k in range(POINTS)]
        asked = SHOWN.format(names=", ".join(names), rows="\n".join(rows))
        data = {"formula": formula, "names": list(names), "points": points, "z": [float(v) for v in z]}
        made.append(Task(({"role": "user", "content": asked},), formula, "formulas", 1, "test", OWN, data))
    return made


def regressed(task: Task) -> Generator[Any, Any, dict[str, float]]:
    turn = yield Ask(task.prompt, sampling=GREEDY)
    lines = [line for line in turn.text.strip().splitlines() if line.strip()]
    return compared(task, lines[-1] if lines else "")


def compared(task: Task, said: str) -> dict[str, float]:
    """1 - NED as `closeness`, whether the tree is the same, and whether R^2 > 0.999 at points that were not shown."""
    names = tuple(task.data["names"])
    ned = symbolic.distance(said, str(task.data["formula"]), names)
    held = {name: np.array(task.data["points"][name][POINTS:]) for name in names}
    try:
        r2 = symbolic.fit(symbolic.parsed(said, names), held, np.array(task.data["z"][POINTS:]))
    except symbolic.NoFormula:
        r2 = -math.inf
    return {"accuracy": float(r2 > 0.999), "NED": ned, "same tree": float(ned == 0)}


def skill(items: Sequence[Item]) -> dict[str, float]:
    """What cells say beyond whole grids: near misses."""
    return {"near misses": mean(of(items, "cells")) - mean(of(items, "accuracy"))}


AXES = (
    Axis("arc", "whole grids right, of rules shown by examples", grids, gridded, skill),
    Axis("formulas", "formulas that hold at points that were not shown", formulas, regressed),
)
