"""The default recipe beside its controls at equal budget: python bench/controls.py [--seeds 0 1 2] [--out DIR]

    loop       the default recipe
    uniform    the same, every arm drawn equally often
    sft        no loop: the warm-up goes on over the same worked solutions for as many seconds as the loop took
    sft fresh  the same, with a new worked solution every time: what unlimited teaching would have given

Runs of one seed follow one another, so that a machine's drift hits all alike. Every figure is on the test split, as
`sharpen report --json` prints it. The table ends with the mean over seeds and its 95 % interval (Student's t).
"""

from __future__ import annotations

import argparse
import json
import math
import sqlite3
import statistics
import subprocess
import sys
from pathlib import Path

STUDENT_T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # two-sided 95 %, by number of seeds
SHARPEN = [sys.executable, "-c", "from sharpen.cli import main; main()"]


def run(directory: Path, seed: int, *settings: str, budget: str | None = None) -> dict:
    """The run's figures; a run that is already there is not made again."""
    if not (directory / "report.html").exists():
        chosen = [part for s in settings for part in ("--set", s)] + (["--budget", budget] if budget else [])
        subprocess.run([*SHARPEN, "run", "--run-dir", str(directory), "--seed", str(seed), *chosen], check=True)
    shown = subprocess.run([*SHARPEN, "report", str(directory), "--json"], check=True, capture_output=True, text=True)
    return json.loads(shown.stdout)


def seconds(directory: Path) -> tuple[float, float, int]:
    """(warm-up, loop without its evaluations, warm-up steps) in wall seconds."""
    with sqlite3.connect(directory / "run.db") as db:
        spent = dict(db.execute("SELECT phase, sum(seconds) FROM timings GROUP BY phase"))
        steps = db.execute("SELECT count(*) FROM steps WHERE phase = 'warmup'").fetchone()[0]
    return spent["warmup"], sum(spent.get(p, 0.0) for p in ("curriculum", "generate", "verify", "learn")), steps


def compare(out: Path, seed: int) -> dict[str, dict]:
    found = {"loop": run(out / f"loop-{seed}", seed)}
    found["uniform"] = run(out / f"uniform-{seed}", seed, "curriculum=uniform")
    warm_up, loop, steps = seconds(out / f"loop-{seed}")
    more = f"warmup_steps={steps + math.ceil(loop * steps / warm_up)}"
    found["sft"] = run(out / f"sft-{seed}", seed, more, budget="1steps")
    found["sft fresh"] = run(out / f"fresh-{seed}", seed, more, "warmup_demos=0", budget="1steps")
    return found


def interval(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.1%}"
    half = STUDENT_T.get(len(values), 2.6) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.fmean(values):.1%} ± {100 * half:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/controls"))
    arguments = parser.parse_args()
    found = {seed: compare(arguments.out, seed) for seed in arguments.seeds}
    print("| run | seed | before | after | gain | arms that fell | seconds |\n|---|---|---|---|---|---|---|")
    for name in ("loop", "uniform", "sft", "sft fresh"):
        rows = [found[seed][name] for seed in arguments.seeds]
        # The controls without a loop start from the same warm-up as the loop of their seed.
        start = [found[seed]["loop"]["before"]["accuracy"] for seed in arguments.seeds]
        after = [row["after"]["accuracy"] for row in rows]
        for seed, row, a, b in zip(arguments.seeds, rows, start, after, strict=True):
            fell = ", ".join(row["difference"]["fell"]) or "none"
            print(f"| {name} | {seed} | {a:.1%} | {b:.1%} | {100 * (b - a):+.1f} | {fell} | {row['seconds']:.0f} |")
        gains = [b - a for a, b in zip(start, after, strict=True)]
        print(f"| {name} | mean | {interval(start)} | {interval(after)} | {interval(gains)} | | |")


if __name__ == "__main__":
    main()
