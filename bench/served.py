"""Runs through an engine's routes beside runs in one process, every fault with many seeds, and segments by the million.

python bench/served.py equal [RECIPE …]       50 steps of each, bit for bit
python bench/served.py faults [SEEDS] [FILE]  each fault, stopped by its name at once, or not; honest engines go on
python bench/served.py segments [ROLLOUTS]    1 % written twice, 1 % torn: the store against the truth
python bench/served.py ahead [SECONDS]        steps whose two halves sleep so long besides, ahead by 0, 1 and 2
python bench/served.py live URL DIR [RANK]    a real server, started from DIR: how far it is from us as weights change
"""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from common import RESULTS, commit

from sharpen import loop, tasks
from sharpen.core import Ask, FatalDiagnosis, Rollout, Sample, Sampling, Task, UserError, Verdict
from sharpen.engines import Served, proof
from sharpen.hashing import derive
from sharpen.models import LocalPolicy, embedded, load_model
from sharpen.serve import contract, faults, opened
from sharpen.store import Store, database, segments
from sharpen.terminal import terminal

RECIPES = ("grpo", "dapo", "ppo", "online_dpo", "reverse_kl")
SETTINGS = (
    *("student=micro", "precision=fp32", "prompts=4", "samples=4", "warmup_steps=40", "warmup_rows=16", "warmup_levels=1"),
    *("warmup_demos=0", "warmup_lr=0.004", "validation=8", "test=8", "round_steps=10", "max_tokens=12", "unreadable_limit=1"),
    *("guard=always", "temperature=0.9"),
)
SOURCE = "chain_sum/1-2"


def student(lora: int = 0, seed: int = 0) -> LocalPolicy:
    torch.manual_seed(seed)
    return LocalPolicy(*embedded.build("micro", tasks.parse_spec(SOURCE), seed), "fp32", lora=lora, device="cpu")


def saved(place: Path) -> Path:
    model, tokenizer = embedded.build("micro", tasks.parse_spec(SOURCE), 3)
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


def run(recipe: str, place: Path, steps: int, engines: tuple[str, ...] = (), ahead: int = 0, seed: int = 3) -> float:
    roles = (f"teacher={taught(place.parent / 'taught')}",) if recipe == "reverse_kl" else ()
    settings = SETTINGS
    request = loop.Request(recipe, settings, seed, f"{steps}steps", None, SOURCE, place, (), roles, engines, None, "", ahead)
    began = time.perf_counter()
    loop.start(request, terminal.Quiet())
    return time.perf_counter() - began


def taught(place: Path) -> Path:
    """A teacher who ends his turns: a run of another seed."""
    if not place.exists():
        run("grpo", place, 2, seed=4)
    with Store.open(place) as store:
        commit = store.last_commit()
        assert commit and commit.accepted
        return store.verified(commit.accepted)


def outcome(place: Path) -> tuple[list, list, int]:
    """All rollouts, the bytes of the accepted weights, and how many steps had a gradient."""
    with Store.open(place) as store:
        rows = store.rows("SELECT id, tokens, logprobs FROM rollouts ORDER BY id", deadline=600)
        commit = store.last_commit()
        assert commit and commit.accepted
        folder = store.verified(commit.accepted)
        learnt = sum(bool(step.get("grad_norm")) for step in store.steps() if step["phase"] == "loop")
        return [tuple(row) for row in rows], [file.read_bytes() for file in sorted(folder.glob("*.safetensors"))], learnt


def equal(recipes: list[str], steps: int = 50) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        saved(root / "teacher")
        for recipe in recipes or RECIPES:
            here = opened(root / "teacher", precision="fp32")
            server = contract.Server(contract.Engine(here.policy, here.name)).begin()
            seconds = [run(recipe, root / f"{recipe}.0", steps), run(recipe, root / f"{recipe}.1", steps, (server.url,))]
            server.stop()
            (rows, weights, learnt), (other, others, _) = (outcome(root / f"{recipe}.{i}") for i in (0, 1))
            verdict = "equal" if rows == other and weights == others else "NOT EQUAL"
            took = f"{seconds[0]:.0f} and {seconds[1]:.0f} s"
            print(
                f"{recipe}: {steps} steps, {learnt} with a gradient, {len(rows)} rollouts: {verdict} ({took})",
                flush=True,
            )


