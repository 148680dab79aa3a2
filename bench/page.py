"""The page of `sharpen view` on a run of a million rollouts: how soon it is there, what it takes, and whether it slows a run.

    python bench/page.py fill /tmp/million                # a made-up run; killed, it goes on where it was (--rollouts N)
    python bench/page.py look /tmp/million                # first paint, every page, memory
    python bench/page.py watch --seconds 60               # a writer that commits steps, alone and under watch, in turns
    python bench/page.py run --rounds 30                  # a run whose rounds are watched and not, in turns

The times are of this machine and of what else it does: `look` says the processor's seconds beside those of the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from sharpen.core import Arm, ArmStats, Decision, Evaluation, Task, UserError
from sharpen.store import Position, Store, database

FAMILIES = tuple(f"family_{i:02d}" for i in range(16))
ARMS = tuple(Arm(family, level) for family in FAMILIES for level in range(1, 5))
STEP, ROUND, TOKENS, HELD_OUT = 500, 20, 90, 8  # rollouts of a step, steps of a round, tokens of a rollout, tasks of an arm
META = {"recipe": "grpo", "recipe_text": "budget  '5000steps'", "request": {"budget": "5000steps"}, "seed": 0}
WORDS = "the sum of these numbers is what remains when every other one is taken away so we first count them all".split()


def task_of(arm: Arm, number: int, split: str) -> Task:
    prompt = ({"role": "user", "content": f"{arm}: question {number} of {split}. " + " ".join(WORDS)},)
    return Task(prompt, str(number), arm.family, arm.level, split, "number")


def rows_of(ids: list[str], tasks: list[Task], right: np.ndarray, purpose: str, step: int, number: int) -> tuple[list, list]:
    """Rows of rollouts and verdicts, as the store has them."""
    rng = np.random.default_rng(step)
    tokens = rng.integers(0, 49_152, (len(ids), TOKENS), dtype=np.int32)
    sampled = (np.arange(TOKENS) >= 30).astype(np.bool_).tobytes()
    logprobs = (-rng.random((len(ids), TOKENS), dtype=np.float32)).astype("<f4")
    words = rng.integers(0, len(WORDS), (len(ids), 24))
    rollouts, verdicts = [], []
    for i, id in enumerate(ids):
        said = " ".join(WORDS[w] for w in words[i]) + f" so it is {i}"
        turns = database.to_json([said])
        arrays = tokens[i].tobytes(), sampled, logprobs[i].tobytes()
        where = (id, purpose, step, number, tasks[i].id, i // 8)
        rollouts.append((*where, turns, *arrays, 30, TOKENS - 30, "end", step, i, None, None))
        outcome = "correct" if right[i] else "wrong" if i % 7 else "malformed"
        verdicts.append((id, outcome, float(right[i]), "{}", "", "same number", "1", "", None))
    return rollouts, verdicts


def one_step(store: Store, step: int, pool: dict[Arm, list[Task]]) -> None:
    rng = np.random.default_rng((7, step))
    number, skill = step // ROUND + 1, 0.2 + 0.5 * step / 2000
    chosen = rng.integers(0, len(ARMS), STEP // 8)
    tasks = [pool[ARMS[a]][int(rng.integers(len(pool[ARMS[a]])))] for a in chosen for _ in range(8)][:STEP]
    right = rng.random(len(tasks)) < skill
    ids = [f"s{step:06d}.{i // 8:03d}.{i % 8:03d}" for i in range(len(tasks))]
    rollouts, verdicts = rows_of(ids, tasks, right, "train", step, number)
    store.add_tasks(tasks)
    store.add_rows("rollouts", rollouts)
    store.add_rows("verdicts", verdicts)
    store.add_rows("batches", ((step, id, float(ok), 1.0) for id, ok in zip(ids, right)))
    counts = np.bincount(chosen, minlength=len(ARMS)) * 8
    store.add_arm_stats(ArmStats(step, arm, int(n), int(n * skill), 0.3 * n, int(n) * 60) for arm, n in zip(ARMS, counts) if n)
    noise = rng.normal(size=4) * 0.03
    stats = {
        "rollouts": len(tasks),
        "tokens": 60 * len(tasks),
        "reward": skill + noise[0],
        "correct": skill,
        "silent": 0.4 + noise[1],
    }
    stats |= {
        "truncated": 0.02,
        "malformed": abs(noise[2]),
        "loss": 0.1,
        "grad_norm": 0.8,
        "mismatch": 0.004,
        "entropy": 1 - skill,
    }
    store.add_step(step, "loop", number, stats)
    for phase, seconds in (("generate", 1.4), ("verify", 0.1), ("learn", 1.1), ("store", 0.05), ("curriculum", 0.01)):
        store.add_timing(phase, seconds, step)


def close(store: Store, step: int, number: int) -> None:
    rng = np.random.default_rng((9, 1))
    luck = rng.random((len(ARMS), HELD_OUT))
    skill = 0.2 + 0.5 * step / 2000
    tasks = [task_of(arm, i, "validation") for arm in ARMS for i in range(HELD_OUT)]
    right = (luck < skill).ravel()
    ids = [f"validation.{number:05d}.{i:06d}" for i in range(len(tasks))]
    rollouts, verdicts = rows_of(ids, tasks, right, "validation", step, number)
    store.add_tasks(tasks)
    store.add_rows("rollouts", rollouts)
    store.add_rows("verdicts", verdicts)
    marks = right.reshape(len(ARMS), HELD_OUT)
    store.add_evaluation(number, "validation", Evaluation({arm: tuple(map(bool, own)) for arm, own in zip(ARMS, marks)}))
    answer = "worse" if number % 9 == 8 else "better"
    store.add_decision(number, Decision(answer, "accepted: it rose" if answer == "better" else "rolled back: it fell", {}))


def fill(directory: Path, wanted: int) -> None:
    pool = {arm: [task_of(arm, i, "train") for i in range(400)] for arm in ARMS}
    began = time.monotonic()
    if not (directory / "run.db").exists():
        with Store.create(directory, META) as store:
            close(store, 0, 0)
            store.commit(Position("loop", 0, 0))
    with Store.open(directory, write=True) as store:
        while True:
            (there,), (step,) = (
                store.rows("SELECT coalesce(max(rowid), 0) FROM rollouts")[0],
                store.rows("SELECT count(*) FROM steps")[0],
            )
            print(f"{there:,} rollouts, {time.monotonic() - began:.0f} s", flush=True)
            if there >= wanted:
                break
            for _ in range(ROUND):
                one_step(store, step, pool)
                step += 1
            close(store, step, step // ROUND)
            store.commit(Position("loop", step, step // ROUND))


SERVER = """
import sys
from pathlib import Path
from sharpen.terminal import listening
from sharpen.view import app, found
at = listening("127.0.0.1", 0)
site = app.site_of(found.runs([Path(sys.argv[1])]), at.getsockname()[1])
print(site.port, site.token, next(iter(site.runs)), flush=True)
app.serve(site, at)
"""


def get(port: str, token: str, path: str) -> tuple[float, int]:
    """(seconds, bytes) of an answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"authorization": f"Bearer {token}"})
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=600) as answer:
        size = len(answer.read())
    return time.monotonic() - began, size


