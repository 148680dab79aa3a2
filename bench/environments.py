"""Thousands of environments side by side, some of which fail, hang or return garbage: is anything lost, and what does it cost?

    python bench/environments.py --environments 2000 --turns 20

Prints the throughput without and with faults, how the rollouts came out, and the memory before and after.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from sharpen import rollouts
from sharpen.core import Sampling, Task
from sharpen.models import ScriptedPolicy
from sharpen.verify import judge, verify

SOURCE = '''
import threading
class World:
    def reset(self, task):
        self.n, self.fault, self.at = 0, task.get("fault"), task.get("at", 0)
        return "go"
    def go(self, far: int) -> str:
        """Go on."""
        self.n += 1
        if self.fault and self.n == self.at:
            if self.fault == "fails":
                raise OSError("by design")
            if self.fault == "hangs":
                threading.Event().wait()
            return object()
        return str(self.n)
    def reward(self):
        return 1.0 if self.n == {turns} else 0.5
'''
SHARES = {"fails": 0.05, "hangs": 0.02, "garbage": 0.01}


def resident() -> float:
    """MB of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0, help="deadline of a step")
    asked = parser.parse_args()
    place = Path(tempfile.mkdtemp()) / "world.py"
    place.write_text(SOURCE.replace("{turns}", str(asked.turns)))
    draw = random.Random(0)
    faults = [f for f, share in SHARES.items() for _ in range(round(share * asked.environments))]
    faults += [""] * (asked.environments - len(faults))
    draw.shuffle(faults)
    rates = {}
    for name, listed in (("warm", [""] * 50), ("without faults", [""] * asked.environments), ("with faults", faults)):
        before, began = resident(), time.perf_counter()
        made, outcomes = played(place, listed, asked, draw)
        seconds = time.perf_counter() - began
        steps = sum(asked.turns if not fault else 0 for fault in listed)
        rates[name] = steps / seconds
        print(
            f"{name}: {len(made)} rollouts, {seconds:.1f} s, {steps / seconds:,.0f} honest steps/s, {dict(outcomes)}",
            flush=True,
        )
        print(f"  memory {before:.0f} -> {resident():.0f} MB, {threading.active_count()} threads", flush=True)
        wrong = [i for i, s in enumerate(outcomes_of(made)) if (s == "unscorable") != bool(listed[i])]
        print(f"  lost or wrongly scored: {len(wrong)}", flush=True)
    honest = (asked.environments - sum(map(bool, faults))) / asked.environments
    print(f"throughput with faults: {rates['with faults'] / rates['without faults'] / honest:.0%} for each honest environment")


def outcomes_of(made) -> list[str]:
    return [s.verdict.outcome for s in judge(made, range(len(made)), verify)]


def played(place: Path, faults: list[str], asked: argparse.Namespace, draw: random.Random):
    tasks = [
        Task(
            (),
            None,
            "world",
            1,
            verifier="environment",
            data={"seed": i, "silent": True, "fault": f, "at": draw.randint(1, asked.turns)},
        )
        for i, f in enumerate(faults)
    ]

    def acted(task: Task):
        return rollouts.acting(task, f"{place}:World", turns=asked.turns, seconds=asked.seconds, told=False)

    policy = ScriptedPolicy(lambda messages: "go(far=1)")
    ids = [f"r{i}" for i in range(len(tasks))]
    made = rollouts.drive(policy, acted, tasks, ids, seed=0, max_tokens=100, sampling=Sampling())
    return made, Counter(outcomes_of(made))


if __name__ == "__main__":
    main()