def fault(name: str, seed: int, place: Path, lora: int = 0) -> tuple[str, int]:
    """What stops a policy that is asked and changed in turn, "" where nothing does; and how many batches came while the fault
    was on, and would have been learnt from."""
    given = ["", name] if name in ("", *faults.ONE_OF_SEVERAL) else [name]
    servers = [contract.Server(contract.Engine(student(seed=seed), "student", one)).begin() for one in given]
    served, policy = Served([s.url for s in servers], place), student(lora, seed)
    policy.elsewhere, rng = served, torch.Generator().manual_seed(seed)
    asks = [Ask(({"role": "user", "content": f"{seed} + {i // 2} ="},)) for i in range(6)]
    wrong = 0
    try:
        for step in range(faults.AFTER + 2):
            policy.respond(asks, [derive(seed, step, str(i)) for i in range(6)], 8, Sampling(0.8))
            wrong += bool(name) and servers[-1].engine.errs(name)
            policy.put([t + 0.003 * torch.randn(t.shape, generator=rng) for t in policy.trained.values()])
            policy.version += 1
    except (FatalDiagnosis, UserError) as error:
        return str(error).split(":")[0].split(" ")[0], wrong
    finally:
        served.close()
        for server in servers:
            server.stop()
    return "", wrong


def every_fault(seeds: int, file: Path) -> None:
    """Each seed has a student, questions and changes of its own. The file has what was found so far, and is gone on with."""
    cases = [(name, 2 if "adapter" in name else 0) for name in faults.SAID] + [("", 0), ("", 2)]
    found = json.loads(file.read_text())["found"] if file.exists() else {}
    for seed in range(seeds):
        for name, lora in cases:
            title, key = f"{name or 'none'}{', adapter' if lora else ''}", str(seed)
            if key not in found.setdefault(title, {}):
                began = time.process_time()
                with tempfile.TemporaryDirectory() as folder:
                    said, wrong = fault(name, seed, Path(folder), lora)
                right = said == faults.SAID.get(name, "") and not wrong
                took = round(time.process_time() - began, 2)
                found[title][key] = {"said": said, "learnt": wrong, "right": right, "processor_s": took}
                file.write_text(json.dumps({"commit": commit(), "found": found}, indent=1) + "\n")
    for title, each in found.items():
        right, said = sum(one["right"] for one in each.values()), Counter(one["said"] for one in each.values())
        print(f"{title}: {right} of {len(each)} as they should; {dict(said)}", flush=True)


