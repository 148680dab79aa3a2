"""Thousands of environments side by side, some of which fail, hang or return garbage: is anything lost, and what does it cost?

    python bench/environments.py --environments 2000 --turns 20

Prints, without and with faults: how the rollouts came out, how many were scored that should not be, or the other way round; the
memory; seconds by the clock until the last honest one was done, and until the last of all, whose deadline it may be; processor
seconds of this process, the hosts and the environments. What is compared are honest steps by the processor second, which a
machine that others use too does not change, and by the clock until the last honest one was done.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from sharpen import rollouts, workers
from sharpen.core import Act, Sampling, Task
from sharpen.environments import open_env
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


def processor() -> float:
    """Processor seconds of this process, of all below it, and of what these have reaped."""
    below: dict[int, list[int]] = {}
    own = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        pid = int(path.parent.name)
        own[pid] = sum(map(int, fields[11:15]))
        below.setdefault(int(fields[1]), []).append(pid)
    found, left = 0, [os.getpid()]
    while left:
        pid = left.pop()
        found += own.get(pid, 0)
        left += below.get(pid, ())
    return found / os.sysconf("SC_CLK_TCK")


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
    by_clock, by_processor = {}, {}
    for name, listed in (("warm", [""] * 50), ("without faults", [""] * asked.environments), ("with faults", faults)):
        before, used, began = resident(), processor(), time.perf_counter()
        made, outcomes, honest = played(place, listed, asked, draw)
        seconds, used = time.perf_counter() - began, processor() - used
        steps = asked.turns * listed.count("")
        by_clock[name], by_processor[name] = steps / (honest - began), steps / used
        print(f"{name}: {len(made)} rollouts, {dict(outcomes)}", flush=True)
        wrong = [i for i, s in enumerate(outcomes_of(made)) if (s == "unscorable") != bool(listed[i])]
        print(f"  lost or wrongly scored: {len(wrong)}")
        print(f"  {honest - began:.1f} s until the last honest one, {seconds:.1f} s in all, {used:.1f} s of processors")
        print(f"  honest steps: {by_clock[name]:,.0f} a second, {by_processor[name]:,.0f} a processor second")
        print(f"  memory {before:.0f} -> {resident():.0f} MB, {threading.active_count()} threads", flush=True)
    for name, found in (("by the clock", by_clock), ("by processors", by_processor)):
        print(f"throughput with faults, {name}: {found['with faults'] / found['without faults']:.0%}")


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
    ends = [time.perf_counter()]

    def finished(i, rollout) -> None:
        if not faults[i]:
            ends.append(time.perf_counter())

    made = rollouts.drive(policy, acted, tasks, ids, seed=0, max_tokens=100, sampling=Sampling(), finished=finished)
    for _ in range(2 * workers.slots()):  # those that are over are ended with their host's next request
        fresh = open_env(f"{place}:World", tasks[0])
        fresh.now(Act(fresh, "", 600.0, kind="reset"))
    return made, Counter(outcomes_of(made)), ends[-1]


if __name__ == "__main__":
    main()
