"""What it costs in accuracy to learn from rollouts of earlier weights: runs ahead by 0 and by K, at equal steps, by seed.

python bench/ahead.py [--ahead 2] [--seeds 0 1 2 3 4] [--steps 150] [--out DIR] [--result FILE] [KEY=VALUE …]

The default recipe, on a processor in float32. Both runs of a seed begin as copies of one that has done its warm-up, so they
have the same student and test questions. Their difference is that of accuracy on the test split, in the mean over arms; its
interval is over seeds (95 %, Student's t). FILE is written after every run; a run that DIR has is not made again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # who is ahead follows from K alone, and one thread has nobody to wait for

import torch
from common import RESULTS, commit, machine
from controls import STUDENT_T

from sharpen import loop, report
from sharpen.store import Store
from sharpen.terminal import terminal

SETTINGS = ("device=cpu", "precision=fp32")


def run(request: loop.Request, origin: Path | None) -> float:
    """Make a run that is not there yet, without `origin` to the end of its warm-up. Returns its seconds of the processor."""
    began, place = time.process_time(), request.directory
    if (place / "run.db").exists():
        with Store.open(place) as store:
            last = store.last_commit()
        if last and (last.finished or (origin is None and last.phase == "loop")):
            return 0.0
    shutil.rmtree(place, ignore_errors=True)
    loop.start(request, terminal.Quiet(), origin=origin, pause=lambda: origin is None)
    return round(time.process_time() - began, 1)


def figures(place: Path) -> dict:
    with Store.open(place) as store:
        stale = [s.get("staleness", 0.0) for s in store.steps() if s["phase"] == "loop"]
    found = report.summary(place)
    shown = {when: {key: found[when][key] for key in ("accuracy", "ci95", "n")} for when in ("before", "after")}
    return {**shown, "steps": len(stale), "staleness": statistics.fmean(stale)}


def interval(values: list[float]) -> str:
    half = STUDENT_T[len(values)] * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    return f"{100 * statistics.fmean(values):+.2f} points, {100 * half:.2f} either way"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ahead", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--out", type=Path, default="runs/ahead")
    parser.add_argument("--result", type=Path, default=RESULTS / "ahead.json")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[int, dict] = {}
    for seed in given.seeds:
        warm, found[seed] = given.out / f"{seed}-warm", {}
        request = loop.Request("quickstart", (*SETTINGS, *given.settings), seed, f"{given.steps}steps", None, None, warm)
        print(f"seed {seed}: warmed up in {run(request, None)} s of the processor", flush=True)
        for k in (0, given.ahead):
            place = given.out / f"{seed}-{k}"
            spent = run(replace(request, directory=place, ahead=k), warm)
            found[seed][k] = {**figures(place), "processor_s": spent}
            about = {"steps": given.steps, "settings": given.settings, "commit": commit(), "machine": machine(1)}
            given.result.write_text(json.dumps({**about, "seeds": found}, indent=1) + "\n")
            print(f"seed {seed}, ahead {k}: {found[seed][k]}", flush=True)
        both = [each[given.ahead]["after"]["accuracy"] - each[0]["after"]["accuracy"] for each in found.values()]
        print(f"ahead {given.ahead} against 0, {len(both)} seeds: {interval(both)}", flush=True)


if __name__ == "__main__":
    main()
