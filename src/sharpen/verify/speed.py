"""How much faster a program is than the one it should replace: measured in the sandbox, side by side, with noise in mind.

1. Its tests decide first: one that fails, and there is no reward.
2. Old and new run in turn on the largest test, `runs` times each, so that a machine's drift hits both alike. Time is measured
   outside the program, so it cannot be told by the program itself.
3. The speed-up is the median of the ratios old / new; it counts where the sign test says that new is faster: no more than LUCK
   to see so many of the runs faster by chance. Identical programs are paid nothing.

Reward: log(speed-up) / log(LARGEST), from 0 to 1. Source: arXiv 2312.14949 for the loop (tests, timing, measurements fed back);
the reward's form is ours. A program's time includes its interpreter's start, some 30 ms for Python: tests of long inputs tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from sharpen.core import Run, Task, Verdict, VerdictGenerator
from sharpen.verify.code import extract, language_of

LARGEST = 40.0  # times faster, beyond which nothing more is paid
LUCK = 0.05
RULE = "measured speed-up"
VERSION = "1"


def speedup(task: Task, response: str, runs: int = 9, least: float = 1.1) -> VerdictGenerator:
    """The verdict on a program that should do what the task's `solution` does, faster. Task data as for `code_io`, tests with
    stdin and stdout.

    Correct from a speed-up of `least` on. A program that is right but no faster is wrong, with reward 0 and what was measured
    as feedback. Unscorable where the old program fails its own tests.
    """
    tests, name = task.data.get("tests", ()), str(task.data.get("language", "python"))
    language = language_of(name)
    code = extract(response, language)[0] if language else response
    if not task.solution or not tests or not code.strip():
        missing = "unscorable" if not task.solution or not tests else "malformed"
        why = "the task has no program to compare with, or no tests" if missing == "unscorable" else "There is no program."
        return Verdict(missing, None if missing == "unscorable" else 0.0, feedback=why, rule=RULE, version=VERSION)
    limit = float(task.data.get("time_limit_s", 5.0))
    ran = yield [Run(program, name, str(t["stdin"]), limit) for program in (code, task.solution) for t in tests]
    new, old = ran[: len(tests)], ran[len(tests) :]
    for side, results in (("old", old), ("new", new)):
        for test, result in zip(tests, results, strict=True):
            right = result.status == "ok" and result.stdout.split() == str(test["stdout"]).split()
            if not right and side == "old":
                return Verdict("unscorable", None, feedback="the old program fails its own tests", rule=RULE, version=VERSION)
            if not right:
                outcome = result.status if result.status in ("timeout", "limit", "crash", "malformed") else "wrong"
                return Verdict(outcome, 0.0, feedback=f"A test fails: {result.status}.", rule=RULE, version=VERSION)
    largest = str(max(tests, key=lambda test: len(str(test["stdin"])))["stdin"])
    ratios = []
    for i in range(runs):  # one at a time: side by side they would share the cores
        seconds = {}
        for side in (("old", "new"), ("new", "old"))[i % 2]:
            result = yield Run(task.solution if side == "old" else code, name, largest, limit)
            seconds[side] = result.seconds
        ratios.append(seconds["old"] / max(seconds["new"], 1e-6))
    return paid(ratios, least)


def paid(ratios: Sequence[float], least: float = 1.1) -> Verdict:
    """The verdict on these ratios of time, old / new."""
    times = median(ratios)
    sure = by_luck(sum(r > 1 for r in ratios), len(ratios)) <= LUCK and times > 1
    reward = min(math.log(times), math.log(LARGEST)) / math.log(LARGEST) if sure else 0.0
    parts = {"speed-up": times, "runs faster": sum(r > 1 for r in ratios) / len(ratios)}
    said = f"It takes {1 / times:.2f} times as long as the old program{'' if sure else ', which may be chance'}."
    return Verdict("correct" if sure and times >= least else "wrong", reward, parts, said, RULE, VERSION)


def by_luck(faster: int, n: int) -> float:
    """Probability that so many of n runs or more are faster where neither program is: the one-sided sign test."""
    return sum(math.comb(n, k) for k in range(faster, n + 1)) / 2**n