def status(pid: int) -> dict[str, int]:
    """Memory of a process in MB: now and at most; and its processor's seconds in hundredths."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    used = sum(map(int, ticks)) * 100 // os.sysconf("SC_CLK_TCK")
    return {"rss": int(lines["VmRSS"].split()[0]) >> 10, "peak": int(lines["VmHWM"].split()[0]) >> 10, "used": used}


def look(directory: Path) -> None:
    began = time.monotonic()
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(directory)], stdout=subprocess.PIPE, text=True)
    try:
        port, token, name = server.stdout.readline().split()
        print(f"listening after {time.monotonic() - began:.2f} s, {status(server.pid)}")
        paths = ["", "", "/rollouts", "/rollouts?text=taken+away&outcome=wrong", "/rollouts?text=nowhere", "/compare"]
        paths += ["/lineage", "/lineage?of=family_03/2", "/labels", "/rollouts/s000000.000.000"]
        for path in paths:
            before = status(server.pid)["used"]
            seconds, size = get(port, token, f"/{name}{path}")
            now = status(server.pid)
            print(
                f"{path or '(first paint)':42} {seconds:6.2f} s, of the processor {(now['used'] - before) / 100:5.2f} s, "
                f"{size >> 10:5} KiB, {now['rss']} MB (most {now['peak']} MB)",
                flush=True,
            )
    finally:
        server.kill()


def work(directory: Path, steps: int) -> tuple[float, float]:
    """(seconds of the processor, of the clock) that so many committed steps take beside arithmetic, as a run does."""
    pool = {arm: [task_of(arm, i, "train") for i in range(40)] for arm in ARMS}
    matrix = np.random.default_rng(0).random((300, 300))
    with Store.open(directory, write=True) as store:
        (step,) = store.rows("SELECT count(*) FROM steps")[0]
        began, used = time.monotonic(), time.process_time()
        for i in range(steps):
            for _ in range(60):
                matrix = matrix @ matrix
                matrix /= np.abs(matrix).max()
            one_step(store, step + i, pool)
            if i % 5 == 4:
                store.commit(Position("loop", step + i + 1, 0))
        return time.process_time() - used, time.monotonic() - began


def watch(seconds: float) -> None:
    """The same work alone and under watch, in turns; a page with the whole overview listens to the news meanwhile."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "run"
        with Store.create(directory, META) as store:
            close(store, 0, 0)
            store.commit(Position("loop", 0, 0))
        work(directory, 20)
        times: dict[str, list[tuple[float, float]]] = {"alone": [], "watched": []}
        page = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            times["alone"].append(work(directory, 20))
            server = subprocess.Popen([sys.executable, "-c", SERVER, place], stdout=subprocess.PIPE, text=True)
            try:
                port, token, name = server.stdout.readline().split()
                head = {"authorization": f"Bearer {token}"}
                news = urllib.request.Request(f"http://127.0.0.1:{port}/{name}/events?all=1", headers=head)
                with urllib.request.urlopen(news, timeout=60) as stream:
                    stream.read(1000)
                    before = status(server.pid)["used"]
                    times["watched"].append(work(directory, 20))
                    page.append((status(server.pid)["used"] - before) / 100 / times["watched"][-1][1])
            finally:
                server.kill()
            print(json.dumps({k: [round(t, 3) for t in v[-1]] for k, v in times.items()}), flush=True)
        for i, name in enumerate(("of the processor", "of the clock")):
            alone, watched = (statistics.median(t[i] for t in times[k]) for k in ("alone", "watched"))
            print(f"seconds {name}: {alone:.3f} alone, {watched:.3f} watched, {100 * (watched / alone - 1):+.1f} %")
        print(f"{len(page)} pairs; the page took {statistics.median(page):.2%} of one processor meanwhile")


