"""What a run over task sets forgot and carried over, as rows of a suite: its matrix of accuracies, and what is read of it.

Metrics are guard/forgetting.py's: average accuracy, forgetting, backward and forward transfer, worst-case accuracy, the
stability gap, and the maintenance and recovery of L2M. A finished model alone has none: they need every moment of its run. With
a judge the same is said of the reasoning (process.py).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from sharpen.core import UserError
from sharpen.outer import asked
from sharpen.report import streams
from sharpen.store import Store
from sharpen.suites import process


def run(run_dir: Path, directory: Path, judge: str = "", n: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Rows of a run of `--stream`. UserError where it is no run, was of one task set, or is not over.

    judge  who rates the reasoning of n answers of each set after each, as `--role judge=WHO`; "": nobody
    """
    speak = asked.speaker(judge, name="judge") if judge else None
    if not (run_dir / "run.db").is_file():
        raise UserError(
            f"--suite continual measures a run over task sets, and {run_dir} is none: sharpen run --stream A,B first."
        )
    with Store.open(run_dir, write=False) as store:
        found = streams.read(store)
        if found is None or found.numbers is None:
            raise UserError(f"{run_dir} is no finished run over several task sets: sharpen run --stream A,B")
        judged = process.rows(store, found, speak, n or process.EACH, seed) if speak else []
    sets = len(found.sets)
    rows = [row(name, value, sets) for name, value in found.numbers.items() if math.isfinite(value)]
    for i, learnt in enumerate(found.sets):
        rows += [row(f"{name} after {learnt}", float(found.matrix[i, j]), sets) for j, name in enumerate(found.sets)]
    last = found.matrix[-1]
    rows += [row(f"forget {name}", float(last[j] - found.matrix[j, j]), sets) for j, name in enumerate(found.sets[:-1])]
    rows += [row(*one) for one in judged]
    made = {"model": str(run_dir), "suite": "continual", "n": n, "seed": seed, "settings": [], "rows": rows}
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "suite.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return made


def row(measure: str, value: float, n: int) -> dict[str, Any]:
    return {"axis": "continual", "measure": measure, "value": value, "ci95": None, "n": n}
