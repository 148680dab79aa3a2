"""What a tiny student recovers of the gap between a micro supervisor and right answers: python bench/weak_to_strong.py [NAME …]

    runs     six ways to learn from the weak model, the naive one among them, on facts with and without contexts; --seeds
    steps    errors in steps against errors in outcomes, spread and systematic: on a table, exactly
    deceive  a conflict of aims on two blocks of features, of which the weak model sees one: by capability gap

The weak model is the micro student after few steps of imitation, the ceiling the tiny one with right answers and as many steps
as each way has. Gaps are of the test split, by resampling its tasks. A run that is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

SMALL = (
    *("precision=fp32", "warmup_steps=0", "max_tokens=24", "round_steps=1000", "validation=4", "test=20", "prompt_suffix="),
    *("lr=0.002",),
)
ROWS = ("prompts=64", "samples=1")
GROUPS = ("prompts=16", "samples=5")
WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "all that it says": ("w2sr", ROWS),
    "what is right of it (gold)": ("w2sr", ("keep=right", *ROWS)),
    "what both say": ("w2s_reasoning", ("agree=1.0", "agree.prompts=64", "agree.samples=1")),
    "both, then contrast": ("w2s_reasoning", ("agree=0.6", *(f"agree.{s}" for s in ROWS), *(f"contrast.{s}" for s in GROUPS))),
    "confidence in oneself": ("weak_to_strong", ROWS),
    "contrast alone": ("w2s_reasoning", ("agree=0", *(f"contrast.{s}" for s in GROUPS))),
}
STEPS = 60


def made(directory: Path, recipe: str, settings: tuple[str, ...], seed: int, steps: int, *roles: str) -> dict[str, list[bool]]:
    """{arm: whether each test task is solved at the end}. The trained weights stay in directory/model."""
    import shutil

    from sharpen.loop import Request, start
    from sharpen.store import Store
    from sharpen.terminal import Quiet

    kept = directory / "solved.json"
    if not kept.exists():
        directory.mkdir(parents=True, exist_ok=True)
        request = Request(recipe, settings, seed, f"{steps}steps", None, "facts", directory / "run", roles=roles)
        start(request, Quiet())
        with Store.open(directory / "run") as store:
            last = store.last_commit()
            assert last is not None and last.accepted is not None
            (newest,) = store.rows("SELECT max(round) FROM evaluations WHERE purpose = 'test'")[0]
            found = store.evaluation(newest, "test")
            assert found is not None
            shutil.copytree(store.checkpoint_path(last.accepted), directory / "model", dirs_exist_ok=True)
        kept.write_text(json.dumps({str(arm): list(map(bool, solved)) for arm, solved in found.correct.items()}))
    return json.loads(kept.read_text())


def flat(solved: dict[str, list[bool]]) -> list[bool]:
    return [right for arm in sorted(solved) for right in solved[arm]]


def runs(out: Path, seeds: list[int], ways: list[str]) -> None:
    from sharpen.compare import gaps

    table: dict[str, list[Any]] = {}
    for seed in seeds:
        imitate = (*SMALL, *ROWS)
        weak = flat(made(out / f"weak-{seed}", "sft", ("student=micro", *imitate), seed, STEPS // 2))
        ceiling = flat(made(out / f"ceiling-{seed}", "sft", ("student=tiny", *imitate), seed, STEPS))
        print(f"seed {seed}: weak {np.mean(weak):.1%}, ceiling {np.mean(ceiling):.1%}", flush=True)
        teacher = out / f"weak-{seed}" / "model"
        for number, (name, (recipe, more)) in enumerate(WAYS.items()):
            if ways and name not in ways:
                continue
            role = "teacher" if recipe == "weak_to_strong" else "weak"
            student = flat(
                made(out / f"{number}-{seed}", recipe, ("student=tiny", *SMALL, *more), seed, STEPS, f"{role}={teacher}")
            )
            found = gaps.gap(weak, student, ceiling, seed)
            said = f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})" if found else gaps.why_none(weak, ceiling)
            print(f"seed {seed}: {name}: {np.mean(student):.1%}, gap recovered {said}", flush=True)
            table.setdefault(name, []).append(found.value if found else float("nan"))
    for name, values in table.items():
        print(f"| {name} | {statistics.fmean(values):.2f} | {', '.join(f'{v:.2f}' for v in values)} |")


def steps() -> None:
    """Teachers of chains of eight steps, each wrong at a rate: right ends, and what a table tuned on all of it knows."""
    from sharpen.data import noisy

    for systematic in (False, True):
        for wrong in (0.1, 0.25, 0.4, 0.48, 0.52, 0.6, 0.8):
            found = noisy.outcome_of(noisy.Steps(wrong, systematic), 8, 8000)
            kind = "the same error" if systematic else "any error"
            told = f"learnable {noisy.learnable(wrong, 10, systematic)}"
            print(f"{kind} at {wrong:.2f}: right ends {found.taught:.1%}, steps learnt {found.learnt:.1%}, {told}")


def deceive(n: int = 4000, seed: int = 0) -> None:
    """Labels follow twenty features, of which the weak model sees some. The strong one begins with what it knows of all, and is
    tuned on the weak labels for a while; with the conflict half a loss more rewards being wrong on what it has wrong. Whether
    errors go where the weak model cannot see, the ratio says: 1 would be errors that do not look."""
    from sharpen.compare import gaps

    rng = np.random.default_rng(seed)
    w = rng.normal(size=20)
    x, held = rng.normal(size=(n, 20)), rng.normal(size=(n, 20))
    y, right = (x @ w > 0).astype(float), held @ w > 0

    def fitted(
        features: np.ndarray, label: np.ndarray, conflict: float = 0.0, start: Any = 0.0, steps: int = 300
    ) -> np.ndarray:
        v = np.zeros(features.shape[1]) + start
        for _ in range(steps):
            p = 1 / (1 + np.exp(-features @ v))
            against = conflict * (p - (1 - y)) * ((p > 0.5) != (y > 0.5))
            v -= 1.0 * features.T @ (p - label + against) / n
        return v

    for seen in (8, 12, 16):
        mask = np.arange(20) < seen
        weak = fitted(x * mask, y)
        label = 1 / (1 + np.exp(-(x * mask) @ weak))
        strong = fitted(x, y)
        without, with_it = (fitted(x, label, conflict, 0.5 * strong, 20) for conflict in (0.0, 0.5))
        known = [(held @ v > 0) == right for v in (without, with_it, strong)]
        weak_knows = ((held * mask) @ weak > 0) == right
        found = gaps.deception(*known, weak_knows)
        shares = f"score {found.score:.2f}, base {found.base:.2f}, ratio {found.ratio:.2f}"
        print(f"weak sees {seen} of 20: tax {found.tax:.1%}, {shares}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="runs, steps, deceive; all unless named")
    parser.add_argument("--ways", nargs="*", default=[], help=f"of {', '.join(WAYS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/weak_to_strong"))
    asked = parser.parse_args()
    names = asked.names or ["steps", "deceive", "runs"]
    if "steps" in names:
        steps()
    if "deceive" in names:
        deceive()
    if "runs" in names:
        runs(asked.out, asked.seeds, asked.ways)


if __name__ == "__main__":
    main()