RUN = "quickstart --tasks chain_sum/1 --set student=micro --set warmup_steps=100 --set warmup_rows=32 --set retain=0"
RUN += " --set round_steps=5 --set prompts=16 --set replay=32 --set max_tokens=12"
RUN += " --set validation=40 --set test=8 --set device=cpu --set precision=fp32 --seed 1"


def decided(directory: Path) -> int:
    """Rounds that a run has closed, its start among them; a single look at the store."""
    try:
        with Store.open(directory) as store:
            return int(store.rows("SELECT count(*) FROM decisions")[0][0])
    except UserError:
        return 0


@contextmanager
def looked_at(directory: Path) -> Iterator[None]:
    """A page with the whole overview, open and listening to the news, as a browser has it."""
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(directory)], stdout=subprocess.PIPE, text=True)
    try:
        port, token, name = server.stdout.readline().split()
        head = {"authorization": f"Bearer {token}"}
        get(port, token, f"/{name}")
        news = urllib.request.Request(f"http://127.0.0.1:{port}/{name}/events?all=1", headers=head)
        listener = threading.Thread(target=drained, args=(urllib.request.urlopen(news, timeout=600),), daemon=True)
        listener.start()
        yield
    finally:
        server.kill()
        server.wait()


def drained(stream: Any) -> None:
    """Read news until the server is gone."""
    with stream, suppress(OSError, HTTPException):
        for _ in stream:
            pass


def run(rounds: int) -> None:
    """The processor's seconds of a run's own process for each round, of rounds that are watched and not, in turns: pairs of
    neighbours in either order, so that a drift of the machine or of the run hits both alike."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "run"
        words = [*RUN.split(), "--budget", f"{10 * (rounds + 2)}steps", "--run-dir", str(directory)]
        process = subprocess.Popen([sys.executable, "-m", "sharpen", "run", *words], stderr=subprocess.DEVNULL)
        used: dict[bool, list[float]] = {False: [], True: []}

        def spent(number: int) -> int:
            """Of the processor, in hundredths of a second, when that many rounds were closed."""
            while decided(directory) < number:
                if process.poll() is not None:
                    raise SystemExit(f"the run ended before its time: sharpen run {RUN}")
                time.sleep(0.2)
            return status(process.pid)["used"]

        try:
            spent(2)  # the first round compiles and fills caches
            for pair in range(rounds // 2):
                for watched in (pair % 2 == 0, pair % 2 == 1):
                    with looked_at(directory) if watched else nullcontext():
                        closed = decided(directory)
                        before = spent(closed + 1)  # a page is opened in the midst of a round: the next one is whole
                        used[watched].append((spent(closed + 2) - before) / 100)
                gains = [100 * (b / a - 1) for a, b in zip(used[False], used[True])]
                error = statistics.stdev(gains) / len(gains) ** 0.5 if pair else float("nan")
                means = (statistics.fmean(used[k]) for k in (False, True))
                print(
                    "{:.3f} s of the processor a round alone, {:.3f} watched;".format(*means),
                    f"{statistics.fmean(gains):+.2f} % ± {1.96 * error:.2f} over {len(gains)} pairs",
                    flush=True,
                )
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("fill", "look", "watch", "run"))
    parser.add_argument("directory", nargs="?", type=Path)
    parser.add_argument("--rollouts", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    if given.what == "fill":
        fill(given.directory, given.rollouts)
    elif given.what == "look":
        look(given.directory)
    elif given.what == "run":
        run(given.rounds)
    else:
        watch(given.seconds)
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB here")