def by_segments(number: int) -> None:
    rng, task = random.Random(0), Task(({"role": "user", "content": "?"},), "1", "sum", 1, "train", "exact", {})
    sampled, logprobs = np.array([False, True, True, True]), np.zeros(4, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        root, began = Path(folder), time.perf_counter()
        files = [(root / f"{w}{segments.SUFFIX}").open("wb") for w in range(8)]
        for i in range(number):
            rollout = Rollout(task, tokens_of(i), sampled, logprobs, ("a",), "end", 3, i, f"r{i:08d}")
            verdict = Verdict("correct", 1.0) if i % 3 else Verdict("wrong", 0.0)
            line = segments.record(Sample(rollout, verdict, i // 8), "train", 1, 1)
            draw = rng.random()
            files[i % 8].write(line[: rng.randrange(9, len(line) - 1)] + b"\n" if draw < 0.01 else line)
            if draw < 0.02:  # torn ones are written again, and as many whole ones
                files[(i + 1) % 8].write(line)
        for file in files:
            file.close()
        wrote, began, cost = time.perf_counter() - began, time.perf_counter(), time.process_time()
        db = sqlite3.connect(root / "run.db", isolation_level=None)
        db.executescript(database.SCHEMA)
        db.execute("BEGIN")
        found = segments.ingest(db, root, {})
        db.execute("COMMIT")
        took, cost = time.perf_counter() - began, time.process_time() - cost
        rows = db.execute("SELECT id, grp, tokens, seed, reward FROM rollouts JOIN verdicts ON rollout = id ORDER BY id")
        right = sum(row == truth(i) for i, row in enumerate(rows))
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        again = segments.ingest(db, root, {}), db.execute("SELECT count(*) FROM rollouts").fetchone()[0]
        print(f"{number} rollouts: {found.whole} whole records, {found.torn} torn; {right} rows are the truth")
        print(f"taken in once more: {again[0].whole} whole records, the store has {again[1]} rollouts")
        print(f"written in {wrote:.0f} s, taken in in {took:.0f} s, {cost:.0f} s of the processor; {most:.0f} MB at most")


def tokens_of(i: int) -> np.ndarray:
    return np.array([i % 1000, i // 1000, 2, 3], dtype=np.int32)


def truth(i: int) -> tuple[str, int, bytes, int, float]:
    """What the store is to have of a rollout."""
    return f"r{i:08d}", i // 8, tokens_of(i).tobytes(), i, float(i % 3 > 0)


class Stamps(terminal.Quiet):
    """Notes when each step of the loop was done."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.name = ""

    def phase(self, name: str, total: int | None = None, done: int = 0) -> None:
        self.name = name

    def advance(self, n: int = 1, **numbers: float | None) -> None:
        self.at += [time.perf_counter()] * n if self.name == "loop" else []


def ahead(seconds: float, steps: int = 16) -> None:
    """Both halves of a step sleep, so that the processor does not decide. An engine writes each answer to its last token."""
    update, first = LocalPolicy.update, 0.0

    def slow(policy: LocalPolicy, batch: Any, tableau: Any, lr: float) -> Any:
        time.sleep(seconds)
        return update(policy, batch, tableau, lr)

    settings = [s for s in SETTINGS if not s.startswith(("round_steps", "warmup_"))]
    settings += [f"round_steps={steps}", "warmup_steps=0"]
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(LocalPolicy, "update", slow):
        root = Path(folder)
        for k in (0, 1, 2):
            server = contract.Server(contract.Engine(student(), "student", sleep=seconds / 12)).begin()
            asked, stamps = (server.url,), Stamps()
            given = loop.Request(
                "grpo", tuple(settings), 0, f"{steps}steps", None, SOURCE, root / str(k), engines=asked, ahead=k
            )
            loop.start(given, stamps)
            server.stop()
            each = (stamps.at[-1] - stamps.at[-steps]) / (steps - 1)
            first = first or each
            print(f"ahead {k}: {each:.2f} s a step, {first / each:.2f} times", flush=True)


def live(url: str, where: Path, rank: int, publishes: int = 4) -> None:
    """Adapters of this rank, or whole weights for 0. Distances are in nats, in the mean over a fixed text, and over answers."""
    policy, how = LocalPolicy(*load_model(where), "fp32", lora=rank, device="cpu"), Sampling(0.8)
    asks = [Ask(({"role": "user", "content": f"What is {i // 2} + 4?"},)) for i in range(8)]
    rng = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        policy.elsewhere = served = Served([url], Path(folder), say=print)
        try:
            for number in range(publishes):
                turns = policy.respond(asks, [derive(number, str(i)) for i in range(len(asks))], 16, how)
                rows = [(t.tokens[: t.begin], t.tokens[t.begin :], t.logprobs[t.begin :]) for t in turns]
                (replica,), now, before = served.pool.replicas, served.now, served.before
                assert now is not None
                said = served.scored(replica)
                tokens, apart = sum(len(row[1]) for row in rows), proof.gap_of_rows(policy, rows, how)
                print(f"{now.published.name}: text {proof.gap(said, now.logprobs):.1e}, {tokens} tokens written {apart:.1e}")
                print(f"  from earlier weights {', '.join(f'{proof.gap(said, e.logprobs):.1e}' for e in before)}")
                if before and rank:  # who names the adapter before is answered by that one
                    replica.model = before[-1].published.name
                    print(f"  asked for those before: {proof.gap(served.scored(replica), before[-1].logprobs):.1e}")
                    replica.model = now.published.name
                policy.put([t + 0.01 * torch.randn(t.shape, generator=rng) for t in policy.trained.values()])
                policy.version += 1
        finally:
            served.close()


if __name__ == "__main__":
    what, rest = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if what == "equal":
        equal(rest)
    elif what == "faults":
        every_fault(int((rest or ["20"])[0]), Path(rest[1]) if rest[1:] else RESULTS / "faults.json")
    elif what == "segments":
        by_segments(int((rest or ["1000000"])[0]))
    elif what == "ahead":
        ahead(float((rest or ["3"])[0]))
    elif what == "live":
        live(rest[0], Path(rest[1]), int((rest[2:] or ["0"])[0]))
    else:
        sys.exit(__doc__)
