"""A sweep of imitation whose bad runs end early: python bench/sweep.py [--seeds 0] [--out DIR]

Six settings of learning rate and rows, one of them far too low, on step chains with the micro student, at equal samples seen:
what the rule of the early signs keeps, what it costs, and the same rule inverted. Every setting is run to the end as well, to
know.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from sharpen.compare import halving
from sharpen.loop import Request, resume, start
from sharpen.store import Store
from sharpen.terminal import Quiet

SMALL = ("student=micro", "precision=fp32", "warmup_steps=0", "max_tokens=24", "validation=16", "test=4", "prompt_suffix=")
SETTINGS = {f"lr {lr:g}": lr for lr in (3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-6)}
RUNG, WHOLE = 20, 80  # steps of 32 rows; a look is a mean over the rung


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=Path("runs/sweep"))
    asked = parser.parse_args()
    for seed in asked.seeds:
        place = asked.out / str(seed)

        def to(name: str, steps: int, place: Path = place, seed: int = seed) -> Path:
            """The run of a setting, at least so many steps on."""
            directory = place / name.replace(" ", "-")
            while not (directory / "run.db").exists() or len(numbers(directory)) < steps:
                more = (*SMALL, f"lr={SETTINGS[name]}", "prompts=32", "samples=1", f"round_steps={RUNG}")
                if not (directory / "run.db").exists():
                    request = Request("sft", more, seed, f"{WHOLE}steps", None, "step_chain", directory)
                    start(request, Quiet(), pause=lambda: True)
                else:
                    resume(directory, Quiet(), pause=lambda: True)
            return directory

        def look(name: str, steps: int) -> halving.Early:
            seen = numbers(to(name, steps))[:steps]
            return halving.Early(*(statistics.fmean(step[key] for step in seen) for key in ("grad_norm", "loss")))

        def score(name: str) -> float:
            with Store.open(to(name, WHOLE)) as store:
                return float(store.rounds()[-1]["accuracy"])

        every = {name: score(name) for name in SETTINGS}
        for inverted in (False, True):
            found = halving.sweep(list(SETTINGS), look, score, (RUNG, 2 * RUNG), WHOLE, inverted=inverted)
            kept = {name: round(value, 3) for name, value in found.scores.items()}
            print(
                json.dumps({"seed": seed, "inverted": inverted, "best": found.best, "kept": kept, "cost": round(found.cost, 2)})
            )
        print(json.dumps({"seed": seed, "all": {name: round(value, 3) for name, value in every.items()}}), flush=True)


def numbers(directory: Path) -> list[dict]:
    """What each loop step measured."""
    with Store.open(directory) as store:
        return [json.loads(stats) for (stats,) in store.rows("SELECT stats FROM steps WHERE phase = 'loop' ORDER BY step")]


if __name__ == "__main__":
    main()
