"""What an objective's coefficients cost: python bench/objectives.py [NAME …] [--seconds 20] [--against CHECKOUT]

1. For the recipes named, or all of five families: processor time of one step's learning on the embedded student, 48 responses
   of 12 to 42 tokens in groups of four (preference: pairs), and the share of it that computing coefficients takes. To be met:
   2 %. What amft spends on the gradients that it compares counts as coefficients here.
2. With --against, a checkout of another version: a plain GRPO step of both, in turn, each in a process of its own. To be met:
   no slower than before the other objectives were there.

Prints medians; one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROWS, PROMPT, LONGEST = 48, 18, 60
FAMILIES = ("policy_gradient", "preference", "supervised", "hybrid", "penalty")


def batch(group: int = 4) -> Any:
    """Judged responses in groups of so many, about half of them right (of a pair, one), as arrays."""
    import numpy as np

    from sharpen.core import Batch

    rng = np.random.default_rng(0)
    lengths = rng.integers(PROMPT + 12, LONGEST + 1, ROWS)
    mask = (np.arange(LONGEST) < lengths[:, None]).astype(np.float32)
    mask[:, :PROMPT] = 0
    tokens = rng.integers(5, 200, mask.shape)
    tokens[:, :PROMPT] = np.repeat(rng.integers(5, 200, (ROWS // group, PROMPT)), group, axis=0)
    reward = (rng.random(ROWS) < 0.5 if group > 2 else np.arange(ROWS) % 2 == 0).astype(np.float32)
    return Batch(tokens, mask, -mask, reward, np.arange(ROWS) // group, np.ones(ROWS, np.float32), lengths)


def student() -> Any:
    import torch

    from sharpen import tasks
    from sharpen.models import embedded, policy

    torch.set_num_threads(1)
    return policy.LocalPolicy(*embedded.build("tiny", tasks.gym(), 0), "fp32")


def serve() -> None:
    """A GRPO step for each line that comes in; answers with its processor seconds."""
    from sharpen.objectives import policy_gradient

    local, given = student(), batch()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.process_time()
        local.update(given, policy_gradient.grpo(), 1e-4)
        print(json.dumps(time.process_time() - start), flush=True)


def against(other: Path, seconds: float) -> None:
    """Steps of this checkout and of the other in turn, which first alternating."""
    here = Path(__file__).parents[1]
    sides = []
    for tree in (here, other):
        environment = os.environ | {"PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--serve"]
        sides.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment))
    taken: list[list[float]] = [[], []]
    for side in sides:
        assert side.stdout and side.stdout.readline() == "ready\n"
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for i in (0, 1) if turn % 2 else (1, 0):
            stdin, stdout = sides[i].stdin, sides[i].stdout
            assert stdin and stdout
            stdin.write("\n")
            stdin.flush()
            taken[i].append(float(stdout.readline()))
        turn += 1
    for side in sides:
        side.communicate(timeout=30)
    ratios = sorted(a / b for a, b in zip(taken[0][3:], taken[1][3:], strict=True))
    low, high = ratios[len(ratios) // 20], ratios[-1 - len(ratios) // 20]
    print(
        f"GRPO step, here over {other}: {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f}, 90 % of {len(ratios)} pairs)"
    )


def share(name: str, local: Any, given: Any, seconds: float) -> tuple[float, float]:
    """(processor seconds of a step, share of it spent in computing coefficients), medians."""
    import numpy as np

    from sharpen.loop import learning
    from sharpen.models import policy
    from sharpen.recipe import call
    from sharpen.recipes import catalog

    recipe = catalog.build(name)
    spent = [0.0]

    def timed(function: Any) -> Any:
        def wrapped(*arguments: Any) -> Any:
            start = time.process_time()
            found = function(*arguments)
            spent[0] += time.process_time() - start
            return found

        return wrapped

    plain = {name: getattr(policy, name) for name in ("weigh", "active")}
    shares, steps, end = [], [], time.monotonic() + seconds
    try:
        for attribute, function in plain.items():
            setattr(policy, attribute, timed(function))
        while len(steps) < 4 or time.monotonic() < end:
            spent[0], start = 0.0, time.process_time()
            offered = dict(progress=0.5, policy=local, batch=given, notes={}, losses=[1.0, 0.9])
            tableau = call(recipe.objective, **offered)
            spent[0] += time.process_time() - start
            learning.updated(local, given, tableau, 1e-5, recipe.passes, recipe.minibatches, np.random.default_rng(0))
            steps.append(time.process_time() - start)
            shares.append(spent[0] / steps[-1])
    finally:
        for attribute, function in plain.items():
            setattr(policy, attribute, function)
    return statistics.median(steps[1:]), statistics.median(shares[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the comparison with --against")
    parser.add_argument("--each", type=float, default=2.0, help="seconds for each recipe")
    parser.add_argument("--against", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve()
        return
    if given.against:
        against(given.against, given.seconds)
        return
    import tempfile

    from sharpen.recipes import catalog

    local = student()
    with tempfile.TemporaryDirectory() as directory:
        local.save(Path(directory))
        local.refer(directory)
        for info in catalog.recipes():
            if info.name in given.names or not given.names and info.family in FAMILIES:
                step, part = share(info.name, local, batch(2 if info.family == "preference" else 4), given.each)
                print(f"{info.name:<20} {1e3 * step:8.1f} ms {part:7.2%}", flush=True)


if __name__ == "__main__":
    main()
