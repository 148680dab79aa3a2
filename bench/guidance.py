"""Ten ways to help a student where it never succeeds, beside none: python bench/guidance.py [WAY …] [--seeds 0 1 2] [--out DIR]

The micro student, warmed up on the shortest words to spell backwards, is at 0 % on longer ones. Each way has the same budget of
its own sampled tokens, and the same warm-up; the worked solutions that `sft` imitates count as tokens. Figures are of the test
split, which is never helped: the mean over the hardest arms, those at 0 % at the start, and over the others. A run that is
there already is not made again, so the table can be filled in several calls.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path

STUDENT_T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
SMALL = (
    *("student=micro", "precision=fp32", "warmup_steps=250", "warmup_rows=32", "warmup_levels=2", "warmup_demos=0"),
    *("prompts=16", "samples=4", "max_tokens=16", "round_steps=1000", "validation=8", "test=40", "lr=0.001", "prompt_suffix="),
)
TASKS, BUDGET = "spell_backward/1-5", "24ktokens"
WAYS = {
    "none": ("grpo", ()),
    "worked solutions alone": ("sft", ("prompts=64", "samples=1")),
    "solution instead, where all fail": ("hpt", ()),
    "solution in the group": ("luffy", ()),
    "solutions in bursts": ("relift", ()),
    "own answers or an expert's": ("metis_rise", ("enhance.prompts=16", "enhance.samples=4")),
    "beginning behind the question, kept": ("ghpo", ("words=({hint})",)),
    "criteria behind the question, taken away": ("ruscarl", ()),
    "begun answers, by the clock": ("reverse_curriculum", ()),
    "begun answers, by success": ("reverse_curriculum", ("target=0.5",)),
    "begun answers, imitated": ("reverse_curriculum", ("imitated=yes",)),
}


def warmed(directory: Path, seed: int) -> Path:
    """A run that has paused after its warm-up, which all ways but one share: what is paid by criteria counts as another
    verifier."""
    from sharpen.loop import Request, start
    from sharpen.terminal import Quiet

    if not (directory / "run.db").exists():
        start(Request("grpo", SMALL, seed, BUDGET, None, TASKS, directory), Quiet(), pause=lambda: True)
    return directory


def run(directory: Path, way: str, seed: int) -> dict:
    """{arm: [right at the start, right at the end, of]} of the test split."""
    from sharpen.loop import Request, start
    from sharpen.store import Store
    from sharpen.terminal import Quiet

    kept = directory / "figures.json"
    if kept.exists():
        return json.loads(kept.read_text())
    recipe, more = WAYS[way]
    named = {s.partition("=")[0] for s in more}
    small = [s for s in SMALL if s.partition("=")[0] not in named]
    request = Request(recipe, (*small, *more), seed, BUDGET, None, TASKS, directory / "run")
    start(request, Quiet(), origin=warmed(directory.parent / f"warm-{seed}", seed) if recipe != "ruscarl" else None)
    with Store.open(directory / "run") as store:
        (newest,) = store.rows("SELECT max(round) FROM evaluations WHERE purpose = 'test'")[0]
        found = [store.evaluation(0, "before"), store.evaluation(newest, "test")]
        steps = len(store.rows("SELECT step FROM steps WHERE phase = 'loop'"))
    first, last = found
    assert first is not None and last is not None
    figures = {str(arm): [first.counts[arm][0], last.counts[arm][0], last.counts[arm][1]] for arm in last.counts}
    kept.write_text(json.dumps({"arms": figures, "steps": steps}))
    return json.loads(kept.read_text())


def interval(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.1%}"
    half = STUDENT_T.get(len(values), 2.6) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.fmean(values):.1%} ± {100 * half:.1f}"


def mean(figures: dict, hard: bool, place: int) -> float:
    """Over the arms that were at 0 % at the start, or over the others."""
    chosen = [v[place] / v[2] for v in figures["arms"].values() if (v[0] == 0) == hard]
    return statistics.fmean(chosen) if chosen else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", help=f"of {', '.join(WAYS)}; all unless named")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/guidance"))
    parser.add_argument("--table", action="store_true", help="only show what is there")
    asked = parser.parse_args()
    for seed in asked.seeds:
        for number, way in enumerate(WAYS):
            directory = asked.out / f"{number}-{seed}"
            if not asked.table and (not asked.ways or way in asked.ways):
                directory.mkdir(parents=True, exist_ok=True)
                run(directory, way, seed)
    print("| way | hardest arms | opened | the others, change | steps |\n|---|---|---|---|---|")
    for number, way in enumerate(WAYS):
        paths = [asked.out / f"{number}-{seed}" / "figures.json" for seed in asked.seeds]
        rows = [json.loads(path.read_text()) for path in paths if path.exists()]
        if not rows:
            continue
        opened = sum(v[1] > 0 for row in rows for v in row["arms"].values() if v[0] == 0)
        hardest = sum(v[0] == 0 for row in rows for v in row["arms"].values())
        change = [mean(row, False, 1) - mean(row, False, 0) for row in rows]
        hard, steps = interval([mean(row, True, 1) for row in rows]), statistics.fmean(row["steps"] for row in rows)
        print(f"| {way} | {hard} | {opened} of {hardest} | {interval(change)} | {steps:.0f} |")


if __name__ == "__main__":
    main()
