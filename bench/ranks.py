"""Whole runs in shards beside runs in one process, and ranks that are killed. python bench/ranks.py …

equal [RANKS] [STEPS] [KEY=VALUE …]   the weights at the end, relative to those of one process; recipe=NAME, role=NAME=WHO
kills [NUMBER] [RANKS] [SEED]         SIGKILL of a drawn rank at a drawn commit point; the run that goes on, against a whole one
again [NUMBER] [RANKS] [SEED]         runs that are killed again and again, at every few points, so many times in all
torchrun [RANKS] [STEPS]              by the command line: one rank killed, then all, each time resumed, against a whole run
resize                                2 ranks, then 1, then 3, each for a third of the run, against 2 ranks all the way

But for `torchrun`, ranks are forked, with the variables that it sets; everything is imported once.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "GLOO_SOCKET_IFNAME": "lo"}

import torch

from sharpen import loop
from sharpen.models import load_model
from sharpen.store import Store, no_fault
from sharpen.terminal import terminal

SETTINGS = (
    *("student=micro", "precision=fp32", "prompts=6", "samples=4", "warmup_steps=60", "warmup_rows=24", "warmup_levels=1"),
    *("warmup_demos=0", "warmup_lr=0.004", "validation=8", "test=8", "max_tokens=6", "unreadable_limit=1", "guard=always"),
)
POINTS = ("saved", "synced", "renamed", "begun", "inserted", "written", "committed", "cleaned")
LATE_S = 300
QUIET_S = 1200.0  # a job by the command line that shows no sign of life for so long hangs; how long it takes depends on others


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def ranks(size: int, work: Callable[[int, list[int]], Any]) -> bool:
    """Have so many processes do `work(rank, pids of the ranks so far)`; whether all came to their end. As torchrun does, the
    others are ended with the first that is not."""
    port, pids = free_port(), list[int]()
    for rank in reversed(range(size)):  # so that the first knows the others
        child = os.fork()
        if child == 0:
            signal.alarm(LATE_S)
            torch.set_num_threads(1)
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            code = 1
            try:
                work(rank, pids)
                code = 0
            except BaseException as error:
                if os.environ.get("SHOW"):
                    print(f"rank {rank}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr, flush=True)
            os._exit(code)
        pids.append(child)
    left, whole = set(pids), True
    while left:
        pid, status = os.wait()
        left.discard(pid)
        if status and whole:
            whole = False
            for other in left:
                os.kill(other, signal.SIGKILL)
    return whole


def asked(place: Path, steps: int, shard: str, settings: tuple[str, ...], commit_s: float = 1e9) -> loop.Request:
    recipe = next((s.removeprefix("recipe=") for s in settings if s.startswith("recipe=")), "grpo")
    roles = tuple(s.removeprefix("role=") for s in settings if s.startswith("role="))
    own = {s.partition("=")[0]: s for s in (*SETTINGS, "round_steps=5")}
    given = tuple((own | {s.partition("=")[0]: s for s in settings if not s.startswith(("recipe=", "role="))}).values())
    return loop.Request(
        recipe, given, 3, f"{steps}steps", None, "chain_sum/1", place, roles=roles, shard=shard, commit_s=commit_s
    )


class Steps(terminal.Quiet):
    """A clock that counts steps."""

    def __init__(self) -> None:
        self.done = 0

    def advance(self, n: int = 1, **numbers: float | None) -> None:
        self.done += n

    def clock(self) -> float:
        return float(self.done)


def begun(place: Path, steps: int, size: int, settings: tuple[str, ...] = (), fault: Any = None, commit_s: float = 1e9) -> bool:
    """A run from its beginning; `size` 0: in one process, without shards."""
    request = asked(place, steps, "fsdp" if size else "", settings, commit_s)

    def work(rank: int, others: list[int]) -> None:
        if rank:
            return loop.afar.attend(request)
        counted = Steps()
        loop.start(request, counted, fault(others) if fault else no_fault, clock=counted.clock)

    return ranks(max(size, 1), work)


def gone_on(place: Path, size: int, fault: Any = None, more: str | None = None) -> bool:
    def work(rank: int, others: list[int]) -> None:
        if rank:
            return loop.afar.attend_resumed(place)
        counted = Steps()
        loop.resume(place, counted, fault(others) if fault else no_fault, more=more, clock=counted.clock)

    return ranks(size, work)


def weights(place: Path) -> tuple[dict[str, torch.Tensor], int, list[tuple]]:
    with Store.open(place, write=False) as store:
        commit = store.last_commit()
        assert commit and commit.accepted
        rows = [tuple(r) for r in store.rows("SELECT id, tokens FROM rollouts WHERE purpose = 'train' ORDER BY id")]
        learnt = [s for s in store.steps() if s["phase"] == "loop" and s.get("grad_norm")]
        model, _ = load_model(store.verified(commit.accepted))  # with its adapter folded in, where it is by itself
        return {name: p.detach() for name, p in model.named_parameters()}, len(learnt), rows


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The norm of the difference over that of the weights."""
    off = sum(float((one[n].double() - other[n].double()).square().sum()) for n in one)
    return (off / sum(float(t.double().square().sum()) for t in one.values())) ** 0.5


