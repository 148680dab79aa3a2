"""What the sandbox costs, and whether it leaks.

    python bench/sandbox.py                 verdicts per second, milliseconds each, the price of a hung program
    python bench/sandbox.py --leak 10000    so many programs in a row: memory, processes and descriptors before and after
    python bench/sandbox.py --fuzz 5000     random programs and byte strings
    python bench/sandbox.py --kill 60       seconds of killing brokers, sandboxes and programs at random: what is lost or wrong

Run it pinned to the processors in question, such as `taskset -c 0,1`; it runs as many programs at once as it may use of them.
"""

import argparse
import contextlib
import os
import random
import signal
import statistics
import threading
import time
from collections import Counter

from sharpen.sandbox import Limits, Program, Sandbox
from sharpen.sandbox.linux import children_of

CODE = "a, b = map(int, input().split())\nprint(a + b)\n"
COMMANDS = (("python3", "f"), ("python3", "-I", "-S", "f"), ("sh", "f"), ("perl", "f"), ("cat", "f"), ("./f",))
WORDS = (
    *("def", "for", "while", "if", "import", "os", "sys", "print", "(", ")", ":", "[", "]", "=", "+", "**", "9", "'x'", "\n"),
    *("\n   ", "lambda", "yield", "None", "open", "fork", "kill", "import os\n", "os.fork()\n", "os.kill(-1, 9)\n"),
    *("while 1: pass\n", "print('x' * 10**9)\n", "os.write(3, b'x')\n", "exit\n"),
)


def adds(n: int, **limits) -> Program:
    command = ("python3", "-I", "-S", "-B", "main.py")
    return Program(command, {"main.py": CODE.encode()}, b"%d 2\n" % n, Limits(**limits))


def check(results, start: int = 0) -> None:
    for n, result in enumerate(results, start):
        assert (result.status, result.stdout) == ("exited", b"%d\n" % (n + 2)), result


def family(pid: int) -> list[int]:
    return [pid, *(below for child in children_of(pid) for below in family(child))]


def speed(sandbox: Sandbox, count: int) -> None:
    programs = [adds(n) for n in range(count)]
    check(sandbox.run_many(programs[:20]))
    before, start = os.times(), time.perf_counter()
    check(sandbox.run_many(programs))
    took = time.perf_counter() - start
    print(
        f"{count / took:.0f} verdicts/s with {sandbox.jobs} at once ({took / count * sandbox.jobs * 1e3:.1f} ms of a slot each)"
    )
    print(f"this process: {(sum(os.times()[:2]) - sum(before[:2])) / count * 1e3:.2f} ms of processor time each")
    single = []
    for program in programs[:100]:
        start = time.perf_counter()
        sandbox.run(program)
        single.append((time.perf_counter() - start) * 1e3)
    quantiles = statistics.quantiles(single, n=20)
    print(f"one at a time: median {statistics.median(single):.1f} ms, 95 % below {quantiles[-1]:.1f} ms")


def hang(sandbox: Sandbox) -> None:
    hung = Program(("python3", "-c", "while True: pass"), limits=Limits(wall_s=1.0))
    start = time.perf_counter()
    assert sandbox.run(hung).status == "timeout"
    print(f"a hung program with 1000 ms costs {(time.perf_counter() - start) * 1e3:.0f} ms")
    idle = Program(("sleep", "9"), limits=Limits(wall_s=1.0))  # takes a slot, not a processor: what is left is waiting for it
    ended: list[float] = []
    worker = threading.Thread(target=lambda: (sandbox.run(idle), ended.append(time.perf_counter())))
    start = time.perf_counter()
    worker.start()
    times = []
    while worker.is_alive():
        begin = time.perf_counter()
        check([sandbox.run(adds(0))])
        times.append((time.perf_counter() - begin) * 1e3)
    print(f"meanwhile {len(times)} others ran: median {statistics.median(times):.1f} ms, longest {max(times):.1f} ms")


