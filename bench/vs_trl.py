"""One step of GRPO, sharpen's beside TRL's: python bench/vs_trl.py [--shape main small] [--json] [--save]

The same weights, prompts, reward, objective, optimiser, lengths and threads; generation, reward and update are all in the step.
Every contender has a process of its own, pinned to the same cores, and they make their steps in turn, so that a machine's drift
hits all alike; a step that something else disturbed is made again (quiet.py). Building, compiling and the first steps are timed
apart. Before all that a gate: loss and gradient on one batch equal TRL's (gate.py), or the benchmark fails. The ratio is to the
fastest variant of TRL in the same run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import common
from common import SHAPES, Shape
from contenders import TRL, ask, open_contender, started
from gate import TOLERANCE, gate
from limit import limit
from quiet import DISTURBED, measured, wait_for_quiet

WARM_UP = 3  # steps that are not counted: they compile, and fill caches
ATTEMPTS = 4  # at a step that something else disturbs; the last one counts
JOB = 600.0  # seconds of the job over which warming up is spread
GUARDED = ("ratio_to_better_trl", "sharpen_completions_per_second", "decode_tokens_per_second", "training_tokens_per_second")


def once(work: Callable[..., None], shape: Shape, model: Path) -> dict[str, Any]:
    process, connection = started(work, shape, model)
    try:
        return ask(connection)
    finally:
        process.join(30)


@dataclass(frozen=True)
class Race:
    """hello: what each contender said on opening. warm_up, plain, silent: its steps; `silent` where half of the groups are.
    foreign: the largest share of the cores' time that others took in a step that counts."""

    hello: Mapping[str, dict]
    warm_up: Mapping[str, list[dict]]
    plain: Mapping[str, list[dict]]
    silent: Mapping[str, list[dict]]
    foreign: float


def race(names: Sequence[str], shape: Shape, model: Path, rounds: int, patience: float) -> Race:
    opened = {name: open_contender(name, shape, model) for name in names}
    processes = [process.pid for process, _ in opened.values()]
    worst = [0.0]

    def step(name: str, command: str) -> dict[str, Any]:
        for attempt in range(ATTEMPTS):
            wait_for_quiet(processes, patience)
            made = measured(lambda: ask(opened[name][1], command), processes)
            say(f"{name}: {shape.rows / made.answer['seconds']:.1f} completions/s" + ("" if made.quiet else ", disturbed"))
            if made.quiet or attempt == ATTEMPTS - 1:
                worst[0] = max(worst[0], made.foreign)
                return made.answer
        raise AssertionError

    hello = {name: ask(connection) for name, (_, connection) in opened.items()}
    warm_up: dict[str, list] = {}
    for name in names:
        wait_for_quiet(processes, patience)
        warm_up[name] = [ask(opened[name][1], "plain") for _ in range(WARM_UP)]
    plain: dict[str, list] = {name: [] for name in names}
    for _ in range(rounds):
        for name, steps in plain.items():
            steps.append(step(name, "plain"))
    silent: dict[str, list] = {name: [] for name in ("sharpen", better_trl(plain))}
    for _ in range(rounds):
        for name, steps in silent.items():
            steps.append(step(name, "silent"))
    for process, connection in opened.values():
        connection.send("stop")
        process.join(60)
    return Race(hello, warm_up, plain, silent, worst[0])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def better_trl(plain: Mapping[str, list[dict]]) -> str:
    """The variant of TRL with the smallest median time of a step."""
    return min((n for n in plain if n != "sharpen"), key=lambda n: statistics.median(s["seconds"] for s in plain[n]))


def figures_of(raced: Race, name: str, shape: Shape) -> dict[str, Any]:
    """What one contender's steps come to."""
    counted, opening = raced.plain[name], raced.hello[name]
    median = {key: statistics.median(s[key] for s in counted) for key in ("seconds", "generate", "judge", "learn")}
    first = sum(s["seconds"] for s in raced.warm_up[name])
    warm_up = opening["seconds"] + max(first - WARM_UP * median["seconds"], 0.0)
    return {
        "completions_per_second": common.spread([shape.rows / s["seconds"] for s in counted]),
        "completions_per_second_in_ten_minutes": (JOB - warm_up) / JOB * shape.rows / median["seconds"],
        "warm_up_seconds": warm_up,
        "seconds": median,
        "decode_tokens_per_second": statistics.median(s["tokens"] / s["generate"] for s in counted),
        "training_tokens_per_second": statistics.median(s["row_tokens"] / s["learn"] for s in counted),
        "mean_length": statistics.fmean(s["tokens"] for s in counted) / shape.rows,
        "peak_mb": counted[-1]["peak_mb"],
        "bf16": opening["bf16"],
    }


