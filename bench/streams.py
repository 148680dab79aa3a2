"""Guards against forgetting, on a stream of six task sets, by the two-phase protocol: python bench/streams.py DIR [--minutes 9]

Six rules on short words, learnt one after the other from worked solutions by an embedded student; that is a stream. Each guard
has a few settings. Phase one: every setting on a first stream, one seed. Phase two: the best of each guard, by average
accuracy, on a second stream, of other rules, with other seeds. So no setting is judged where it was chosen (arXiv 2403.09066).
Two bounds stand beside them: naive, one set after the other without a guard, and joint, all sets at once for as many steps.

It works in pieces: each run is one line of DIR/results.jsonl, and what is there is not done again. Called again, it goes on;
what is finished is printed as a table, the cost in seconds of a method's own work.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from sharpen import report
from sharpen.guard import forgetting
from sharpen.loop import Request, start
from sharpen.terminal import Quiet

LETTERS = "abcdef"
RULES: dict[str, Callable[[str], str]] = {
    "copy": lambda w: w,
    "reverse": lambda w: w[::-1],
    "shift": lambda w: "".join(LETTERS[(LETTERS.index(c) + 1) % 6] for c in w),
    "first": lambda w: w[0],
    "sort": lambda w: "".join(sorted(w)),
    "twice": lambda w: w[0] + w,
    "mirror": lambda w: "".join(LETTERS[5 - LETTERS.index(c)] for c in w),
    "last": lambda w: w[-1],
    "rotate": lambda w: w[1:] + w[0],
    "back": lambda w: "".join(LETTERS[(LETTERS.index(c) - 1) % 6] for c in w),
    "fall": lambda w: "".join(sorted(w, reverse=True)),
    "ends": lambda w: w[0] + w[-1],
}
TUNED, JUDGED = list(RULES)[:6], list(RULES)[6:]
STEPS = 32  # of each set
SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_steps=0", "prompts=48", "max_tokens=6", "round_steps=8", "validation=16"),
    *("test=1", "lr=0.004", "unreadable_limit=1"),
)
GUARDS: dict[str, list[tuple[str, ...]]] = {
    "naive": [()],
    "replay": [("share=0.25",), ("share=0.5",)],
    "ewc": [("strength=100",), ("strength=10000",)],
    "joint": [()],
    "lwf": [("alpha=0.5",), ("alpha=2",)],
    "weight_averaging": [("alpha=0.4",), ("alpha=0.7",)],
    "der": [("alpha=0.1",), ("alpha=0.5",)],
    "gpm": [("energy=0.9",), ("energy=0.99",)],
    "sparse_masks": [("layers=uniform",), ("layers=erk",)],
    "agem": [("share=0.5",)],
    "spaced_replay": [("share=0.25",), ("share=0.5",)],
    "refresh": [("delta=0.01",), ("delta=0.001",)],
    "online_ewc": [("strength=100",), ("strength=10000",)],
    "hardest_replay": [("share=0.25",), ("share=0.5",)],
}


def write_tasks(folder: Path, rule: str) -> Path:
    """Four hundred words and what the rule makes of them."""
    path, rng = folder / f"{rule}.jsonl", random.Random(0)
    words = sorted({"".join(rng.choices(LETTERS, k=rng.randint(2, 4))) for _ in range(500)})[:400]
    lines = [{"prompt": f"{rule} {w}", "answer": RULES[rule](w), "solution": RULES[rule](w), "family": rule} for w in words]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def jobs(
    done: dict[str, dict[str, Any]], seeds: int, untuned: bool
) -> Iterator[tuple[str, str, tuple[str, ...], list[str], int]]:
    """(name, guard, knobs, rules, seed): all of phase one, then what phase two makes of it."""
    for guard, listed in GUARDS.items():
        for knobs in listed if len(listed) > 1 and not untuned else ():
            yield f"tune {guard} {' '.join(knobs)}", guard, knobs, TUNED, 0
    for seed in range(1, 1 + seeds):
        for guard, listed in GUARDS.items():
            knobs = listed[-1] if untuned else chosen(done, guard)
            if knobs is not None:
                yield f"judge {guard} {seed}", guard, knobs, JUDGED, seed


def chosen(done: dict[str, dict[str, Any]], guard: str) -> tuple[str, ...] | None:
    """The setting of a guard that was best on the first stream; None where that is not known yet."""
    listed = GUARDS[guard]
    if len(listed) == 1:
        return listed[0]
    scores = {" ".join(k): done.get(f"tune {guard} {' '.join(k)}") for k in listed}
    if None in scores.values():
        return None
    best = forgetting.two_phases(*[{k: [v["average"]] for k, v in scores.items() if v}] * 2)[0]
    return next(k for k in listed if " ".join(k) == best)


def run(folder: Path, guard: str, knobs: tuple[str, ...], rules: list[str], seed: int) -> dict[str, Any]:
    """One run, and what it came to."""
    files = [str(write_tasks(folder, rule)) for rule in rules]
    directory = folder / f"{guard}-{'-'.join(knobs)}-{seed}-{rules[0]}"
    recipe = "sft" if guard in ("naive", "joint") else guard
    stream = () if guard == "joint" else (f"stream={','.join(files)}",)
    steps = STEPS * len(rules)
    request = Request(
        recipe, (*SETTINGS, *knobs, *stream), seed, f"{steps}steps", None, ",".join(files), directory, commit_s=1e9
    )
    began = time.monotonic()
    start(request, Quiet())
    found, made = report.summary(directory), time.monotonic() - began
    streamed = found["stream"]
    if streamed is None:  # joint: the last evaluation is all there is
        return {"average": found["rounds"][-1]["accuracy"], "seconds": made}
    return {**streamed["numbers"], "matrix": streamed["matrix"], "seconds": made}


def table(done: dict[str, dict[str, Any]], untuned: bool) -> str:
    """What phase two came to, best average first."""
    rows = []
    for guard in GUARDS:
        found = [v for k, v in done.items() if k.startswith(f"judge {guard} ")]
        if found:
            said = (GUARDS[guard][-1] if untuned else chosen(done, guard)) or ()
            mean = {k: fmean(v[k] for v in found if v.get(k) is not None) for k in found[0] if isinstance(found[0][k], float)}
            spread = max(v["average"] for v in found) - min(v["average"] for v in found)
            rows.append((mean, guard, " ".join(said), len(found), spread))
    names = ("guard", "setting", "seeds", "average", "range", "forgetting", "worst case", "stability gap", "seconds")
    head = f"| {' | '.join(names)} |\n{'|---' * len(names)}|"

    def cell(mean: dict[str, float], name: str) -> str:
        return f"{100 * mean[name]:.1f}" if name in mean else "–"

    lines = []
    for m, guard, said, n, spread in sorted(rows, key=lambda row: -row[0]["average"]):
        figures = [cell(m, name) for name in ("forgetting", "worst_case", "stability_gap")]
        cells = [guard, said, str(n), cell(m, "average"), f"{100 * spread:.1f}", *figures, f"{m['seconds']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([head, *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--minutes", type=float, default=9.0, help="begin nothing after so long")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--untuned", action="store_true", help="leave phase one out: the last setting of each guard")
    asked = parser.parse_args()
    asked.directory.mkdir(parents=True, exist_ok=True)
    kept, began = asked.directory / "results.jsonl", time.monotonic()
    done = {r["name"]: r for r in map(json.loads, kept.read_text().splitlines())} if kept.exists() else {}
    while time.monotonic() - began < 60 * asked.minutes:
        left = (job for job in jobs(done, asked.seeds, asked.untuned) if job[0] not in done)
        if (job := next(left, None)) is None:
            break
        name, *rest = job
        done[name] = {"name": name, **run(asked.directory, *rest)}
        with kept.open("a") as file:
            file.write(json.dumps(done[name]) + "\n")
        print(f"{name}: {100 * done[name]['average']:.1f} % in {done[name]['seconds']:.0f} s", flush=True)
    print(table(done, asked.untuned))


if __name__ == "__main__":
    main()
