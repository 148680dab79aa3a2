"""Held-out curves of many cheap runs, to see what a prediction of them is worth: python bench/curves.py [--record]

Without --record: how often, half way, the 90 % interval of `control.expected` covers what the run came to, over the curves in
bench/results/curves.json, and how far off its middle is; the same at a quarter and at three quarters.

With --record: makes those curves that are missing there, of 20 rounds each.

1. Real ones: the student `micro` under one recipe, guarded by `always`, so that a curve is that of training. Half a minute
   each on one core. Those that the doctor ended are left out.
2. Simulated ones: the bandit of curriculum/testbed.py under a curriculum, in many worlds. Milliseconds each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from sharpen import curriculum
from sharpen.core import FatalDiagnosis
from sharpen.curriculum.testbed import Bandit, run
from sharpen.guard import prediction

RESULTS = Path(__file__).parent / "results" / "curves.json"
ROUNDS = 20
SHARED = (
    *("student=micro", "guard=always", "validation=60", "test=1", "prompts=12", "samples=4", "warmup_rows=32", "max_tokens=16"),
    *("warmup_lr=4e-3", "warmup_levels=1", "warmup_demos=0", "unreadable_limit=1"),
)
TASKS = "spell_backward/1-2,number_sorting/1-2"
# Name: (recipe, settings). From rates that are too small to harmful ones, and from worked solutions to none.
RUNS: dict[str, tuple[str, tuple[str, ...]]] = {
    f"{recipe}-{warmup}-{lr}": (recipe, (f"warmup_steps={warmup}", f"lr={lr}", f"tasks={TASKS}"))
    for recipe, warmup, lr in (
        ("quickstart", 200, "2e-3"),
        ("sft", 200, "2e-3"),
        ("sft", 120, "3e-4"),
        ("rft", 150, "1e-3"),
        ("rft", 200, "3e-4"),
        ("grpo", 150, "1e-3"),
        ("grpo", 200, "3e-4"),
        ("dapo", 150, "5e-4"),
        ("grpo", 200, "5e-3"),
    )
}


def record(name: str, seed: int, steps: int, place: Path) -> dict[str, Any]:
    """One run's accuracy on validation after each round, its start first."""
    from sharpen.loop import loop
    from sharpen.store import Store
    from sharpen.terminal import terminal

    recipe, settings = RUNS[name]
    settings = (*SHARED, *settings, f"round_steps={steps // ROUNDS}")
    began = time.monotonic()
    loop.start(loop.Request(recipe, settings, seed, f"{steps}steps", None, None, place), terminal.Quiet())
    with Store.open(place) as store:
        rounds = store.rounds()
    found = {"accuracy": [round(r["accuracy"], 5) for r in rounds], "n": rounds[-1]["n"], "seconds": time.monotonic() - began}
    return {"run": name, "seed": seed, "steps": steps, **found}


# Simulated: difficulties, how fast practice teaches, how fast it is forgotten, what a skill is worth to its neighbours.
BANDITS = [
    Bandit(difficulty, transfer, rate, decay)
    for difficulty in ((-1.0, 1.0, 3.0, 5.0), (0.0, 0.5, 1.0, 1.5, 2.0), (2.0, 3.0, 4.0, 5.0, 6.0), (-2.0, -1.0, 0.0, 4.0, 8.0))
    for transfer, rate, decay in ((0.3, 0.5, 0.0), (0.1, 0.1, 0.0), (0.3, 0.02, 0.0), (0.3, 0.1, 0.02), (0.6, 0.05, 0.005))
]
CURRICULA = {"uniform": curriculum.uniform, "sec": curriculum.sec}


def simulated() -> list[dict[str, Any]]:
    """Every world under every curriculum, once, validated on 20 or 100 tasks an arm."""
    found = []
    for i, world in enumerate(BANDITS):
        for name, chosen in CURRICULA.items():
            size = 20 if i % 2 else 100
            trace = run(chosen, world, steps=ROUNDS * 10 + 1, prompts=8, samples=4, seed=i, validation=size)
            accuracy = [round(e.accuracy, 5) for e in trace.state.evaluations]
            found.append({"run": f"bandit-{i}-{name}", "seed": i, "accuracy": accuracy, "n": size * len(world.arms)})
    return found


def covered(curves: list[dict[str, Any]], at: float) -> str:
    """What the predictions made at this share of each run are worth."""
    hits, errors, widths = [], [], []
    for one in curves:
        y = one["accuracy"]
        seen = round(at * (len(y) - 1)) + 1
        end = prediction.expected([i / (len(y) - 1) for i in range(seen)], y[:seen], [one["n"]] * seen)
        assert end is not None
        hits.append(end.low <= y[-1] <= end.high)
        errors.append(abs(end.value - y[-1]))
        widths.append(end.high - end.low)
    n = len(curves)
    return (
        f"at {at:.0%}: {sum(hits)} of {n} covered ({sum(hits) / n:.0%}), middle off by {100 * sum(errors) / n:.1f} points, "
        f"interval {100 * sum(widths) / n:.1f} points wide"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=9.0, help="no run is begun later")
    given = parser.parse_args()
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    if given.record:
        known = [c for c in known if not c["run"].startswith("bandit")] + simulated()
        save(known)
        began = time.monotonic()
        for seed in given.seeds:
            for name in RUNS:
                if any(c["run"] == name and c["seed"] == seed for c in known) or time.monotonic() - began > given.minutes * 60:
                    continue
                try:
                    with tempfile.TemporaryDirectory() as directory:
                        known.append(record(name, seed, given.steps, Path(directory) / "run"))
                except FatalDiagnosis as found:
                    print(f"{name} {seed}: {found}", flush=True)
                    continue
                print(known[-1], flush=True)
                save(known)
    for kind, some in (("real", [c for c in known if "steps" in c]), ("simulated", [c for c in known if "steps" not in c])):
        for at in (0.25, 0.5, 0.75) if some else ():
            print(f"{kind}, {covered(some, at)}")


def save(curves: list[dict[str, Any]]) -> None:
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(c) for c in curves) + "\n]\n")


if __name__ == "__main__":
    main()
