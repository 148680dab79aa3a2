"""Held-out curves of many cheap runs, to see what a prediction of them is worth: python bench/curves.py [--record]

Without --record: how often, half way, the 90 % interval of `control.expected` covers what the run came to, over the curves in
bench/results/curves.json, and how far off its middle is; the same at a quarter and at three quarters.

With --record: makes those curves that are missing there. The student is `micro`, and 20 rounds of one recipe each are guarded by
`always`, so that a curve is that of training. A run takes about half a minute on one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "curves.json"
ROUNDS = 20
SHARED = ("student=micro", "guard=always", "validation=50", "test=1", "prompts=16", "samples=4", "warmup_rows=32")
# Name: (recipe, settings). Many rates, from too small to harmful, and shapes from a plateau to a late rise.
RUNS: dict[str, tuple[str, tuple[str, ...]]] = {
    f"{recipe}-{warmup}-{lr}": (recipe, (f"warmup_steps={warmup}", f"lr={lr}", f"tasks={tasks}"))
    for recipe, warmup, lr, tasks in (
        ("rft", 60, "1e-3", "spell_backward/1-2,number_sorting/1"),
        ("rft", 120, "3e-3", "spell_backward/1-3,number_sorting/1-2"),
        ("grpo", 120, "3e-4", "spell_backward/1-2,number_sorting/1"),
        ("grpo", 150, "1e-3", "spell_backward/1-3,number_sorting/1-2"),
        ("dapo", 120, "1e-3", "spell_backward/1-3,number_sorting/1-2"),
        ("sft", 30, "1e-3", "spell_backward/1-2,number_sorting/1"),
        ("sft", 0, "2e-3", "spell_backward/1-3,number_sorting/1-2"),
        ("quickstart", 60, "2e-3", "spell_backward/1-3,number_sorting/1-2"),
        ("quickstart", 120, "8e-4", "spell_backward/1-2,number_sorting/1"),
        ("grpo", 120, "1e-2", "spell_backward/1-2,number_sorting/1"),
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=9.0, help="no run is begun later")
    given = parser.parse_args()
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    if given.record:
        began = time.monotonic()
        for seed in given.seeds:
            for name in RUNS:
                if any(c["run"] == name and c["seed"] == seed for c in known) or time.monotonic() - began > given.minutes * 60:
                    continue
                with tempfile.TemporaryDirectory() as directory:
                    known.append(record(name, seed, given.steps, Path(directory) / "run"))
                print(known[-1], flush=True)
                RESULTS.write_text("[\n" + ",\n".join(json.dumps(c) for c in known) + "\n]\n")


if __name__ == "__main__":
    main()
