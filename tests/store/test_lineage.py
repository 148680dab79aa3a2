"""The way from a failure to a change in skill, on a store whose every row is written here."""

from __future__ import annotations

import numpy as np
import pytest

from sharpen.core import Arm, Decision, Evaluation, Rollout, Sample, Task, UserError, Verdict
from sharpen.store import Position, Store, lineage


def task(text: str, family: str = "sums", **more) -> Task:
    return Task(({"role": "user", "content": text},), "4", family, 1, verifier="number", **more)


def sample(of: Task, name: str, right: bool) -> Sample:
    tokens = np.arange(4, dtype=np.int32)
    rollout = Rollout(of, tokens, tokens > 1, np.zeros(4, np.float32), ("4" if right else "five",), "end", 0, 0, name)
    return Sample(rollout, Verdict("correct", 1.0) if right else Verdict("wrong", 0.0, feedback="no"), 0)


PARENT = task("What is 2 + 2?")
CHILD = task("What is 1 + 3?", "sums_easier", parents=(PARENT.id,), operator="one level down")
GRANDCHILD = task("What is 0 + 4?", "sums_easiest", parents=(CHILD.id,), operator="one level down")


@pytest.fixture
def store(tmp_path):
    """Round 1 fails at the parent and grows the child; round 2 learns from it, and the parent's arm goes from 1 to 3 of 4."""
    with Store.create(tmp_path, {}) as made:
        made.add_samples("train", 0, 1, [sample(PARENT, "a", False), sample(PARENT, "b", True)])
        made.add_evaluation(1, "validation", Evaluation({Arm("sums", 1): (True, False, False, False)}))
        made.add_decision(1, Decision("better", "it rose"))
        made.add_samples("grow", 0, 1, [sample(CHILD, "g0", True), sample(CHILD, "g1", False)])
        made.add_rows("grown", [(0, 1, CHILD.id, 2, 1)])
        made.commit(Position("loop", 1, 1, accepted="this"), lambda d: (d / "w").write_text("1"))
        learnt = [sample(CHILD, "c", True), sample(CHILD, "d", False)]
        made.add_samples("train", 1, 2, learnt)
        made.add_batch(1, learnt)
        made.add_tasks([GRANDCHILD])
        made.add_evaluation(2, "validation", Evaluation({Arm("sums", 1): (True, True, True, False)}))
        made.add_decision(2, Decision("better", "it rose"))
        made.commit(Position("loop", 2, 2, accepted="this"), lambda d: (d / "w").write_text("2"))
        yield made


def test_every_arrow_is_there(store):
    found = lineage.trace(store, CHILD.id[:8])
    (child,), (parent,) = found["tasks"], found["origins"]
    assert child["id"] == CHILD.id and child["parents"] == [PARENT.id] and child["operator"] == "one level down"
    assert child["grown"] == {"round": 1, "tries": 2, "correct": 1} and found["children"] == {"one level down": 1}
    assert parent["id"] == PARENT.id and parent["failure"]["response"] == "five" and parent["failure"]["rollout"] == "a"
    # The child's own arm is not measured, so its parent's is.
    assert found["watched"] == ["sums/1"]
    first, second = found["rounds"]
    assert first["outcomes"] == {"grow": {"correct": 1, "wrong": 1}} and first["learnt"] is None and first["change"] is None
    assert second["learnt"] == {"n": 2, "steps": [1, 1]} and second["answer"] == "better"
    assert second["checkpoint"] not in (None, first["checkpoint"])
    assert (second["skill"], second["change"]["value"], second["change"]["n"]) == (0.75, 0.5, 4)
    assert second["change"]["ci95"][0] < 0.5 < second["change"]["ci95"][1]


def test_a_query_reads_json(store):
    """As the page on the store and growth say: parents are a list."""
    rows = store.rows("SELECT p.value FROM tasks t JOIN json_each(t.parents) p ORDER BY t.rowid")
    assert [row[0] for row in rows] == [PARENT.id, CHILD.id]


def test_an_arm_is_all_of_its_tasks_and_skill_is_that_of_the_nearest_measured_ancestors(store):
    assert lineage.trace(store, "sums/1")["count"] == 1 and lineage.trace(store, "sums_easiest/1")["watched"] == ["sums/1"]
    assert [row["outcomes"] for row in lineage.trace(store, "sums/1")["rounds"]][0] == {"train": {"correct": 1, "wrong": 1}}


@pytest.mark.parametrize(
    "name, said",
    [("sums/9", "no task of sums/9.*It has: sums/1"), ("sum/1", "Did you mean"), ("sums/x", "FAMILY/LEVEL")]
    + [("xyz", "neither an arm"), ("", "neither an arm"), ("0123456789abcdef", "no task of the run begins")],
)
def test_what_is_not_there_is_said(store, name, said):
    with pytest.raises(UserError, match=said):
        lineage.trace(store, name)