def equal(size: int, steps: int, settings: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, began = Path(folder), time.perf_counter()
        assert begun(root / "one", steps, 0, settings)
        middle = time.perf_counter()
        assert begun(root / "many", steps, size, settings)
        (one, learnt, rows), (many, _, others) = weights(root / "one"), weights(root / "many")
        same = sum(a == b for a, b in zip(rows, others, strict=True))
        took = f"{middle - began:.0f} and {time.perf_counter() - middle:.0f} s"
        print(
            f"{size} ranks, {steps} steps ({learnt} with a gradient) {' '.join(settings)}: weights {apart(one, many):.2e} "
            f"apart, {same} of {len(rows)} rollouts alike ({took})",
            flush=True,
        )


def kills(number: int, size: int, seed: int) -> None:
    """Each run has six commits of a round; one is killed at a drawn point of a drawn one, rank by rank."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        short = ()
        assert begun(root / "whole", 10, size, short)
        whole, _, rows = weights(root / "whole")
        right = killed = 0
        for i in range(number):
            place, rank, after = root / f"{i}", rng.randrange(size), rng.randrange(1, 20)

            done = begun(place, 10, size, short, killing(rank, after))
            killed += not done
            while not done:
                done = gone_on(place, size) if (place / "run.db").exists() and committed(place) else again(place, size, short)
            found, _, others = weights(place)
            same = rows == others and all(torch.equal(found[n], whole[n]) for n in whole)
            right += same
            if not same:
                print(f"NOT EQUAL: rank {rank}, point {after}", flush=True)
            if i % 10 == 9 or i == number - 1:
                print(f"{i + 1} runs of {size} ranks: {killed} killed, {right} equal", flush=True)
            shutil.rmtree(place)


def killing(rank: int, after: int, seen: Callable[[str], None] = str) -> Callable[[list[int]], Any]:
    """A fault of rank 0's store: the rank is killed at the point of this number, which `seen` is told."""

    def fault(others: list[int]) -> Any:
        victims, left = [os.getpid(), *reversed(others)], [after]

        def at(name: str) -> None:
            left[0] -= 1
            if left[0] == 0:
                seen(name)
                os.kill(victims[rank], signal.SIGKILL)

        return at

    return fault


def over_again(number: int, size: int, seed: int) -> None:
    """Runs that commit after every step, each killed at every few points, by turns of ranks, and against one never killed."""
    rng, points, by_rank = random.Random(seed), Counter[str](), Counter[int]()
    with tempfile.TemporaryDirectory() as folder:
        root, killed, runs, right = Path(folder), 0, 0, 0
        assert begun(root / "whole", 10, size)
        whole, learnt, rows = weights(root / "whole")
        told = root / "told"
        while killed < number:
            place, done = root / f"{runs}", False
            while not done:
                rank, after = rng.randrange(size), rng.randrange(1, 24)
                fault = killing(rank, after, told.write_text)
                if (place / "run.db").exists() and committed(place):
                    done = gone_on(place, size, fault)
                else:
                    shutil.rmtree(place, ignore_errors=True)
                    done = begun(place, 10, size, (), fault, commit_s=1.0)
                if not done:
                    killed += 1
                    points[told.read_text()] += 1
                    by_rank[rank] += 1
            found, _, others = weights(place)
            same = rows == others and all(torch.equal(found[n], whole[n]) for n in whole)
            runs, right = runs + 1, right + same
            print(
                f"{size} ranks, {learnt} steps with a gradient: {runs} runs killed {killed} times, {right} equal; "
                f"{dict(points)}, by rank {dict(by_rank)}",
                flush=True,
            )
            shutil.rmtree(place)


def committed(place: Path) -> bool:
    with Store.open(place, write=False) as store:
        return store.last_commit() is not None


def again(place: Path, size: int, settings: tuple[str, ...]) -> bool:
    """It was killed before its first commit: there is nothing to go on from."""
    shutil.rmtree(place, ignore_errors=True)
    return begun(place, 10, size, settings)


def torchrun(size: int, words: list[str]) -> subprocess.Popen:
    """`torchrun -m sharpen …`, as a user would have it, in a session of its own."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(size), "--master-port", free_port()]
    return subprocess.Popen([*command, "-m", "sharpen", *words], stdout=subprocess.DEVNULL, start_new_session=True)


def children(of: int) -> list[int]:
    """The ranks of a torchrun, oldest first."""
    return sorted(int(pid) for task in Path(f"/proc/{of}/task").iterdir() for pid in (task / "children").read_text().split())


def awaited(job: subprocess.Popen, place: Path, rounds: int | None = None) -> int | None:
    """How a job ended, or None once it has committed so many rounds. A job that makes no progress is ended, and so is
    this bench."""
    seen, until = moved(place), time.monotonic() + QUIET_S
    while (code := job.poll()) is None:
        if rounds is not None and accepted(place) >= rounds:
            return None
        if (now := moved(place)) != seen:
            seen, until = now, time.monotonic() + QUIET_S
        if time.monotonic() > until:
            job.terminate()  # it ends its ranks
            sys.exit(f"the job has done nothing for {QUIET_S:.0f} s")
        time.sleep(0.1)
    return code


def moved(place: Path) -> float:
    """When a run has last noted how far it is; 0 before it begins."""
    with contextlib.suppress(FileNotFoundError):
        return (place / "now.json").stat().st_mtime
    return 0.0


def commanded(size: int, steps: int) -> None:
    """Weights and rollouts of a run by the command line that lost the last rank after two rounds and all after four."""
    settings = [word for pair in SETTINGS for word in ("--set", pair)] + ["--set", "round_steps=2"]
    asked = ["run", "grpo", "--shard", "fsdp", "--tasks", "chain_sum/1", "--seed", "3", "--budget", f"{steps}steps", *settings]
    with tempfile.TemporaryDirectory() as folder:
        whole, place = Path(folder) / "whole", Path(folder) / "killed"
        code = awaited(torchrun(size, [*asked, "--run-dir", str(whole)]), whole)
        assert code == 0, f"the run that nobody kills ended with {code}"
        for rounds, everyone in ((2, False), (4, True)):
            job = torchrun(size, [*asked, "--run-dir", str(place)] if rounds == 2 else ["resume", str(place)])
            code = awaited(job, place, rounds)
            if code is not None:
                sys.exit(f"the job ended with {code} before it could be killed")
            for pid in [*children(job.pid), job.pid] if everyone else children(job.pid)[-1:]:
                os.kill(pid, signal.SIGKILL)
            how = f"{'all' if everyone else 'one'} of {size} killed after round {accepted(place)}"
            print(f"{how}: {job.wait(QUIET_S)}", flush=True)
        code = awaited(torchrun(size, ["resume", str(place)]), place)
        assert code == 0, f"the resumed run ended with {code}"
        (one, learnt, rows), (other, _, others) = weights(whole), weights(place)
        same = rows == others and all(torch.equal(one[n], other[n]) for n in one)
        print(f"{size} ranks, {steps} steps ({learnt} with a gradient): {'equal' if same else 'NOT EQUAL'}", flush=True)


def accepted(place: Path) -> int:
    """Rounds that a run has committed, none of one that has not begun."""
    if not (place / "run.db").exists():
        return 0
    with Store.open(place, write=False) as store:
        return len(store.rounds())


def resize() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        assert begun(root / "whole", 15, 2)
        assert begun(root / "other", 5, 2) and gone_on(root / "other", 1, more="5steps")
        assert gone_on(root / "other", 3, more="5steps")
        (one, learnt, rows), (other, _, others) = weights(root / "whole"), weights(root / "other")
        same = sum(a == b for a, b in zip(rows, others, strict=True))
        print(f"2, 1 and 3 ranks: weights {apart(one, other):.2e} apart, {same} of {len(rows)} rollouts alike, {learnt} steps")


if __name__ == "__main__":
    what, rest = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    numbers = [int(x) for x in rest if x.isdigit()]
    if what == "equal":
        equal(*(numbers + [2, 20][len(numbers) :]), tuple(x for x in rest if "=" in x))
    elif what == "kills":
        kills(*(numbers + [20, 2, 0][len(numbers) :]))
    elif what == "again":
        over_again(*(numbers + [60, 4, 0][len(numbers) :]))
    elif what == "torchrun":
        commanded(*(numbers + [2, 12][len(numbers) :]))
    elif what == "resize":
        resize()
    else:
        sys.exit(__doc__)