def held(sandbox: Sandbox) -> tuple[int, int, int, float]:
    """Processes, their descriptors and ours, and megabytes of all of them."""
    everybody = family(sandbox._connection._process.pid)
    resident = 0
    for pid in (*everybody, os.getpid()):
        with open(f"/proc/{pid}/statm") as file:
            resident += int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    descriptors = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in everybody)
    return len(everybody), descriptors, len(os.listdir("/proc/self/fd")), resident / 2**20


def leak(sandbox: Sandbox, count: int) -> None:
    check(sandbox.run_many([adds(n) for n in range(500)]))
    time.sleep(0.5)
    before, start = held(sandbox), time.perf_counter()
    for first in range(0, count, 500):
        check(sandbox.run_many([adds(n) for n in range(first, min(first + 500, count))]), first)
    took = time.perf_counter() - start
    time.sleep(0.5)
    for label, values in (("before", before), ("after", held(sandbox))):
        print(f"{label}: {values[0]} processes, {values[1]} + {values[2]} descriptors, {values[3]:.1f} MB resident")
    print(f"{count} verdicts in {took:.0f} s: {count / took:.0f}/s")


def random_program(chance: random.Random) -> Program:
    if chance.random() < 0.5:
        content = b" ".join(chance.choice(WORDS).encode() for _ in range(chance.randrange(60)))
    else:
        content = chance.choice([b"", b"#!/bin/sh\n", b"\x7fELF", b"#!"]) + chance.randbytes(chance.randrange(2000))
    limits = Limits(wall_s=0.3, memory_mb=128, output_bytes=10_000, files_mb=2, processes=8)
    return Program(chance.choice(COMMANDS), {"f": content}, chance.randbytes(chance.randrange(200)), limits, keep=("f", "x/y"))


def fuzz(sandbox: Sandbox, count: int) -> None:
    check(sandbox.run_many([adds(n) for n in range(20)]))
    broker, before = sandbox._connection._process.pid, held(sandbox)
    chance, found = random.Random(7), Counter()
    for first in range(0, count, 250):
        programs = [random_program(chance) for _ in range(min(250, count - first))]
        for program, result in zip(programs, sandbox.run_many(programs)):
            found[result.status if program.argv[0] != "./f" else f"{result.status} (executed itself)"] += 1
        check(sandbox.run_many([adds(0)]))
    assert sandbox._connection._process.pid == broker, "the broker was replaced"
    time.sleep(0.5)
    print(f"{count} random programs: " + ", ".join(f"{number} {status}" for status, number in found.most_common()))
    for label, values in (("before", before), ("after", held(sandbox))):
        print(f"{label}: {values[0]} processes, {values[1]} + {values[2]} descriptors, {values[3]:.1f} MB resident")


def kill(sandbox: Sandbox, seconds: float) -> None:
    chance, found, kills = random.Random(7), Counter(), 0
    end = time.monotonic() + seconds

    def work() -> None:
        n = 0
        while time.monotonic() < end:
            for result in sandbox.run_many([adds(n + i) for i in range(10)]):
                right = result.stdout == b"%d\n" % (n + 2)
                found[result.status if result.status != "exited" else "right" if right and result.code == 0 else "WRONG"] += 1
                n += 1

    sandbox.run(adds(0))
    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        time.sleep(chance.uniform(0.1, 0.5))
        with contextlib.suppress(ProcessLookupError, AttributeError, IndexError):
            os.kill(chance.choice(family(sandbox._connection._process.pid)), signal.SIGKILL)
            kills += 1
    print(
        f"{kills} random kills among {sum(found.values())} programs: " + ", ".join(f"{n} {what}" for what, n in found.items())
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--leak", type=int, default=0)
    parser.add_argument("--fuzz", type=int, default=0)
    parser.add_argument("--kill", type=float, default=0)
    asked = parser.parse_args()
    with Sandbox(least="none") as sandbox:
        print(f"isolation: {sandbox.level}")
        if asked.leak:
            leak(sandbox, asked.leak)
        if asked.fuzz:
            fuzz(sandbox, asked.fuzz)
        if asked.kill:
            kill(sandbox, asked.kill)
        if not (asked.leak or asked.fuzz or asked.kill):
            speed(sandbox, asked.count)
            hang(sandbox)


if __name__ == "__main__":
    main()
