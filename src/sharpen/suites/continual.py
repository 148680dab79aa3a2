"""What a run over task sets forgot and carried over, as rows of a suite: its matrix of accuracies, and what is read of it.

Metrics are guard/forgetting.py's: average accuracy, forgetting, backward and forward transfer, worst-case accuracy, the
stability gap, and the maintenance and recovery of L2M. A finished model alone has none: they need every moment of its run.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from sharpen.core import UserError
from sharpen.report import streams
from sharpen.store import Store


def run(run_dir: Path, directory: Path) -> dict[str, Any]:
    """Rows of a run of `--stream`. UserError where it is no run, was of one task set, or is not over."""
    if not (run_dir / "run.db").is_file():
        raise UserError(
            f"--suite continual measures a run over task sets, and {run_dir} is none: sharpen run --stream A,B first."
        )
    with Store.open(run_dir, write=False) as store:
        found = streams.read(store)
    if found is None or found.numbers is None:
        raise UserError(f"{run_dir} is no finished run over several task sets: sharpen run --stream A,B")
    sets = len(found.sets)
    rows = [row(name, value, sets) for name, value in found.numbers.items() if math.isfinite(value)]
    for i, learnt in enumerate(found.sets):
        rows += [row(f"{name} after {learnt}", float(found.matrix[i, j]), sets) for j, name in enumerate(found.sets)]
    made = {"model": str(run_dir), "suite": "continual", "n": None, "seed": 0, "settings": [], "rows": rows}
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "suite.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return made


def row(measure: str, value: float, n: int) -> dict[str, Any]:
    return {"axis": "continual", "measure": measure, "value": value, "ci95": None, "n": n}
