"""What it costs in accuracy to learn from rollouts of earlier weights: runs ahead by 0 and by K, at equal steps, by seed.

python bench/ahead.py [--ahead 2] [--seeds 0 1 2 3 4] [--budget 150steps] [--out DIR] [--result FILE] [KEY=VALUE …]

The two runs of a seed have the same student, warm-up and test questions. Their difference is in accuracy on the test split; the
interval is over seeds (95 %, Student's t). FILE is written after every run, and a run that is in DIR is not made again.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sqlite3
import statistics
import subprocess
import sys
from pathlib import Path

from common import RESULTS, commit, machine
from controls import SHARPEN, STUDENT_T

SETTINGS = ("device=cpu", "precision=fp32")


def run(directory: Path, seed: int, ahead: int, budget: str, settings: tuple[str, ...]) -> dict:
    """A run's figures."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not (directory / "report.html").exists():
        chosen = [part for s in (*SETTINGS, *settings) for part in ("--set", s)]
        asked = ["--run-dir", str(directory), "--seed", str(seed), "--ahead", str(ahead), "--budget", budget, *chosen]
        subprocess.run([*SHARPEN, "run", "quickstart", *asked], check=True, stdout=subprocess.DEVNULL)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = subprocess.run([*SHARPEN, "report", str(directory), "--json"], check=True, capture_output=True, text=True)
    figures = json.loads(shown.stdout)
    with sqlite3.connect(f"file:{directory / 'run.db'}?mode=ro", uri=True) as db:
        steps = [json.loads(row[0]) for row in db.execute("SELECT stats FROM steps WHERE phase = 'loop'")]
    stale = [step["staleness"] for step in steps if "staleness" in step]
    return {
        **{when: {key: figures[when][key] for key in ("accuracy", "ci95", "n")} for when in ("before", "after")},
        "steps": len(steps),
        "staleness": statistics.fmean(stale) if stale else 0.0,
        "processor_s": round(now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime, 1),
    }


def interval(values: list[float]) -> str:
    if len(values) < 2:
        return "one seed"
    half = STUDENT_T[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    return f"{100 * statistics.fmean(values):+.2f} points, {100 * half:.2f} either way"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ahead", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--budget", default="150steps")
    parser.add_argument("--out", type=Path, default=Path("runs/ahead"))
    parser.add_argument("--result", type=Path, default=RESULTS / "ahead.json")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_args()
    found: dict = {}
    for seed in given.seeds:
        found[seed] = {}
        for k in (0, given.ahead):
            found[seed][k] = run(given.out / f"{seed}-{k}", seed, k, given.budget, tuple(given.settings))
            about = {"budget": given.budget, "settings": given.settings, "commit": commit(), "machine": machine(1)}
            given.result.write_text(json.dumps({**about, "seeds": found}, indent=1) + "\n")
            print(f"seed {seed}, ahead {k}: {found[seed][k]}", flush=True)
    apart = [each[given.ahead]["after"]["accuracy"] - each[0]["after"]["accuracy"] for each in found.values()]
    print(f"ahead {given.ahead} against 0, {len(apart)} seeds: {interval(apart)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
