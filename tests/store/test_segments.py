"""Segments: what is written anywhere comes into the store once, whatever was repeated or torn on the way."""

from __future__ import annotations

import random
import sqlite3

import numpy as np

from sharpen.core import Rollout, Sample, Span, Task, Turn, Verdict
from sharpen.store import database, segments


def sample(i: int, others: bool = False) -> Sample:
    task = Task(({"role": "user", "content": f"b64:{i % 7}?"},), str(i), "sum", 1, "train", "exact", {"n": i % 7})
    tokens, sampled = np.arange(4, dtype=np.int32) + i, np.array([False, False, True, True])
    logprobs = np.array([0, 0, -0.1, -i - 0.5], dtype=np.float32)
    other = Turn("hm", tokens, sampled, logprobs, "end", 2, (Span(2, 4, "judge", 2),))
    rollout = Rollout(task, tokens, sampled, logprobs, ("\ud800 a", f"b64:{i}") if others else ("a",), "end", 3, i, f"r{i:06d}")
    if others:
        rollout = Rollout(
            *(
                getattr(rollout, f)
                for f in rollout.__dataclass_fields__
                if f not in ("spans", "others", "spent", "branches", "by")
            ),
            (Span(2, 4, "", 3),),
            (other,),
        )
    return Sample(rollout, Verdict("correct" if i % 3 else "wrong", float(i % 3 > 0), {"p": 0.5}, "said", "rule", "1"), i // 4)


def same(a: Sample, b: Sample) -> bool:
    arrays = ("tokens", "sampled", "logprobs")
    plain = ("id", "turns", "stop", "version", "seed", "parent")
    return (
        a.verdict == b.verdict
        and a.group == b.group
        and a.rollout.task == b.rollout.task
        and all(getattr(a.rollout, n) == getattr(b.rollout, n) for n in plain)
        and all(np.array_equal(getattr(a.rollout, n), getattr(b.rollout, n)) for n in arrays)
        and [t.spans for t in a.rollout.others] == [t.spans for t in b.rollout.others]
    )


def test_a_segment_is_read_as_it_was_written_or_not_at_all(tmp_path):
    made, path = [sample(i, others=i % 2 == 0) for i in range(9)], tmp_path / "a" / f"1{segments.SUFFIX}"
    segments.write(path, made, "train", 3, 1)
    assert all(map(same, segments.read(path), made)) and len(segments.read(path)) == 9
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:-40], whole.replace(b"said", b"sAid", 1), b""):
        path.write_bytes(damaged)
        assert segments.read(path) is None
    assert segments.read(tmp_path / "none") is None


def test_repeated_and_torn_records_change_nothing(tmp_path):
    """Three writers, one record in ten written twice, one in ten torn and written again later; read in many small steps."""
    rng, truth = random.Random(0), [sample(i) for i in range(300)]
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(database.SCHEMA)
    lines = [segments.record(s, "train", 1, 1) for s in truth]
    parts: list[list[bytes]] = [[], [], []]
    for i, line in enumerate(lines):
        torn = rng.random() < 0.1
        parts[i % 3].append(line[: rng.randrange(9, len(line) - 1)] + b"\n" if torn else line)
        if torn or rng.random() < 0.1:
            parts[(i + 1) % 3].append(line)
    ends: dict[str, int] = {}
    found = [0, 0]
    for step in range(8):  # each reads what is there by then, which may end in the midst of a line
        for w, part in enumerate(parts):
            data = b"".join(part)
            (tmp_path / f"{w}{segments.SUFFIX}").write_bytes(data[: len(data) * (step + 1) // 8])
        got = segments.ingest(db, tmp_path, ends)
        found = [found[0] + got.whole, found[1] + got.torn]
    assert found == [sum(len(p) for p in parts) - found[1], found[1]] and found[1] > 10
    ids = [row[0] for row in db.execute("SELECT id FROM rollouts ORDER BY id")]
    assert ids == [s.rollout.id for s in truth]
    tables = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in segments.TABLES]
    assert tables == [len({s.rollout.task.id for s in truth}), 300, 300]
    assert segments.ingest(db, tmp_path, dict(ends)).whole == 0  # nothing new
    again = segments.ingest(db, tmp_path, {})  # and everything once more
    assert again.whole == found[0] and db.execute("SELECT count(*) FROM rollouts").fetchone()[0] == 300


def test_a_writer_goes_on_behind_half_a_line(tmp_path):
    path = tmp_path / f"w{segments.SUFFIX}"
    path.write_bytes(segments.record(sample(1), "train", 1, 1)[:20])
    writer = segments.Writer(path)
    writer.add([sample(2)], "train", 1, 1)
    writer.close()
    found = segments.Found()
    assert [rows[1][0] for rows in segments.lines(path, found)] == ["r000002"] and found.torn == 1