def compare(shape: Shape, names: Sequence[str], rounds: int, patience: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        uneven, model = Path(folder) / "uneven", Path(folder) / "model"
        common.build_model(uneven, ends=True)
        parameters = common.build_model(model, shape.ends)
        checked = once(gate, replace(shape, ends=True), uneven)
        say(f"gate: loss off by {checked['loss_error']:.1e}, gradient by {checked['gradient_error']:.1e} of TRL's")
        bound = once(limit, shape, model)
        raced = race(["sharpen", *names], shape, model, rounds, patience)
    found = {name: figures_of(raced, name, shape) for name in raced.plain}
    better, ours = better_trl(raced.plain), found["sharpen"]
    pairs = zip(raced.plain["sharpen"], raced.plain[better], strict=True)
    in_ten_minutes = max(found[name]["completions_per_second_in_ten_minutes"] for name in names)
    half = {name: shape.rows / statistics.median(s["seconds"] for s in steps) for name, steps in raced.silent.items()}
    return {
        "shape": asdict(shape),
        "model": {**common.MODEL, "vocabulary": 100, "parameters": parameters},
        "rounds": rounds,
        "disturbed": raced.foreign,
        "gate": {**checked, "tolerance": TOLERANCE},
        "better_trl": better,
        "ratio_to_better_trl": found[better]["seconds"]["seconds"] / ours["seconds"]["seconds"],
        "ratio_in_single_rounds": common.spread([theirs["seconds"] / own["seconds"] for own, theirs in pairs]),
        "ratio_in_ten_minutes": ours["completions_per_second_in_ten_minutes"] / in_ten_minutes,
        "memory_ratio_to_better_trl": ours["peak_mb"] / found[better]["peak_mb"] if ours["peak_mb"] else None,
        "sharpen_completions_per_second": ours["completions_per_second"]["median"],
        "decode_tokens_per_second": ours["decode_tokens_per_second"],
        "training_tokens_per_second": ours["training_tokens_per_second"],
        "limit": bound,
        "share_of_limit": {
            key: ours[key]["median"] / bound[key] if key == "completions_per_second" else ours[key] / bound[key]
            for key in ("completions_per_second", "decode_tokens_per_second", "training_tokens_per_second")
        },
        "half_of_the_groups_silent": {**half, "ratio": half["sharpen"] / half[better]},
        "contenders": found,
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for a person."""
    shape, share, bound = figures["shape"], figures["share_of_limit"], figures["limit"]
    head = f"{'':20}{'compl./s':>9} {'(spread)':>14}{'generate':>10}{'learn':>8}{'decode tok/s':>14}{'peak MB':>9}"
    lines = [
        f"{shape['prompts']} x {shape['samples']} completions of {shape['tokens']} tokens, {shape['threads']} threads",
        head + f"{'warm-up s':>11}",
    ]
    for name, f in figures["contenders"].items():
        rate, s = f["completions_per_second"], f["seconds"]
        lines.append(
            f"{name:20}{rate['median']:9.1f} {rate['low']:6.1f}–{rate['high']:<7.1f}{s['generate']:9.2f}{s['learn']:9.2f}"
            f"{f['decode_tokens_per_second']:13,.0f}{f['peak_mb'] or 0:9.0f}{f['warm_up_seconds']:10.1f}"
        )
    half = figures["half_of_the_groups_silent"]["ratio"]
    lines += [
        f"{figures['ratio_to_better_trl']:.2f} x {figures['better_trl']}; with warm-up spread over ten minutes "
        f"{figures['ratio_in_ten_minutes']:.2f}; with half of the groups silent {half:.2f}",
        f"the matrix products alone ({bound['dtype']}): {bound['completions_per_second']:.0f} completions/s, decoding "
        f"{bound['decode_tokens_per_second']:,.0f} tokens/s; sharpen reaches {share['completions_per_second']:.0%} and "
        f"{share['decode_tokens_per_second']:.0%}",
    ]
    if figures["disturbed"] > DISTURBED:
        lines.append(f"NOT A QUIET MACHINE: up to {figures['disturbed']:.0%} of the cores' time went to others")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", nargs="+", choices=SHAPES, default=["main"])
    parser.add_argument("--prompts", type=int)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--ends", action="store_true", default=None, help="let the end token fall, at one token in a hundred")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds to wait for quiet cores before a step")
    variants = f"of {', '.join(TRL)}; by default all, those in bf16 only where the processor multiplies it in hardware"
    parser.add_argument("--trl", nargs="+", choices=TRL, metavar="VARIANT", help=variants)
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--save", action="store_true", help="write bench/results/DATE-COMMIT.json")
    a = parser.parse_args()
    given = {k: v for k in ("prompts", "samples", "tokens", "threads", "ends") if (v := getattr(a, k)) is not None}
    shapes = {name: replace(SHAPES[name], **given) for name in a.shape}
    threads = next(iter(shapes.values())).threads
    common.pin(threads)
    everything: dict[str, Any] = {"machine": common.machine(threads), "commit": common.commit()}
    # Without that hardware a step in bf16 takes minutes.
    fast_bf16 = any("bf16" in flag for flag in everything["machine"]["flags"])
    names = a.trl or [name for name in TRL if fast_bf16 or "bf16" not in name]
    for name, shape in shapes.items():
        found = everything[name] = compare(shape, names, a.rounds, a.patience)
        if not found["gate"]["passed"]:
            say(f"the gate failed, so the figures would compare two different things: {json.dumps(found['gate'])}")
            return 1
        say(table(found))
        key = f"vs_trl {name}" + "".join(f" {k}={v}" for k, v in given.items())
        if earlier := common.previous(key, threads):
            say(f"against {earlier[0]}:\n  " + "\n  ".join(common.changes(earlier[1], found, GUARDED)))
        if a.save:
            say(f"written: {common.save(key, found, threads)}")
    if a.json:
        print(json.dumps(everything if len(shapes) > 1 else {**everything, **everything.pop(next(iter(shapes)))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
