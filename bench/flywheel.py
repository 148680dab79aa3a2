"""What growth is worth, beside controls at equal seconds: python bench/flywheel.py [--seeds 0 1 2 3 4] [--seconds 300]

    flywheel   the recipe: the student writes questions, a program and a majority label them, its pass rate screens them
    unchecked  the same growth, its labels the student's own likeliest answers, and no task is tried first
    default    the default's curriculum on the same tasks, which grows nothing
    uniform    every arm drawn equally often
    sft        no loop: imitation of worked solutions, the seed solutions of the warm-up again and again

Measured on levels that no run has seen (UNSEEN) and on those that it practises, by `sharpen eval` of the exported weights, 100
test tasks an arm. The table ends with the mean over seeds of flywheel's lead and its 95 % interval (Student's t). A run that is
there already is not made again, so that it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

from controls import SHARPEN, interval

SEEN = "spell_backward/1-4,number_filtering/1-3,number_sorting/1-3,chain_sum/1-3,word_sequence_reversal/1-4"
UNSEEN = "spell_backward/5-6,number_filtering/4-5,number_sorting/4,chain_sum/4,word_sequence_reversal/5-6"
RUNS = {
    "flywheel": ("flywheel",),
    "unchecked": ("flywheel", "--set", "checked=false"),
    "default": ("quickstart", "--tasks", SEEN),
    "uniform": ("quickstart", "--tasks", SEEN, "--set", "curriculum=uniform"),
    "sft": ("sft", "--tasks", SEEN),
}


def measured(out: Path, name: str, seed: int, seconds: int, n: int) -> dict[str, float]:
    """Accuracy of a run's accepted weights, mean over arms, on both kinds of levels."""
    directory, model = out / f"{name}-{seed}", out / f"{name}-{seed}-model"
    if not (directory / "report.html").exists():
        made = [*SHARPEN, "run", *RUNS[name], "--run-dir", str(directory), "--seed", str(seed), "--budget", f"{seconds}s loop"]
        subprocess.run([*made, "--set", "validation=20", "--set", "test=20"], check=True)
    if not model.exists():
        subprocess.run([*SHARPEN, "export", str(directory), str(model)], check=True)
    found = {}
    for kind, spec in (("seen", SEEN), ("unseen", UNSEEN)):
        file = out / f"{name}-{seed}-{kind}.json"
        if not file.exists():
            command = [*SHARPEN, "eval", str(model), "--tasks", spec, "-n", str(n), "--json"]
            file.write_text(subprocess.run(command, check=True, capture_output=True, text=True).stdout, encoding="utf-8")
        found[kind] = json.loads(file.read_text(encoding="utf-8"))["accuracy"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--only", nargs="+", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--out", type=Path, default=Path("runs/flywheel"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    found = {
        (name, seed): measured(given.out, name, seed, given.seconds, given.n) for seed in given.seeds for name in given.only
    }
    print("| run | " + " | ".join(f"seed {seed}" for seed in given.seeds) + " | mean | flywheel's lead |")
    print("|---|" + "---|" * (len(given.seeds) + 2))
    for kind in ("unseen", "seen"):
        for name in given.only:
            values = [found[name, seed][kind] for seed in given.seeds]
            lead = (
                [found["flywheel", seed][kind] - v for seed, v in zip(given.seeds, values)] if "flywheel" in given.only else []
            )
            shown = [f"{v:.1%}" for v in values]
            print(
                f"| {name}, {kind} | {' | '.join(shown)} | {interval(values)} | {interval(lead) if lead else ''} |", flush=True
            )


if __name__ == "__main__":
    main()
